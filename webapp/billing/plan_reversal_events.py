"""Events about refunds and disputes of what plans were paid with."""

from sqlalchemy.orm import Session

from webapp.billing.payment_intent_events import follow_plan_payment
from webapp.billing.plan_reversals import follow_plan_reversals, parked_plan_dispute
from webapp.billing.stripe_api import mode
from webapp.billing.stripe_event import Outcome, StripeEvent


def follow_plan_reversal(session: Session, event: StripeEvent) -> Outcome | None:
    """The grants of the plan whose payment was refunded or disputed follow what stands at Stripe.

    An event that comes before the one about the payment itself has that followed first.
    """
    payment_intent_id = event.thing.get("payment_intent")
    if not isinstance(payment_intent_id, str):
        return None
    row = follow_plan_reversals(session, payment_intent_id=payment_intent_id)
    if row is None and follow_plan_payment(session, payment_intent_id=payment_intent_id) is not None:
        row = follow_plan_reversals(session, payment_intent_id=payment_intent_id)
    if row is None or row.mode != mode():
        return None
    return Outcome(parked=parked_plan_dispute(session, payment_intent_id=payment_intent_id))
