"""Setup intents, which save a payment method without a payment: https://docs.stripe.com/api/setup_intents"""

from typing import Any

from webapp.stripe_sandbox.errors import card_declined, refused
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.operations import (
    Call,
    Operation,
    chosen,
    create,
    found,
    list_of,
    merge_metadata,
    retrieve,
)
from webapp.stripe_sandbox.page import list_page
from webapp.stripe_sandbox.params import (
    array,
    boolean,
    metadata,
    one_of,
    range_of_time,
    shape,
    text,
    url,
)
from webapp.stripe_sandbox.resources.customers import require_customer
from webapp.stripe_sandbox.resources.payment_methods import attach, card_of, require_method
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

TYPE = "setup_intent"
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
SETUP_FAILED = ("card_declined", "generic_decline", "Your card was declined.")
NOT_AUTHENTICATED = (
    "setup_intent_authentication_failure",
    "",
    "The latest attempt to set up the payment method has failed because authentication failed.",
)


def make_setup_intent(
    store: Store, *, customer: str | None, asked: dict[str, Any] | None = None, private: dict[str, Any] | None = None
) -> Stored:
    """A setup intent exists, waiting for a payment method."""
    asked = asked or {}
    id = new_id("seti")
    intent: dict[str, Any] = {
        "id": id,
        "object": TYPE,
        "application": None,
        "automatic_payment_methods": asked.get("automatic_payment_methods"),
        "cancellation_reason": None,
        "client_secret": f"{id}_secret_{new_id('s', length=33)[2:]}",
        "created": store.timestamp,
        "customer": customer,
        "description": asked.get("description"),
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": merge_metadata({}, asked.get("metadata", {})),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": asked.get("allowed_payment_method_types") or ["card"],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": asked.get("usage", "off_session"),
    }
    stored = store.insert(intent, private=private)
    emit(store, type="setup_intent.created", object=intent)
    return stored


def attempt_setup(
    store: Store,
    intent: Stored,
    method: Stored,
    *,
    authenticated: bool = False,
    failure: tuple[str, str, str] | None = None,
) -> str:
    """The intent's status after one try: succeeded, requires_action or requires_payment_method."""
    card = card_of(method)
    declined = card.decline if card and not card.attachable else None
    failed = failure or declined
    if failed:
        _fail(store, intent, method, failed)
    elif card and card.authentication != "never" and not authenticated:
        intent.data |= {"status": "requires_action", "payment_method": method.id}
        back = intent.private.get("return_url")
        way = {"return_url": back, "url": f"{store.base_url}/authenticate/{intent.id}"}
        intent.data["next_action"] = {"type": "redirect_to_url", "redirect_to_url": way}
        store.save(intent)
        emit(store, type="setup_intent.requires_action", object=intent.data)
    else:
        _succeed(store, intent, method)
    return str(intent.data["status"])


def _succeed(store: Store, intent: Stored, method: Stored) -> None:
    if intent.data["customer"]:
        attach(store, method, customer=intent.data["customer"], set_up=True)
    else:
        method.private["set_up"] = True
        store.save(method)
    intent.data |= {"status": "succeeded", "payment_method": method.id}
    intent.data |= {"last_setup_error": None, "next_action": None}
    intent.data["latest_attempt"] = _record(store, intent, method, status="succeeded", error=None)
    store.save(intent)
    emit(store, type="setup_intent.succeeded", object=intent.data)


