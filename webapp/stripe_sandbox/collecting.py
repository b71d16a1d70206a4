"""How an invoice comes to be paid: attempts, their payment intents, and what time does to open invoices.

Every function gets the invoice locked, and before it the subscription where there is one.
"""

from typing import Any

from webapp.stripe_sandbox.charging import Decline, attempt, settle_intent
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.faults import read_faults
from webapp.stripe_sandbox.invoice_objects import TYPE, subscription_of
from webapp.stripe_sandbox.invoicing import finalize, mark_failed, mark_paid, require_invoice, subscription_above, void
from webapp.stripe_sandbox.pending_updates import forget_pending, waits_for
from webapp.stripe_sandbox.resources.customers import default_method
from webapp.stripe_sandbox.resources.payment_intents import AFTER_CONFIRM, BEFORE_CONFIRM, make_payment_intent
from webapp.stripe_sandbox.resources.payment_methods import attach
from webapp.stripe_sandbox.store import Store, Stored, new_id

FORCED: Decline = ("card_declined", "generic_decline", "Your card was declined.")


def collect(
    store: Store,
    invoice: Stored,
    *,
    method: Stored | None,
    off_session: bool = True,
    authenticated: bool = False,
    refused: Decline | None = None,
) -> str:
    """One attempt to have an open invoice paid; its status then. Without a method the attempt fails."""
    intent = intent_of(store, invoice)
    if intent.data["status"] == "processing":  # its money is on the way: no second time
        return "processing"
    if method is None:
        mark_failed(store, invoice)
        return "requires_payment_method"
    status = attempt(store, intent, method, off_session=off_session, authenticated=authenticated, refused=refused)
    if status == "succeeded":
        _finish_payment(store, invoice)
    elif status == "processing":
        invoice.data["attempted"] = True
        if off_session:
            invoice.private["settles"] = True
            invoice.due_at = store.seconds_from_now(read_faults(store.connection).settle_seconds)
        store.save(invoice)
    else:
        if status == "requires_action" or _wants_authentication(intent):
            emit(store, type="invoice.payment_action_required", object=invoice.data)
        mark_failed(store, invoice)
    return status


def settle_invoice(store: Store, invoice: Stored, *, succeeds: bool) -> None:
    """What an attempt that was processing came to; the intent tells already."""
    if succeeds:
        _finish_payment(store, invoice)
    else:
        mark_failed(store, invoice)


def collect_by_default(store: Store, invoice: Stored) -> str:
    """An attempt with the method of the invoice, else the subscription's, else the customer's."""
    subscription = subscription_above(store, invoice)
    refused = None
    if subscription and subscription.private.pop("fail_next", False):
        store.save(subscription)
        refused = FORCED
    return collect(store, invoice, method=method_for(store, invoice.data, subscription), refused=refused)


def method_for(store: Store, invoice: dict[str, Any], subscription: Stored | None) -> Stored | None:
    own = subscription.data["default_payment_method"] if subscription else None
    id = invoice["default_payment_method"] or own or default_method(store, invoice["customer"])
    return store.lock("payment_method", id) if id else None


def intent_of(store: Store, invoice: Stored) -> Stored:
    """The invoice's payment intent, locked; made, with its `invoice_payment`, for the first attempt."""
    if "intent" in invoice.private:
        return store.require("payment_intent", invoice.private["intent"])
    data = invoice.data
    words = "Subscription creation" if data["billing_reason"] == "subscription_create" else "Subscription update"
    intent = make_payment_intent(
        store,
        amount=data["amount_remaining"],
        currency=data["currency"],
        customer=data["customer"],
        method_types=["card"],
        asked={"description": words if subscription_of(data) else f"Invoice {data['number']}"},
        private={"invoice": invoice.id},
    )
    _link(store, invoice, intent)
    return intent


def finish_by(store: Store, invoice: Stored, intent: Stored) -> None:
    """The open invoice is paid by an intent that has succeeded on its own, such as a Checkout Session's."""
    _link(store, invoice, intent)
    _finish_payment(store, invoice)


def _link(store: Store, invoice: Stored, intent: Stored) -> None:
    data = invoice.data
    payment = {
        "id": new_id("inpay"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": data["amount_remaining"],
        "created": store.timestamp,
        "currency": data["currency"],
        "invoice": invoice.id,
        "is_default": True,
        "livemode": False,
        "payment": {"type": "payment_intent", "payment_intent": intent.id},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
    store.insert(payment)
    invoice.private |= {"intent": intent.id, "payment": payment["id"]}
    store.save(invoice)


def do_due(store: Store, invoice: Stored) -> None:
    """A draft whose time has come is finalized and collected; an open one is tried again, or its money comes."""
    if invoice.private.pop("settles", False):
        invoice.due_at = None
        settle_intent(store, intent_of(store, invoice), succeeds=True)
        settle_invoice(store, invoice, succeeds=True)
        return
    subscription = subscription_above(store, invoice)
    if subscription is not None and waits_for(subscription, invoice):
        forget_pending(store, subscription)
        void(store, invoice)
        return
    if invoice.data["status"] == "draft":
        fails = bool(subscription and subscription.private.pop("fail_finalization", False))
        if subscription:
            store.save(subscription)
        if not finalize(store, invoice, fails=fails):
            return
    invoice.due_at = None
    store.save(invoice)
    if invoice.data["status"] == "open":
        collect_by_default(store, invoice)


def lock_invoice_of(store: Store, intent_id: str) -> None:
    """The invoice that an intent pays, and its subscription, are locked before the intent; others have none."""
    intent = store.find("payment_intent", intent_id)
    if intent is not None and "invoice" in intent.private:
        require_invoice(store, intent.private["invoice"])


def tell_invoice(store: Store, intent: Stored) -> None:
    """An intent that was confirmed by itself has paid its open invoice."""
    if "invoice" not in intent.private or intent.data["status"] != "succeeded":
        return
    invoice = store.require(TYPE, intent.private["invoice"])
    if invoice.data["status"] == "open":
        _finish_payment(store, invoice)


def _finish_payment(store: Store, invoice: Stored) -> None:
    intent = intent_of(store, invoice)
    payment = store.require("invoice_payment", invoice.private["payment"])
    payment.data |= {"status": "paid", "amount_paid": intent.data["amount_received"]}
    payment.data["status_transitions"]["paid_at"] = store.timestamp
    store.save(payment)
    invoice.data |= {"attempted": True, "attempt_count": invoice.data["attempt_count"] + 1}
    invoice.data |= {"amount_paid": intent.data["amount_received"], "amount_remaining": 0}
    _save_method(store, invoice, intent)
    emit(store, type="invoice_payment.paid", object=payment.data)
    mark_paid(store, invoice)


def _save_method(store: Store, invoice: Stored, intent: Stored) -> None:
    """A card that paid for a subscription can be charged for it again."""
    if subscription_of(invoice.data) is None:
        return
    method = store.require("payment_method", intent.data["payment_method"])
    if method.data["customer"] in (None, invoice.data["customer"]):
        attach(store, method, customer=invoice.data["customer"], set_up=True)


def _wants_authentication(intent: Stored) -> bool:
    error = intent.data["last_payment_error"] or {}
    return error.get("code") == "authentication_required"


BEFORE_CONFIRM.append(lock_invoice_of)
AFTER_CONFIRM.append(tell_invoice)
