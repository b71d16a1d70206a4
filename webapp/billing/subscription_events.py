"""Events about subscriptions, their invoices, and the checkout that began them."""

from sqlalchemy.orm import Session

from webapp.billing.following import NotOurs, Unexplained, follow_subscription
from webapp.billing.paid_on_a_page import adopt
from webapp.billing.plan_order import PlanOrder, find_order_by_session
from webapp.billing.settling_order import settle_order
from webapp.billing.stripe_api import mode
from webapp.billing.stripe_event import Outcome, StripeEvent
from webapp.billing.subscription_facts import subscription_of_invoice


def follow_order(session: Session, event: StripeEvent) -> Outcome | None:
    """The order of a plan that this Checkout Session is of stands as it stands at Stripe."""
    session_id = str(event.thing.get("id"))
    order = find_order_by_session(session, session_id=session_id)
    if order is None:
        order = adopt(session, PlanOrder, named="plan_order", session_id=session_id, thing=event.thing)
    if order is None or order.mode != mode():
        return None
    order = settle_order(session, order_id=order.id)
    return Outcome(parked=f"plan order {order.id}: {order.reason}" if order.state == "parked" else None)


def follow_subscription_event(session: Session, event: StripeEvent) -> Outcome | None:
    """The subscription stands as it stands at Stripe."""
    return follow_subscription_of(session, stripe_id=str(event.thing.get("id")), invoice_id=None)


def follow_invoice_event(session: Session, event: StripeEvent) -> Outcome | None:
    """The subscription that the invoice is of stands as it stands at Stripe, with this invoice.

    One that Stripe could not make ready (`invoice.finalization_failed`) is parked for a person, with Stripe's words.
    """
    invoice_id = str(event.thing.get("id"))
    if not invoice_id.startswith("in_"):  # one that is only coming
        return None
    subscription_id = subscription_of_invoice(invoice_id)
    if subscription_id is None:
        return None
    return follow_subscription_of(session, stripe_id=subscription_id, invoice_id=invoice_id)


def follow_subscription_of(session: Session, *, stripe_id: str, invoice_id: str | None) -> Outcome | None:
    """The subscription stands as it stands at Stripe, with this invoice; None when it is for nothing that we sell."""
    try:
        with session.begin_nested():
            subscription = follow_subscription(session, stripe_id=stripe_id, invoice_id=invoice_id)
    except NotOurs:
        return None
    except Unexplained as unexplained:
        return Outcome(parked=unexplained.reason)
    return Outcome(parked=subscription.reason and f"subscription {subscription.id}: {subscription.reason}")
