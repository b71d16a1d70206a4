"""Events about the payment of a package: its Checkout Session, refunds and disputes."""

from collections.abc import Collection
from typing import Any

from sqlalchemy.orm import Session

from webapp.billing.fulfilment import settle_purchase
from webapp.billing.paid_on_a_page import adopt
from webapp.billing.payment import find_session_of
from webapp.billing.purchase import Purchase, find_by_payment_intent, find_by_session
from webapp.billing.purchase_reversals import parked_dispute
from webapp.billing.stripe_api import mode
from webapp.billing.stripe_event import Outcome, StripeEvent


def follow_checkout(session: Session, event: StripeEvent) -> Outcome | None:
    """The purchase that is paid by this Checkout Session stands as it stands at Stripe."""
    return _settle(session, _of_session(session, event.thing))


def follow_refund(session: Session, event: StripeEvent) -> Outcome | None:
    """The purchase whose payment was refunded stands as it stands at Stripe."""
    return _settle(session, _of_payment_intent(session, event.thing.get("payment_intent")), look_for=("refunds",))


def follow_dispute(session: Session, event: StripeEvent) -> Outcome | None:
    """The purchase whose payment was disputed stands as it stands at Stripe."""
    purchase = _of_payment_intent(session, event.thing.get("payment_intent"))
    outcome = _settle(session, purchase, look_for=("disputes",))
    if purchase is None or outcome is None or outcome.parked is not None:
        return outcome
    return Outcome(parked=parked_dispute(session, purchase_id=purchase.id))


def _settle(session: Session, purchase: Purchase | None, *, look_for: Collection[str] = ()) -> Outcome | None:
    if purchase is None or purchase.mode != mode():
        return None
    purchase = settle_purchase(session, purchase_id=purchase.id, look_for=look_for)
    return Outcome(parked=f"purchase {purchase.id}: {purchase.reason}" if purchase.reason is not None else None)


def _of_session(session: Session, thing: dict[str, Any]) -> Purchase | None:
    session_id = str(thing.get("id"))
    found = find_by_session(session, session_id=session_id)
    return found or adopt(session, Purchase, named="purchase", session_id=session_id, thing=thing)


def _of_payment_intent(session: Session, payment_intent_id: object) -> Purchase | None:
    if not isinstance(payment_intent_id, str):
        return None
    found = find_by_payment_intent(session, payment_intent_id=payment_intent_id)
    if found is not None:
        return found
    session_id = find_session_of(payment_intent_id)
    return find_by_session(session, session_id=session_id) if session_id else None
