"""What becomes of an open Checkout Session: paid, declined, delayed and settled later, expired.

Which events each of them sends, and in which state they leave session and payment intent:
https://docs.stripe.com/checkout/fulfillment and https://docs.stripe.com/payments/paymentintents/lifecycle

Every function gets the session's row locked, so that of two at once the second finds the first's outcome.
"""

from datetime import UTC, datetime
from typing import Any

from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.faults import read_faults
from webapp.stripe_sandbox.resources.balance_transactions import fee_of, make_balance_transaction
from webapp.stripe_sandbox.resources.charges import OUTCOMES, make_charge
from webapp.stripe_sandbox.resources.customers import make_customer
from webapp.stripe_sandbox.resources.payment_intents import make_payment_intent
from webapp.stripe_sandbox.resources.payment_methods import (
    DECLINED_CARD,
    GOOD_CARD,
    delayed_type,
    make_payment_method,
    method_details,
)
from webapp.stripe_sandbox.store import Store, Stored, snapshot

DECLINED = ("card_declined", "Your card was declined.")
BOUNCED = ("payment_method_provider_decline", "The payment was declined by the customer's bank.")

# what the owed payment will come to, kept in the session's `private`
SUCCEEDS, FAILS = "succeeds", "fails"


def is_payable(store: Store, session: Stored) -> bool:
    """Open and not past its end; one past its end is expired by this."""
    if session.data["status"] == "open" and store.timestamp >= session.data["expires_at"]:
        expire_session(store, session)
    return bool(session.data["status"] == "open")


def pay(store: Store, session: Stored, *, email: str | None) -> None:
    """The session is complete and paid by card; one that costs nothing is complete without a charge."""
    _identify_buyer(store, session, email=email)
    if session.data["amount_total"] == 0:
        _complete(store, session, payment_status="no_payment_required")
        return
    intent = _intent_of(store, session)
    method, details = _card(store, session, GOOD_CARD)
    charge = make_charge(store, intent.data, status="succeeded", method=method, details=details)
    _book(store, charge)
    _succeed(store, intent, charge)
    _complete(store, session, payment_status="paid")


def decline(store: Store, session: Stored, *, email: str | None) -> None:
    """The card was declined: the session stays open, and its intent waits for another card."""
    _identify_buyer(store, session, email=email, final=False)
    intent = _intent_of(store, session)
    method, details = _card(store, session, DECLINED_CARD)
    charge = make_charge(store, intent.data, status="failed", method=method, details=details, failure=DECLINED)
    _fail(store, intent, charge, method=method, failure=DECLINED, decline_code="generic_decline")
    store.save(session)


def delay(store: Store, session: Stored, *, email: str | None, succeeds: bool) -> None:
    """The session is complete and unpaid; the money is decided on after `settle_seconds`.

    One that costs nothing has nothing to wait for and is complete as by `pay`.
    """
    if session.data["amount_total"] == 0:
        pay(store, session, email=email)
        return
    _identify_buyer(store, session, email=email)
    intent = _intent_of(store, session)
    kind = delayed_type(session.data["currency"])
    method = make_payment_method(
        store, type=kind, card=None, billing=_billing(session), customer=session.data["customer"]
    )
    details = method_details(kind, None, amount=intent.data["amount"])
    charge = make_charge(store, intent.data, status="pending", method=method, details=details)
    intent.data |= {"status": "processing", "latest_charge": charge.id, "payment_method": method["id"]}
    store.save(intent)
    emit(store, type="charge.pending", object=charge.data)
    emit(store, type="payment_intent.processing", object=intent.data)
    session.private["settlement"] = SUCCEEDS if succeeds else FAILS
    _complete(store, session, payment_status="unpaid")
    session.due_at = store.seconds_from_now(read_faults(store.connection).settle_seconds)
    store.save(session)


def settle(store: Store, session: Stored) -> None:
    """The owed payment of a complete session has succeeded or failed; nothing when none is owed."""
    outcome = session.private.pop("settlement", None)
    session.due_at = None
    if outcome is None:
        store.save(session)
        return
    intent = store.lock("payment_intent", session.data["payment_intent"])
    assert intent is not None
    charge = store.lock("charge", intent.data["latest_charge"])
    assert charge is not None
    if outcome == SUCCEEDS:
        charge.data |= {"status": "succeeded", "paid": True}
        charge.data["receipt_url"] = f"{store.base_url}/receipts/{charge.id}"
        _book(store, charge)
        _succeed(store, intent, charge)
        session.data["payment_status"] = "paid"
    else:
        charge.data |= {"status": "failed", "captured": False, "amount_captured": 0}
        charge.data |= {"failure_code": BOUNCED[0], "failure_message": BOUNCED[1]}
        charge.data["outcome"] = dict(OUTCOMES["failed"])
        store.save(charge)
        method = store.find("payment_method", charge.data["payment_method"])
        _fail(store, intent, charge, method=method.data if method else {}, failure=BOUNCED)
    store.save(session)
    told = "succeeded" if outcome == SUCCEEDS else "failed"
    emit(store, type=f"checkout.session.async_payment_{told}", object=session.data)