def _fail(store: Store, intent: Stored, method: Stored, failure: tuple[str, str, str]) -> None:
    code, decline_code, message = failure
    error = {"type": "card_error", "code": code, "message": message, "payment_method": snapshot(method.data)}
    if decline_code:
        error["decline_code"] = decline_code
    error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
    intent.data |= {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    intent.data["last_setup_error"] = error
    intent.data["latest_attempt"] = _record(store, intent, method, status="failed", error=error)
    store.save(intent)
    emit(store, type="setup_intent.setup_failed", object=intent.data)


def _record(store: Store, intent: Stored, method: Stored, *, status: str, error: dict[str, Any] | None) -> str:
    """The attempt is on record as a `setup_attempt`; its id."""
    kind = method.data["type"]
    card = method.data.get("card")
    shown = {}
    if card:
        keys = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
        shown = {"card": {key: card[key] for key in keys} | {"network": card["brand"]}}
        shown["card"] |= {"three_d_secure": None, "wallet": None}
    attempt = {
        "id": new_id("setatt"),
        "object": "setup_attempt",
        "application": None,
        "created": store.timestamp,
        "customer": intent.data["customer"],
        "customer_account": None,
        "flow_directions": None,
        "livemode": False,
        "on_behalf_of": None,
        "payment_method": method.id,
        "payment_method_details": {"type": kind, **shown},
        "setup_error": error,
        "setup_intent": intent.id,
        "status": status,
        "usage": intent.data["usage"],
    }
    store.insert(attempt)
    return str(attempt["id"])


def _create(call: Call) -> dict[str, Any]:
    params, store = call.params, call.store
    customer = require_customer(store, params["customer"]).id if "customer" in params else None
    method = require_method(store, params["payment_method"]) if "payment_method" in params else None
    private = {"return_url": params.get("return_url")}
    intent = make_setup_intent(store, customer=customer, asked=params, private=private)
    if method is not None:
        intent.data |= {"payment_method": method.id, "status": "requires_confirmation"}
        store.save(intent)
    if not params.get("confirm"):
        return intent.data
    if method is None:
        raise refused("You must provide a payment method to confirm the SetupIntent.", param="payment_method")
    return _confirmed(store, intent, method)


def _confirmed(store: Store, intent: Stored, method: Stored) -> dict[str, Any]:
    if attempt_setup(store, intent, method) == "requires_payment_method":
        told = intent.data["last_setup_error"]
        more = {"setup_intent": snapshot(intent.data), "payment_method": told["payment_method"]}
        raise card_declined(told["code"], told["message"], decline_code=told.get("decline_code"), more=more)
    return intent.data


def _confirm(call: Call) -> dict[str, Any]:
    intent = found(call, type=TYPE, param="intent", lock=True)
    _require_open(intent, verb="confirm")
    id = call.params.get("payment_method") or intent.data["payment_method"]
    if id is None:
        raise refused("You cannot confirm this SetupIntent because it's missing a payment method.")
    intent.private["return_url"] = call.params.get("return_url", intent.private.get("return_url"))
    return _confirmed(call.store, intent, require_method(call.store, id))


def cancel_setup_intent(store: Store, intent: Stored, *, reason: str | None) -> None:
    intent.data |= {"status": "canceled", "cancellation_reason": reason, "next_action": None}
    store.save(intent)
    emit(store, type="setup_intent.canceled", object=intent.data)


def _cancel(call: Call) -> dict[str, Any]:
    intent = found(call, type=TYPE, param="intent", lock=True)
    _require_open(intent, verb="cancel")
    cancel_setup_intent(call.store, intent, reason=call.params.get("cancellation_reason"))
    return intent.data


def _require_open(intent: Stored, *, verb: str) -> None:
    if intent.data["status"] not in OPEN:
        raise refused(
            f"You cannot {verb} this SetupIntent because it has a status of {intent.data['status']}.",
            code="setup_intent_unexpected_state",
        )


def _list(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "customer", "payment_method")
    return list_page(call.store, type=TYPE, url="/v1/setup_intents", params=call.params, match=match)


def _list_attempts(call: Call) -> dict[str, Any]:
    match = {"setup_intent": call.params.get("setup_intent", "")}
    return list_page(call.store, type="setup_attempt", url="/v1/setup_attempts", params=call.params, match=match)


ID = text(max_length=255)
CONFIRM = {"payment_method": ID, "return_url": url(), "use_stripe_sdk": boolean()}

OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/setup_intents",
        _create,
        {
            **CONFIRM,
            "allowed_payment_method_types": array(text(max_length=100)),
            "automatic_payment_methods": shape(
                {"allow_redirects": one_of("always", "never"), "enabled": boolean()}, required=("enabled",)
            ),
            "confirm": boolean(),
            "customer": ID,
            "description": text(max_length=1_000),
            "metadata": metadata(),
            "usage": one_of("off_session", "on_session"),
        },
    ),
    create("/v1/setup_intents/<id>/confirm", _confirm, CONFIRM),
    create(
        "/v1/setup_intents/<id>/cancel",
        _cancel,
        {"cancellation_reason": one_of("abandoned", "duplicate", "requested_by_customer")},
    ),
    retrieve("/v1/setup_intents/<id>", type=TYPE, param="intent"),
    list_of("/v1/setup_intents", _list, {"created": range_of_time(), "customer": ID, "payment_method": ID}),
    list_of("/v1/setup_attempts", _list_attempts, {"created": range_of_time(), "setup_intent": ID}),
)
