"""Events about refunds and disputes of what plans were paid with."""

from sqlalchemy.orm import Session

from webapp.billing.payment import find_session_of
from webapp.billing.plan_order import find_order_by_session
from webapp.billing.plan_reversals import follow_plan_reversals, parked_plan_dispute
from webapp.billing.settling_order import settle_order
from webapp.billing.stripe_api import calling, client, mode
from webapp.billing.stripe_event import Outcome, StripeEvent
from webapp.billing.subscription_events import follow_subscription_event
from webapp.billing.subscription_facts import subscription_of_invoice


def follow_plan_reversal(session: Session, event: StripeEvent) -> Outcome | None:
    """The grants of the plan whose payment was refunded or disputed follow what stands at Stripe.

    An event that comes before the one about the payment itself has that followed first.
    """
    payment_intent_id = event.thing.get("payment_intent")
    if not isinstance(payment_intent_id, str):
        return None
    row = follow_plan_reversals(session, payment_intent_id=payment_intent_id)
    if row is None and _follow_payment(session, payment_intent_id):
        row = follow_plan_reversals(session, payment_intent_id=payment_intent_id)
    if row is None or row.mode != mode():
        return None
    return Outcome(parked=parked_plan_dispute(session, payment_intent_id=payment_intent_id))


def _follow_payment(session: Session, payment_intent_id: str) -> bool:
    """What was paid by it stands as it stands at Stripe; whether there is anything of ours."""
    invoice_id = _invoice_of(payment_intent_id)
    if invoice_id is not None:
        subscription_id = subscription_of_invoice(invoice_id)
        if subscription_id is None:
            return False
        told = StripeEvent(id="", type="", payload={"data": {"object": {"id": subscription_id}}})
        return follow_subscription_event(session, told) is not None
    session_id = find_session_of(payment_intent_id)
    order = find_order_by_session(session, session_id=session_id) if session_id else None
    if order is None or order.mode != mode():
        return False
    settle_order(session, order_id=order.id)
    return True


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