def expire_session(store: Store, session: Stored) -> None:
    """The open session is expired and its intent, if the buyer got so far, canceled."""
    session.data |= {"status": "expired", "url": None}
    session.due_at = None
    if session.data["payment_intent"] is not None:
        intent = store.lock("payment_intent", session.data["payment_intent"])
        assert intent is not None
        intent.data |= {"status": "canceled", "canceled_at": store.timestamp}
        intent.data["cancellation_reason"] = "automatic"
        store.save(intent)
        emit(store, type="payment_intent.canceled", object=intent.data)
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


def _identify_buyer(store: Store, session: Stored, *, email: str | None, final: bool = True) -> None:
    """Who pays is on the session; a customer is made where the session says `always`."""
    data = session.data
    known = store.find("customer", data["customer"]) if data["customer"] else None
    address = (known.data["email"] if known else data["customer_email"]) or email
    data["customer_details"] = buyer_details(email=address, known=known)
    if final and known is None and data["customer_creation"] == "always":
        data["customer"] = make_customer(store, {"email": address} if address else {})["id"]


def buyer_details(*, email: str | None, known: Stored | None) -> dict[str, Any]:
    """`customer_details` of a session."""
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": known.data["name"] if known else None,
        "phone": None,
        "tax_exempt": known.data["tax_exempt"] if known else "none",
        "tax_ids": None,
    }


def _intent_of(store: Store, session: Stored) -> Stored:
    """The session's intent, locked; made at the first attempt."""
    if session.data["payment_intent"] is None:
        intent = make_payment_intent(store, session.data, session.private["payment_intent_data"])
        session.data["payment_intent"] = intent.id
        return intent
    found = store.lock("payment_intent", session.data["payment_intent"])
    assert found is not None
    found.data["customer"] = session.data["customer"]
    return found


def _card(store: Store, session: Stored, card: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    method = make_payment_method(
        store, type="card", card=card, billing=_billing(session), customer=session.data["customer"]
    )
    return method, method_details("card", card, amount=session.data["amount_total"])


def _billing(session: Stored) -> dict[str, Any]:
    details = session.data["customer_details"]
    address = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    return {
        "address": address,
        "email": details["email"],
        "name": details["name"],
        "phone": None,
        "tax_id": None,
    }


def _book(store: Store, charge: Stored) -> None:
    """The charge's money is in the merchant's balance, less a fee."""
    line = make_balance_transaction(
        store,
        type="charge",
        amount=charge.data["amount"],
        currency=charge.data["currency"],
        source=charge.id,
        fee=fee_of(charge.data["amount"]),
        description=charge.data["description"],
    )
    charge.data["balance_transaction"] = line["id"]
    store.save(charge)


def _succeed(store: Store, intent: Stored, charge: Stored) -> None:
    intent.data |= {
        "status": "succeeded",
        "amount_received": intent.data["amount"],
        "last_payment_error": None,
        "latest_charge": charge.id,
        "payment_method": charge.data["payment_method"],
    }
    store.save(intent)
    emit(store, type="charge.succeeded", object=charge.data)
    emit(store, type="payment_intent.succeeded", object=intent.data)


def _fail(
    store: Store,
    intent: Stored,
    charge: Stored,
    *,
    method: dict[str, Any],
    failure: tuple[str, str],
    decline_code: str | None = None,
) -> None:
    error: dict[str, Any] = {
        "charge": charge.id,
        "code": failure[0],
        "doc_url": f"https://stripe.com/docs/error-codes/{failure[0].replace('_', '-')}",
        "message": failure[1],
        "payment_method": snapshot(method),
        "type": "card_error",
    }
    if decline_code is not None:
        error["decline_code"] = decline_code
    intent.data |= {
        "status": "requires_payment_method",
        "last_payment_error": error,
        "latest_charge": charge.id,
        "payment_method": None,
    }
    store.save(intent)
    emit(store, type="charge.failed", object=charge.data)
    emit(store, type="payment_intent.payment_failed", object=intent.data)


def _complete(store: Store, session: Stored, *, payment_status: str) -> None:
    """Complete: no pay page any more, and nothing left that time would do but a settlement."""
    session.data |= {"status": "complete", "payment_status": payment_status, "url": None}
    session.due_at = None
    store.save(session)
    emit(store, type="checkout.session.completed", object=session.data)
