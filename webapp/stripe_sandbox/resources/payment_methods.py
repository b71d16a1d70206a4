"""Payment methods: https://docs.stripe.com/api/payment_methods"""

from typing import Any

from webapp.stripe_sandbox.cards import CARDS, TOKENS, Card, find_card
from webapp.stripe_sandbox.errors import StripeError, card_declined, missing_param, no_such, refused
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.operations import Call, Operation, chosen, create, found, list_of, merge_metadata, retrieve
from webapp.stripe_sandbox.page import list_page
from webapp.stripe_sandbox.params import email, integer, metadata, one_of, shape, text
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

TYPE = "payment_method"

CHECKS = {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}
ADDRESS_KEYS = ("city", "country", "line1", "line2", "postal_code", "state")
REDISPLAY = one_of("always", "limited", "unspecified")
TOKEN_OF = {"tok_visa": "pm_card_visa", "tok_mastercard": "pm_card_mastercard", "tok_amex": "pm_card_amex"}

# what a buyer would use in this currency when the money takes days
DELAYED_TYPES = {"eur": "sepa_debit", "gbp": "bacs_debit", "usd": "us_bank_account", "cad": "acss_debit"}
OTHER_DELAYED_TYPE = "customer_balance"


def delayed_type(currency: str) -> str:
    return DELAYED_TYPES.get(currency, OTHER_DELAYED_TYPE)


def make_payment_method(
    store: Store,
    *,
    type: str = "card",
    card: Card | None = None,
    billing: dict[str, Any] | None = None,
    metadata: dict[str, str] | None = None,
    redisplay: str = "unspecified",
) -> Stored:
    """A payment method of nobody exists; `card` for the type "card" alone."""
    method: dict[str, Any] = {
        "id": new_id("pm"),
        "object": TYPE,
        "allow_redisplay": redisplay,
        "billing_details": blank_billing() | snapshot(billing or {}),
        "created": store.timestamp,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": merge_metadata({}, metadata or {}),
        "type": type,
    }
    if card is not None:
        method["card"] = {
            **card.shown(),
            "checks": dict(CHECKS),
            "country": "US",
            "display_brand": card.brand,
            "exp_month": 12,
            "exp_year": 2034,
            "generated_from": None,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        }
    return store.insert(method, private={"card": card.number} if card else {})


def blank_billing() -> dict[str, Any]:
    address = dict.fromkeys(ADDRESS_KEYS)
    return {"address": address, "email": None, "name": None, "phone": None, "tax_id": None}


def card_of(method: Stored) -> Card | None:
    """The test card behind it; None for other types."""
    return CARDS.get(method.private.get("card", ""))


def method_details(card: Card | None, *, type: str, amount: int, authenticated: bool = False) -> dict[str, Any]:
    """`payment_method_details` of a charge; types other than card tell their name only."""
    if card is None:
        return {"type": type}
    secured = {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": "2b0c5f0e-6f0c-4f1a-9f55-3d6a6f6f7c11",
        "version": "2.2.0",
    }
    return {
        "type": "card",
        "card": {
            **card.shown(),
            "amount_authorized": amount,
            "authorization_code": None,
            "checks": dict(CHECKS),
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "extended_authorization": {"status": "disabled"},
            "incremental_authorization": {"status": "unavailable"},
            "installments": None,
            "mandate": None,
            "multicapture": {"status": "unavailable"},
            "network": card.brand,
            "network_token": {"used": False},
            "network_transaction_id": "103060017401620",
            "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
            "regulated_status": "unregulated",
            "three_d_secure": secured if authenticated else None,
            "transaction_link_id": None,
            "wallet": None,
        },
    }


def require_method(store: Store, id: str, *, param: str = "payment_method") -> Stored:
    """The payment method, locked; a test name such as `pm_card_visa` makes a new one of that card.

    Raises StripeError (400) for one that does not exist.
    """
    if id in TOKENS:
        return make_payment_method(store, card=TOKENS[id])
    stored = store.lock(TYPE, id)
    if stored is None:
        raise no_such("PaymentMethod", id, param=param, status=400)
    return stored


def attach(store: Store, method: Stored, *, customer: str, set_up: bool = False) -> None:
    """The customer has the method, and `payment_method.attached` tells so; nothing when it had it before.

    Raises StripeError when it is another's, or (402) a card that may not be saved.
    """
    if set_up and not method.private.get("set_up"):
        method.private["set_up"] = True
        store.save(method)
    if method.data["customer"] == customer:
        return
    if method.data["customer"] is not None:
        raise refused("The payment method you provided has already been attached to a customer.")
    if method.private.get("detached"):
        raise refused(
            "This PaymentMethod was previously used without being attached to a Customer or was detached from a"
            " Customer, and may not be used again."
        )
    card = card_of(method)
    if card and card.decline and not card.attachable:
        raise card_declined(card.decline[0], card.decline[2], decline_code=card.decline[1])
    method.data["customer"] = customer
    store.save(method)
    emit(store, type="payment_method.attached", object=method.data)


