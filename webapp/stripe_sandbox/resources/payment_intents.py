"""Payment intents: https://docs.stripe.com/api/payment_intents

Those of Checkout Sessions and invoices are made by the sandbox; a merchant may make others, above all off
session with a saved card. What an attempt comes to is in `charging.py`.
"""

from collections.abc import Callable
from typing import Any

from webapp.stripe_sandbox.charging import attempt, cancel_intent, capture, decline_error
from webapp.stripe_sandbox.errors import invalid, missing_param, refused
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.faults import read_faults
from webapp.stripe_sandbox.money import require_chargeable
from webapp.stripe_sandbox.operations import Call, Operation, create, found, list_of, merge_metadata, retrieve
from webapp.stripe_sandbox.page import list_page
from webapp.stripe_sandbox.params import (
    array,
    boolean,
    currency,
    email,
    integer,
    metadata,
    one_of,
    range_of_time,
    shape,
    text,
    url,
)
from webapp.stripe_sandbox.resources.customers import require_customer
from webapp.stripe_sandbox.resources.payment_methods import attach, require_method
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

TYPE = "payment_intent"
# what else must be locked before an intent is confirmed, and what happens then; invoices add theirs
BEFORE_CONFIRM: list[Callable[[Store, str], None]] = []
AFTER_CONFIRM: list[Callable[[Store, Stored], None]] = []
CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")


def make_payment_intent(
    store: Store,
    *,
    amount: int,
    currency: str,
    customer: str | None,
    method_types: list[str],
    asked: dict[str, Any] | None = None,
    private: dict[str, Any] | None = None,
) -> Stored:
    """A payment intent exists, waiting for a payment method; `asked` is like `payment_intent_data`.

    That of a session is, like Stripe's since 2022-08-01, made when the buyer first confirms.
    """
    asked = asked or {}
    id = new_id("pi")
    intent: dict[str, Any] = {
        "id": id,
        "object": TYPE,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": asked.get("automatic_payment_methods"),
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": asked.get("capture_method", "automatic"),
        "client_secret": f"{id}_secret_{new_id('s', length=25)[2:]}",
        "confirmation_method": "automatic",
        "created": store.timestamp,
        "currency": currency,
        "customer": customer,
        "customer_account": None,
        "description": asked.get("description"),
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": merge_metadata({}, asked.get("metadata", {})),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": list(method_types),
        "processing": None,
        "receipt_email": asked.get("receipt_email"),
        "review": None,
        "setup_future_usage": asked.get("setup_future_usage"),
        "shipping": None,
        "source": None,
        "statement_descriptor": asked.get("statement_descriptor"),
        "statement_descriptor_suffix": asked.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }
    stored = store.insert(intent, private=private)
    emit(store, type="payment_intent.created", object=intent)
    return stored


def _create(call: Call) -> dict[str, Any]:
    params, store = call.params, call.store
    require_chargeable(params["amount"], params["currency"], param="amount", what="Amount")
    if params.get("off_session") and not params.get("confirm"):
        raise invalid("`off_session` can only be used with `confirm`.", param="off_session")
    customer = require_customer(store, params["customer"]).id if "customer" in params else None
    method = _given_method(store, params, customer)
    intent = make_payment_intent(
        store,
        amount=params["amount"],
        currency=params["currency"],
        customer=customer,
        method_types=params.get("allowed_payment_method_types") or ["card"],
        asked=params,
        private={"return_url": params.get("return_url")},
    )
    if method is not None:
        intent.data |= {"payment_method": method.id, "status": "requires_confirmation"}
        store.save(intent)
    return _confirmed(store, intent, method, params) if params.get("confirm") else intent.data


def _given_method(store: Store, params: dict[str, Any], customer: str | None) -> Stored | None:
    if "payment_method" not in params:
        return None
    method = require_method(store, params["payment_method"])
    owner = method.data["customer"]
    if owner is not None and owner != customer:
        raise refused(
            f"The PaymentMethod {method.id} belongs to a Customer. Please include the Customer in the `customer`"
            " parameter on the PaymentIntent.",
            param="payment_method",
        )
    return method


def _confirmed(store: Store, intent: Stored, method: Stored | None, params: dict[str, Any]) -> dict[str, Any]:
    """Raises StripeError (402), after which the declined attempt stays on record."""
    if method is None:
        raise missing_param("payment_method")
    intent.private["return_url"] = params.get("return_url", intent.private.get("return_url"))
    alone = bool(params.get("off_session") or params.get("error_on_requires_action"))
    if attempt(store, intent, method, off_session=alone) == "requires_payment_method":
        raise decline_error(intent)
    if intent.data["status"] == "processing":
        intent.due_at = store.seconds_from_now(read_faults(store.connection).settle_seconds)
        store.save(intent)
    for hook in AFTER_CONFIRM:
        hook(store, intent)
    finish_saving(store, intent)
    return intent.data


