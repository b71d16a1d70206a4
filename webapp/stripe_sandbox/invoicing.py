"""The life of an invoice: draft, finalized, paid, or given up. How it is paid is in `collecting.py`.

Which events tell of it: https://docs.stripe.com/billing/subscriptions/webhooks. Every function gets the
invoice locked, and before it the subscription where there is one.
"""

from datetime import UTC, datetime
from typing import Any

from webapp.stripe_sandbox.errors import refused as refusal
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.faults import read_faults
from webapp.stripe_sandbox.invoice_objects import TYPE, apply_balance, subscription_of
from webapp.stripe_sandbox.pending_updates import apply_pending, expiry_of, waits_for
from webapp.stripe_sandbox.resources.customers import change_customer
from webapp.stripe_sandbox.store import Store, Stored
from webapp.stripe_sandbox.subscription_objects import change_subscription, end_subscription

DAY = 86_400
RETRY_DAYS = (3, 5, 7)  # after the first attempt, the second, the third; then `after_retries`


def add_invoice(store: Store, invoice: dict[str, Any], *, announced: bool = True) -> Stored:
    """The composed invoice exists as a draft."""
    stored = store.insert(invoice)
    if announced:
        emit(store, type="invoice.created", object=invoice)
    return stored


def finalize(store: Store, invoice: Stored, *, fails: bool = False) -> bool:
    """The invoice is open, numbered and, where nothing is due, paid; False when finalizing failed."""
    data = invoice.data
    if fails:
        message = "The customer's location isn't recognized. Set a valid customer address."
        code = "customer_tax_location_invalid"
        data["last_finalization_error"] = {"type": "invalid_request_error", "code": code, "message": message}
        invoice.due_at = None
        store.save(invoice)
        emit(store, type="invoice.finalization_failed", object=data)
        return False
    customer = store.require("customer", data["customer"])
    due, balance = apply_balance(data["total"], customer.data["balance"])
    number = customer.data["next_invoice_sequence"]
    data |= {
        "amount_due": due,
        "amount_remaining": due,
        "effective_at": store.timestamp,
        "ending_balance": balance,
        "hosted_invoice_url": f"{store.base_url}/i/{invoice.id}",
        "invoice_pdf": f"{store.base_url}/i/{invoice.id}/pdf",
        "last_finalization_error": None,
        "number": f"{customer.data['invoice_prefix']}-{number:04d}",
        "starting_balance": customer.data["balance"],
        "status": "open",
    }
    data["status_transitions"]["finalized_at"] = store.timestamp
    data["webhooks_delivered_at"] = store.timestamp
    customer.data["next_invoice_sequence"] = number + 1
    store.save(customer)
    change_customer(store, customer, {"balance": balance, "currency": data["currency"]})
    invoice.due_at = None
    store.save(invoice)
    emit(store, type="invoice.finalized", object=data)
    if due == 0:
        mark_paid(store, invoice)
    return True


def void(store: Store, invoice: Stored, *, status: str = "void") -> None:
    """Nothing will be collected any more: void, or given up as `uncollectible`."""
    key, told = ("voided_at", "voided") if status == "void" else ("marked_uncollectible_at", "marked_uncollectible")
    invoice.data |= {"status": status, "next_payment_attempt": None, "auto_advance": False}
    invoice.data["status_transitions"][key] = store.timestamp
    invoice.due_at = None
    store.save(invoice)
    emit(store, type=f"invoice.{told}", object=invoice.data)


def mark_paid(store: Store, invoice: Stored) -> None:
    """Paid; a subscription that waited for this is active."""
    invoice.data |= {"status": "paid", "next_payment_attempt": None, "auto_advance": False}
    invoice.data["attempted"] = True
    invoice.data["status_transitions"]["paid_at"] = store.timestamp
    invoice.due_at = None
    store.save(invoice)
    emit(store, type="invoice.paid", object=invoice.data)
    emit(store, type="invoice.payment_succeeded", object=invoice.data)
    subscription = subscription_above(store, invoice)
    if subscription is not None and waits_for(subscription, invoice):
        apply_pending(store, subscription)
    if subscription is None or subscription.data["status"] not in ("incomplete", "past_due", "unpaid"):
        return
    if subscription.data["latest_invoice"] in (None, invoice.id):
        change_subscription(store, subscription, {"status": "active"})


def mark_paid_elsewhere(store: Store, invoice: Stored) -> None:
    """Paid in cash, say: `paid_out_of_band`."""
    invoice.data |= {"amount_remaining": 0}
    mark_paid(store, invoice)


def mark_failed(store: Store, invoice: Stored) -> None:
    """One more attempt has failed; the next one is planned, or the subscription has its verdict."""
    tries = invoice.data["attempt_count"] + 1
    invoice.data |= {"attempted": True, "attempt_count": tries, "next_payment_attempt": None}
    first = invoice.data["billing_reason"] == "subscription_create"
    subscription = subscription_above(store, invoice)
    waiting = subscription is not None and subscription.data["status"] == "incomplete"
    if subscription is not None and waits_for(subscription, invoice):
        invoice.due_at = expiry_of(subscription)
        store.save(invoice)
        emit(store, type="invoice.payment_failed", object=invoice.data)
        return
    more = tries <= len(RETRY_DAYS) and not waiting and (subscription is not None or not first)
    if more:
        invoice.data["next_payment_attempt"] = store.timestamp + RETRY_DAYS[tries - 1] * DAY
        invoice.due_at = datetime.fromtimestamp(invoice.data["next_payment_attempt"], UTC)
    else:
        invoice.due_at = None
        invoice.data["auto_advance"] = invoice.data["auto_advance"] and waiting
    store.save(invoice)
    emit(store, type="invoice.payment_failed", object=invoice.data)
    if subscription is not None and not waiting:
        _fall_behind(store, subscription, last=not more)


def _fall_behind(store: Store, subscription: Stored, *, last: bool) -> None:
    if subscription.data["status"] not in ("active", "past_due", "trialing"):
        return
    verdict = read_faults(store.connection).after_retries if last else "past_due"
    if verdict == "cancel":
        end_subscription(store, subscription, reason="payment_failed")
    else:
        change_subscription(store, subscription, {"status": verdict})


def subscription_above(store: Store, invoice: Stored) -> Stored | None:
    id = subscription_of(invoice.data)
    return store.lock("subscription", id) if id else None


def require_invoice(store: Store, id: str) -> Stored:
    """The invoice, locked after its subscription. Raises StripeError when it is gone."""
    seen = store.find(TYPE, id)
    if seen is not None:
        subscription_above(store, seen)
    stored = store.lock(TYPE, id)
    if stored is None:
        raise refusal(f"No such invoice: '{id}'", code="resource_missing")
    return stored