def methods_of(store: Store, customer: str) -> list[Stored]:
    """The customer's saved methods, newest first."""
    return store.match(TYPE, {"customer": customer}, limit=20)


def _create(call: Call) -> dict[str, Any]:
    params = call.params
    if params["type"] != "card":
        method = make_payment_method(
            call.store, type=params["type"], billing=params.get("billing_details"), metadata=params.get("metadata")
        )
        return method.data
    given = params.get("card")
    if given is None:
        raise missing_param("card")
    card = TOKENS.get(TOKEN_OF.get(given.get("token", ""), "")) or find_card(given.get("number", ""))
    if card is None:
        raise StripeError(
            "Your card number is incorrect.", status=402, type="card_error", code="incorrect_number", param="number"
        )
    billing, kept = params.get("billing_details"), params.get("metadata")
    return make_payment_method(call.store, card=card, billing=billing, metadata=kept).data


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="payment_method", lock=True)
    if stored.data["customer"] is None:
        raise refused(
            "You must save this PaymentMethod to a customer before you can update it.", code="resource_missing"
        )
    for key in ("metadata", "billing_details"):
        if key in call.params:
            stored.data[key] = merge_metadata(stored.data[key], call.params[key])
    stored.data["allow_redisplay"] = call.params.get("allow_redisplay", stored.data["allow_redisplay"])
    call.store.save(stored)
    emit(call.store, type="payment_method.updated", object=stored.data)
    return stored.data


def _attach(call: Call) -> dict[str, Any]:
    customer = call.store.find("customer", call.params["customer"])
    if customer is None:
        raise no_such("customer", call.params["customer"], param="customer", status=400)
    if call.id not in TOKENS:
        found(call, type=TYPE, param="payment_method")
    method = require_method(call.store, call.id)
    attach(call.store, method, customer=customer.id)
    return method.data


def _detach(call: Call) -> dict[str, Any]:
    method = found(call, type=TYPE, param="payment_method", lock=True)
    owner = method.data["customer"]
    if owner is None:
        raise refused("The payment method you provided is not attached to a customer so detachment is impossible.")
    method.data["customer"] = None
    method.private["detached"] = True
    call.store.save(method)
    customer = call.store.require("customer", owner)
    if customer.data["invoice_settings"]["default_payment_method"] == method.id:
        customer.data["invoice_settings"]["default_payment_method"] = None
        call.store.save(customer)
    emit(call.store, type="payment_method.detached", object=method.data, previous={"customer": owner})
    return method.data


def _list(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "customer", "type")
    return list_page(call.store, type=TYPE, url="/v1/payment_methods", params=call.params, match=match)


def _list_of_customer(call: Call) -> dict[str, Any]:
    owner = found(call, type="customer")
    match = {"customer": owner.id, **chosen(call.params, "type")}
    url = f"/v1/customers/{owner.id}/payment_methods"
    return list_page(call.store, type=TYPE, url=url, params=call.params, match=match)


BILLING = shape(
    {
        "address": shape({key: text(blank=True) for key in ADDRESS_KEYS}),
        "email": email(),
        "name": text(),
        "phone": text(),
    }
)
CARD = shape(
    {
        "cvc": text(),
        "exp_month": integer(minimum=1, maximum=12),
        "exp_year": integer(minimum=0, maximum=2_999),
        "number": text(max_length=30),
        "token": text(max_length=100),
    }
)
TYPES = one_of("card", *DELAYED_TYPES.values(), OTHER_DELAYED_TYPE)

OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/payment_methods",
        _create,
        {
            "allow_redisplay": REDISPLAY,
            "billing_details": BILLING,
            "card": CARD,
            "metadata": metadata(),
            "type": TYPES,
        },
        required=("type",),
    ),
    create(
        "/v1/payment_methods/<id>",
        _update,
        {"allow_redisplay": REDISPLAY, "billing_details": BILLING, "metadata": metadata()},
    ),
    create(
        "/v1/payment_methods/<id>/attach", _attach, {"customer": text(max_length=255)}, required=("customer",)
    ),
    create("/v1/payment_methods/<id>/detach", _detach, {}),
    retrieve("/v1/payment_methods/<id>", type=TYPE, param="payment_method"),
    list_of("/v1/payment_methods", _list, {"customer": text(max_length=255), "type": TYPES}),
    list_of("/v1/customers/<id>/payment_methods", _list_of_customer, {"type": TYPES}),
)  # fmt: skip