def finish_saving(store: Store, intent: Stored) -> None:
    """The method of an intent that is through is the customer's, where `setup_future_usage` asked for it."""
    if intent.data["status"] not in ("succeeded", "requires_capture", "processing"):
        return
    if intent.data["setup_future_usage"] is None or intent.data["customer"] is None:
        return
    method = store.require("payment_method", intent.data["payment_method"])
    attach(store, method, customer=intent.data["customer"], set_up=True)


def _confirm(call: Call) -> dict[str, Any]:
    store, params = call.store, call.params
    for hook in BEFORE_CONFIRM:
        hook(store, call.id)
    intent = found(call, type=TYPE, param="intent", lock=True)
    _require_status(intent, CONFIRMABLE, verb="confirm")
    chosen = params if "payment_method" in params else {"payment_method": intent.data["payment_method"]}
    if chosen["payment_method"] is None:
        raise refused(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update "
            "the PaymentIntent with a payment method and then confirm it again, or confirm it again directly "
            "with a payment method or ConfirmationToken.",
            code="payment_intent_unexpected_state",
        )
    return _confirmed(store, intent, _given_method(store, chosen, intent.data["customer"]), params)


def _cancel(call: Call) -> dict[str, Any]:
    intent = found(call, type=TYPE, param="intent", lock=True)
    _require_status(intent, (*CONFIRMABLE, "requires_capture"), verb="cancel")
    cancel_intent(call.store, intent, reason=call.params.get("cancellation_reason"))
    return intent.data


def _capture(call: Call) -> dict[str, Any]:
    intent = found(call, type=TYPE, param="intent", lock=True)
    _require_status(intent, ("requires_capture",), verb="capture")
    amount = call.params.get("amount_to_capture")
    if amount is not None and amount > intent.data["amount_capturable"]:
        raise refused("The amount to capture is greater than what can be captured.", param="amount_to_capture")
    capture(call.store, intent, amount=amount)
    return intent.data


def _require_status(intent: Stored, allowed: tuple[str, ...], *, verb: str) -> None:
    if intent.data["status"] not in allowed:
        raise refused(
            f"You cannot {verb} this PaymentIntent because it has a status of {intent.data['status']}."
            f" Only a PaymentIntent with one of the following statuses may be {verb}ed: {', '.join(allowed)}.",
            code="payment_intent_unexpected_state",
        )


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="intent", lock=True)
    changes = dict(call.params)
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(stored.data["metadata"], changes["metadata"])
    stored.data |= changes
    call.store.save(stored)
    return snapshot(stored.data)


def _list(call: Call) -> dict[str, Any]:
    match = {"customer": call.params["customer"]} if "customer" in call.params else {}
    return list_page(call.store, type=TYPE, url="/v1/payment_intents", params=call.params, match=match)


CONFIRM = {
    "error_on_requires_action": boolean(),
    "off_session": boolean(),
    "payment_method": text(max_length=255),
    "return_url": url(),
    "use_stripe_sdk": boolean(),
}

OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/payment_intents",
        _create,
        {
            **CONFIRM,
            "amount": integer(minimum=1),
            "allowed_payment_method_types": array(text(max_length=100)),
            "automatic_payment_methods": shape(
                {"allow_redirects": one_of("always", "never"), "enabled": boolean()}, required=("enabled",)
            ),
            "capture_method": one_of("automatic", "automatic_async", "manual"),
            "confirm": boolean(),
            "currency": currency(),
            "customer": text(max_length=255),
            "description": text(max_length=1_000),
            "metadata": metadata(),
            "receipt_email": email(),
            "setup_future_usage": one_of("off_session", "on_session"),
            "statement_descriptor": text(max_length=22),
            "statement_descriptor_suffix": text(max_length=22),
        },
        required=("amount", "currency"),
    ),
    create(
        "/v1/payment_intents/<id>",
        _update,
        {"description": text(max_length=1_000, blank=True), "metadata": metadata()},
    ),
    create("/v1/payment_intents/<id>/confirm", _confirm, CONFIRM),
    create(
        "/v1/payment_intents/<id>/cancel",
        _cancel,
        {"cancellation_reason": one_of("abandoned", "duplicate", "fraudulent", "requested_by_customer")},
    ),
    create("/v1/payment_intents/<id>/capture", _capture, {"amount_to_capture": integer(minimum=1)}),
    retrieve("/v1/payment_intents/<id>", type=TYPE, param="intent"),
    list_of("/v1/payment_intents", _list, {"created": range_of_time(), "customer": text(max_length=255)}),
)
