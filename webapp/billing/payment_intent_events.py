"""Events about a payment itself, whatever it pays: `payment_intent.*`."""

from sqlalchemy.orm import Session

from webapp.billing.fulfilment import settle_purchase
from webapp.billing.payment import find_session_of
from webapp.billing.plan_order import find_order_by_payment, find_order_by_session
from webapp.billing.purchase import Purchase, find_by_payment_intent, find_by_session
from webapp.billing.settling_order import settle_order
from webapp.billing.stripe_api import calling, client, mode
from webapp.billing.stripe_event import Outcome, StripeEvent
from webapp.billing.subscription import Subscription, find_invoice_by_payment
from webapp.billing.subscription_events import follow_subscription_of
from webapp.billing.subscription_facts import subscription_of_invoice

# What our requests put into the metadata of a payment. Only a hint that asking is worth it: nothing of it is believed.
_OURS = ("purchase", "plan_order")


def follow_payment_intent(session: Session, event: StripeEvent) -> Outcome | None:
    """The purchase, the order or the subscription that is paid by it stands as it stands at Stripe.

    Stripe is asked whose it is only where it names one of ours or has a customer, as payments of invoices do.
    """
    payment_intent_id = event.thing.get("id")
    if not isinstance(payment_intent_id, str) or not payment_intent_id.startswith("pi_"):
        return None
    purchase = find_by_payment_intent(session, payment_intent_id=payment_intent_id)
    if purchase is not None:
        return _settle(session, purchase)
    metadata = event.thing.get("metadata")
    if isinstance(metadata, dict) and any(name in metadata for name in _OURS):
        session_id = find_session_of(payment_intent_id)
        purchase = find_by_session(session, session_id=session_id) if session_id else None
        if purchase is not None:
            return _settle(session, purchase)
    elif event.thing.get("customer") is None:
        return None
    return follow_plan_payment(session, payment_intent_id=payment_intent_id)


def follow_plan_payment(session: Session, *, payment_intent_id: str) -> Outcome | None:
    """The subscription or order of a plan that was paid by it stands as it stands at Stripe; None: there is none."""
    invoice = find_invoice_by_payment(session, payment_intent_id=payment_intent_id)
    if invoice is not None:
        stripe_id = session.get_one(Subscription, invoice.subscription_id).stripe_subscription_id
        return follow_subscription_of(session, stripe_id=stripe_id, invoice_id=invoice.stripe_invoice_id)
    order = find_order_by_payment(session, payment_intent_id=payment_intent_id)
    if order is None:
        invoice_id = _invoice_of(payment_intent_id)
        if invoice_id is not None:
            subscription_id = subscription_of_invoice(invoice_id)
            if subscription_id is None:
                return None
            return follow_subscription_of(session, stripe_id=subscription_id, invoice_id=invoice_id)
        session_id = find_session_of(payment_intent_id)
        order = find_order_by_session(session, session_id=session_id) if session_id else None
    if order is None or order.mode != mode():
        return None
    order = settle_order(session, order_id=order.id)
    return Outcome(parked=f"plan order {order.id}: {order.reason}" if order.state == "parked" else None)


def _settle(session: Session, purchase: Purchase) -> Outcome | None:
    if purchase.mode != mode():
        return None
    purchase = settle_purchase(session, purchase_id=purchase.id)
    return Outcome(parked=f"purchase {purchase.id}: {purchase.reason}" if purchase.reason is not None else None)


def _invoice_of(payment_intent_id: str) -> str | None:
    """The invoice that a payment intent pays; None for a payment without one."""
    with calling("list invoice payments"):
        found = client().v1.invoice_payments.list(
            params={"payment": {"type": "payment_intent", "payment_intent": payment_intent_id}, "limit": 1}
        )
    if not found.data:
        return None
    invoice = found.data[0].invoice
    return invoice if isinstance(invoice, str) else invoice.id
