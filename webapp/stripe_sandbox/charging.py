"""What becomes of a payment intent that is confirmed: charged, declined, or waiting for the cardholder.

States and events: https://docs.stripe.com/payments/paymentintents/lifecycle
Every function gets the intent's row locked.
"""

from typing import Any

from webapp.stripe_sandbox.cards import Card
from webapp.stripe_sandbox.errors import StripeError, card_declined
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.resources.balance_transactions import fee_of, make_balance_transaction
from webapp.stripe_sandbox.resources.charges import make_charge
from webapp.stripe_sandbox.resources.payment_methods import card_of, method_details
from webapp.stripe_sandbox.store import Store, Stored, snapshot

Decline = tuple[str, str | None, str]  # code, decline_code, message

AUTHENTICATION_REQUIRED: Decline = (
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
NOT_AUTHENTICATED: Decline = (
    "payment_intent_authentication_failure",
    None,
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new "
    "PaymentMethod to attempt to fulfill this PaymentIntent again.",
)
BOUNCED: Decline = (
    "payment_method_provider_decline",
    None,
    "The payment was declined by the customer's bank.",
)


def attempt(
    store: Store,
    intent: Stored,
    method: Stored,
    *,
    off_session: bool = False,
    authenticated: bool = False,
    refused: Decline | None = None,
) -> str:
    """The intent's status after one try with this method: succeeded, requires_capture, requires_action,
    processing or requires_payment_method. `refused` declines whatever the card says."""
    card = card_of(method)
    if card is None:
        _start_waiting(store, intent, method)
        return "processing"
    asks = asks_cardholder(card, method) and not authenticated
    decline = refused or card.decline or (AUTHENTICATION_REQUIRED if asks and off_session else None)
    if decline:
        _decline(store, intent, method, card=card, decline=decline)
    elif asks:
        _ask_cardholder(store, intent, method)
    else:
        _charge(store, intent, method, card=card, authenticated=authenticated)
    return str(intent.data["status"])


def decline_error(intent: Stored) -> StripeError:
    """The 402 that the API answers for an intent that was just declined."""
    told = intent.data["last_payment_error"]
    return card_declined(
        told["code"],
        told["message"],
        decline_code=told.get("decline_code"),
        more={
            "charge": told["charge"],
            "payment_intent": snapshot(intent.data),
            "payment_method": told["payment_method"],
        },
    )


def settle_intent(store: Store, intent: Stored, *, succeeds: bool) -> None:
    """The money of an intent that is processing has come, or will not."""
    charge = store.require("charge", intent.data["latest_charge"])
    if succeeds:
        charge.data |= {"status": "succeeded", "paid": True}
        charge.data["receipt_url"] = f"{store.base_url}/receipts/{charge.id}"
        book(store, charge)
        _succeed(store, intent, charge)
        return
    charge.data |= {"status": "failed", "captured": False, "amount_captured": 0}
    charge.data |= {"failure_code": BOUNCED[0], "failure_message": BOUNCED[2]}
    charge.data["outcome"] |= {"network_status": "declined_by_network", "type": "issuer_declined"}
    store.save(charge)
    method = store.find("payment_method", charge.data["payment_method"])
    _fail(store, intent, charge, method=method.data if method else {}, decline=BOUNCED)


def cancel_intent(store: Store, intent: Stored, *, reason: str | None) -> None:
    intent.data |= {"status": "canceled", "canceled_at": store.timestamp, "amount_capturable": 0}
    intent.data |= {"cancellation_reason": reason, "next_action": None}
    store.save(intent)
    emit(store, type="payment_intent.canceled", object=intent.data)


def capture(store: Store, intent: Stored, *, amount: int | None = None) -> None:
    """The authorised money is taken, or the asked part of it and the rest is let go."""
    charge = store.require("charge", intent.data["latest_charge"])
    taken = intent.data["amount_capturable"] if amount is None else amount
    charge.data |= {"captured": True, "amount_captured": taken}
    charge.data["amount_refunded"] = charge.data["amount"] - taken
    intent.data["amount_capturable"] = 0
    book(store, charge)
    emit(store, type="charge.captured", object=charge.data)
    _mark_paid(store, intent, charge)
    emit(store, type="payment_intent.succeeded", object=intent.data)


def book(store: Store, charge: Stored) -> None:
    """The charge's money is in the merchant's balance, less a fee."""
    line = make_balance_transaction(
        store,
        type="charge",
        amount=charge.data["amount_captured"],
        currency=charge.data["currency"],
        source=charge.id,
        fee=fee_of(charge.data["amount_captured"]),
        description=charge.data["description"],
    )
    charge.data["balance_transaction"] = line["id"]
    store.save(charge)


def asks_cardholder(card: Card, method: Stored) -> bool:
    return card.authentication == "always" or (card.authentication == "once" and not method.private.get("set_up"))


def _ask_cardholder(store: Store, intent: Stored, method: Stored) -> None:
    intent.data |= {"status": "requires_action", "payment_method": method.id}
    intent.data["next_action"] = {
        "type": "redirect_to_url",
        "redirect_to_url": {
            "return_url": intent.private.get("return_url"),
            "url": f"{store.base_url}/authenticate/{intent.id}",
        },
    }
    store.save(intent)
    emit(store, type="payment_intent.requires_action", object=intent.data)


def _start_waiting(store: Store, intent: Stored, method: Stored) -> None:
    kind = method.data["type"]
    details = method_details(None, type=kind, amount=intent.data["amount"])
    charge = make_charge(store, intent.data, status="pending", method=method.data, details=details)
    intent.data |= {"status": "processing", "latest_charge": charge.id, "payment_method": method.id}
    store.save(intent)
    emit(store, type="charge.pending", object=charge.data)
    emit(store, type="payment_intent.processing", object=intent.data)


def _charge(store: Store, intent: Stored, method: Stored, *, card: Card, authenticated: bool) -> None:
    captured = intent.data["capture_method"] != "manual"
    details = method_details(card, type="card", amount=intent.data["amount"], authenticated=authenticated)
    charge = make_charge(store, intent.data, status="succeeded", method=method.data, details=details, captured=captured)
    charge.private["card"] = card.number
    if card.dispute:
        charge.due_at = store.now
    if captured:
        book(store, charge)
        _succeed(store, intent, charge)
        return
    store.save(charge)
    intent.data |= {"status": "requires_capture", "amount_capturable": intent.data["amount"], "next_action": None}
    intent.data |= {"latest_charge": charge.id, "payment_method": method.id, "last_payment_error": None}
    store.save(intent)
    emit(store, type="charge.succeeded", object=charge.data)
    emit(store, type="payment_intent.amount_capturable_updated", object=intent.data)


def _decline(store: Store, intent: Stored, method: Stored, *, card: Card, decline: Decline) -> None:
    details = method_details(card, type="card", amount=intent.data["amount"])
    charge = make_charge(
        store, intent.data, status="failed", method=method.data, details=details, failure=(decline[0], decline[2])
    )
    _fail(store, intent, charge, method=method.data, decline=decline)


def _succeed(store: Store, intent: Stored, charge: Stored) -> None:
    _mark_paid(store, intent, charge)
    emit(store, type="charge.succeeded", object=charge.data)
    emit(store, type="payment_intent.succeeded", object=intent.data)


def _mark_paid(store: Store, intent: Stored, charge: Stored) -> None:
    intent.data |= {
        "status": "succeeded",
        "amount_received": charge.data["amount_captured"],
        "last_payment_error": None,
        "latest_charge": charge.id,
        "next_action": None,
        "payment_method": charge.data["payment_method"],
    }
    store.save(intent)


def _fail(store: Store, intent: Stored, charge: Stored, *, method: dict[str, Any], decline: Decline) -> None:
    code, decline_code, message = decline
    error: dict[str, Any] = {
        "charge": charge.id,
        "code": code,
        "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
        "message": message,
        "payment_method": snapshot(method),
        "type": "card_error",
    }
    if decline_code is not None:
        error["decline_code"] = decline_code
    intent.data |= {
        "status": "requires_payment_method",
        "last_payment_error": error,
        "latest_charge": charge.id,
        "next_action": None,
        "payment_method": None,
    }
    store.save(intent)
    emit(store, type="charge.failed", object=charge.data)
    emit(store, type="payment_intent.payment_failed", object=intent.data)
