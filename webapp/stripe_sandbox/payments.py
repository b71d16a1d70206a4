"""What becomes of an open Checkout Session: paid, declined, delayed and settled later, expired.

Which events each of them sends, and in which state they leave session and payment intent:
https://docs.stripe.com/checkout/fulfillment

Every function gets the session's row locked, so that of two at once the second finds the first's outcome.
What subscriptions and saved cards add is in `checkout_modes.py`.
"""

from datetime import UTC, datetime

from webapp.stripe_sandbox.buyers import (
    Buyer,
    Outcome,
    close_intent,
    delayed_method,
    identify_buyer,
    intent_of,
    method_of,
    offers_saving,
)
from webapp.stripe_sandbox.cards import DECLINED
from webapp.stripe_sandbox.charging import attempt, settle_intent
from webapp.stripe_sandbox.checkout_modes import (
    invoice_session,
    save_card,
    settle_subscription,
    subscribe,
)
from webapp.stripe_sandbox.discounts import redeem_discounts
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.faults import read_faults
from webapp.stripe_sandbox.resources.payment_intents import finish_saving
from webapp.stripe_sandbox.resources.payment_methods import attach
from webapp.stripe_sandbox.store import Store, Stored

# what the owed payment will come to, kept in the session's `private`
SUCCEEDS, FAILS = "succeeds", "fails"


def is_payable(store: Store, session: Stored) -> bool:
    """Open and not past its end; one past its end is expired by this."""
    if session.data["status"] == "open" and store.timestamp >= session.data["expires_at"]:
        expire_session(store, session)
    return bool(session.data["status"] == "open")


def pay(store: Store, session: Stored, *, buyer: Buyer) -> Outcome:
    """The session is complete, or still open because the card was declined or waits for the cardholder.

    An order that costs nothing is complete without a charge.
    """
    mode = session.data["mode"]
    if mode == "payment":
        outcome = _pay_once(store, session, buyer)
    else:
        outcome = subscribe(store, session, buyer) if mode == "subscription" else save_card(store, session, buyer)
    if not outcome.complete:
        store.save(session)
        return outcome
    _complete(store, session, payment_status=outcome.payment_status)
    if outcome.payment_status == "unpaid":
        session.private["settlement"] = FAILS if buyer.fails_later else SUCCEEDS
        session.due_at = store.seconds_from_now(read_faults(store.connection).settle_seconds)
        store.save(session)
    return outcome


def decline(store: Store, session: Stored, *, buyer: Buyer) -> Outcome:
    """The card was declined: the session stays open, and waits for another card."""
    return pay(store, session, buyer=Buyer(email=buyer.email, card=DECLINED.number))


def settle(store: Store, session: Stored) -> None:
    """The owed payment of a complete session has succeeded or failed; nothing when none is owed."""
    outcome = session.private.pop("settlement", None)
    session.due_at = None
    if outcome is None:
        store.save(session)
        return
    succeeds = outcome == SUCCEEDS
    if session.data["mode"] == "subscription":
        settle_subscription(store, session, succeeds=succeeds)
    else:
        settle_intent(store, store.require("payment_intent", session.data["payment_intent"]), succeeds=succeeds)
        if succeeds:
            invoice_session(store, session)
    if succeeds:
        session.data["payment_status"] = "paid"
    store.save(session)
    told = "succeeded" if succeeds else "failed"
    emit(store, type=f"checkout.session.async_payment_{told}", object=session.data)


def expire_session(store: Store, session: Stored) -> None:
    """The open session is expired and its intent, if the buyer got so far, canceled."""
    session.data |= {"status": "expired", "url": None}
    session.due_at = None
    close_intent(store, session, reason="automatic")
    store.save(session)
    emit(store, type="checkout.session.expired", object=session.data)


def do_due(store: Store, session: Stored) -> None:
    """What time does to a session whose `due_at` has come."""
    if session.data["status"] == "open" and store.timestamp >= session.data["expires_at"]:
        expire_session(store, session)
    elif session.data["status"] == "open":
        session.due_at = datetime.fromtimestamp(session.data["expires_at"], UTC)
        store.save(session)
    else:
        settle(store, session)


def _pay_once(store: Store, session: Stored, buyer: Buyer) -> Outcome:
    free = session.data["amount_total"] == 0
    identify_buyer(store, session, buyer, final=False)
    if free:
        identify_buyer(store, session, buyer, always=True)
        return Outcome("complete", payment_status="no_payment_required")
    intent = intent_of(store, session)
    method = delayed_method(store, session) if buyer.delayed else method_of(store, session, buyer)
    status = attempt(store, intent, method, authenticated=buyer.authenticated, refused=buyer.refused)
    if status == "requires_action":
        return Outcome("authenticate")
    if status == "requires_payment_method":
        return Outcome("declined", message=intent.data["last_payment_error"]["message"])
    identify_buyer(store, session, buyer)
    if session.data["customer"]:
        intent.data["customer"] = session.data["customer"]
        store.save(intent)
        finish_saving(store, intent)
        if buyer.saves_card and offers_saving(session.data) and method.data["customer"] is None:
            attach(store, method, customer=session.data["customer"])
    if status == "processing":
        return Outcome("complete", payment_status="unpaid")
    invoice_session(store, session)
    return Outcome("complete", payment_status="paid")


def _is_invoiced(session: Stored) -> bool:
    """Whether the discounts are redeemed by an invoice, now or when a delayed payment has come."""
    return bool(session.data["invoice_creation"]["enabled"] and session.data["amount_total"] > 0)


def _complete(store: Store, session: Stored, *, payment_status: str) -> None:
    """Complete: no pay page any more, and nothing left that time would do but a settlement."""
    session.data |= {"status": "complete", "payment_status": payment_status, "url": None}
    session.due_at = None
    if session.data["mode"] == "payment" and not _is_invoiced(session):
        redeem_discounts(store, session.data["discounts"])
    store.save(session)
    emit(store, type="checkout.session.completed", object=session.data)
