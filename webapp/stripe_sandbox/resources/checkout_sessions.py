"""Checkout Sessions in payment mode: https://docs.stripe.com/api/checkout/sessions"""

from datetime import UTC, datetime
from typing import Any

from webapp.stripe_sandbox.errors import StripeError, invalid, no_such, refused
from webapp.stripe_sandbox.expand import INCLUDABLE
from webapp.stripe_sandbox.money import require_chargeable
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
from webapp.stripe_sandbox.page import list_object, list_page, page_of
from webapp.stripe_sandbox.params import PAGE, email, metadata, one_of, range_of_time, shape, text
from webapp.stripe_sandbox.payments import buyer_details, expire_session
from webapp.stripe_sandbox.resources.checkout_session_params import (
    FIELDS,
    LONGEST_SECONDS,
    recurring_price,
    require_consistent,
)
from webapp.stripe_sandbox.resources.customers import require_customer
from webapp.stripe_sandbox.resources.payment_methods import delayed_type
from webapp.stripe_sandbox.resources.prices import amount_of, make_inline_price
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

TYPE = "checkout.session"


def make_session(store: Store, params: dict[str, Any]) -> dict[str, Any]:
    """An open session exists with its line items and a pay page; it expires by itself. Sends no event."""
    require_consistent(params, now=store.timestamp)
    customer = require_customer(store, params["customer"]) if "customer" in params else None
    items = _make_items(store, params["line_items"], currency=params.get("currency"))
    session = _new_session(store, params, items=items, customer=customer)
    require_chargeable(session["amount_total"], session["currency"], param="line_items")
    store.insert(
        session,
        private={"items": items, "payment_intent_data": params.get("payment_intent_data", {})},
        due_at=datetime.fromtimestamp(session["expires_at"], UTC),
    )
    return session


def _new_session(
    store: Store, params: dict[str, Any], *, items: list[dict[str, Any]], customer: Stored | None
) -> dict[str, Any]:
    id = f"cs_test_a1{new_id('s', length=56)[2:]}"
    currency = items[0]["currency"]
    return {
        "id": id,
        "object": TYPE,
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "amount_subtotal": sum(item["amount_subtotal"] for item in items),
        "amount_total": sum(item["amount_total"] for item in items),
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": store.timestamp,
        "currency": currency,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": None if customer is None else customer.id,
        "customer_account": None,
        "customer_creation": None if customer else params.get("customer_creation", "if_required"),
        "customer_details": _first_details(params, customer),
        "customer_email": params.get("customer_email"),
        "discounts": [],
        "expires_at": params.get("expires_at", store.timestamp + LONGEST_SECONDS),
        "integration_identifier": params.get("integration_identifier"),
        "invoice": None,
        "invoice_creation": {
            "enabled": False,
            "invoice_data": {
                "account_tax_ids": None,
                "custom_fields": None,
                "description": None,
                "footer": None,
                "issuer": None,
                "metadata": {},
                "rendering_options": None,
            },
        },
        "livemode": False,
        "locale": params.get("locale"),
        "managed_payments": {"enabled": False},
        "metadata": merge_metadata({}, params.get("metadata", {})),
        "mode": "payment",
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": params.get("payment_method_types") or ["card", delayed_type(currency)],
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": params.get("phone_number_collection", {"enabled": False}),
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": params.get("submit_type"),
        "subscription": None,
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{store.base_url}/c/pay/{id}",
        "wallet_options": None,
    }


def _first_details(params: dict[str, Any], customer: Stored | None) -> dict[str, Any] | None:
    email = customer.data["email"] if customer else params.get("customer_email")
    if email is None:
        return None
    return buyer_details(email=email, known=customer)


def _make_items(store: Store, asked: list[dict[str, Any]], *, currency: str | None) -> list[dict[str, Any]]:
    items = [_make_item(store, item, param=f"line_items[{place}]") for place, item in enumerate(asked)]
    currencies = {item["currency"] for item in items} | ({currency} if currency else set())
    if len(currencies) > 1:
        raise invalid(
            "The currencies of all line items, and `currency` where it is given, must be the same. Got: "
            f"{', '.join(sorted(currencies))}.",
            param="line_items",
        )
    return items


def _make_item(store: Store, asked: dict[str, Any], *, param: str) -> dict[str, Any]:
    price = _price_of(store, asked, param=param)
    product = store.find("product", price["product"])
    amount = amount_of(price, quantity=asked["quantity"])
    adjustable = {"enabled": False, "maximum": None, "minimum": None}
    return {
        "id": new_id("li"),
        "object": "item",
        "adjustable_quantity": adjustable | asked.get("adjustable_quantity", {}),
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": product.data["name"] if product else None,
        "metadata": merge_metadata({}, asked.get("metadata", {})),
        "price": snapshot(price),
        "quantity": asked["quantity"],
    }


def _price_of(store: Store, asked: dict[str, Any], *, param: str) -> dict[str, Any]:
    if "price_data" in asked:
        return make_inline_price(store, asked["price_data"], param=f"{param}[price_data]")
    stored = store.find("price", asked["price"])
    if stored is None:
        raise no_such("price", asked["price"], param=f"{param}[price]", status=400)
    if not stored.data["active"]:
        raise StripeError(
            "The price specified is inactive. This field only accepts active prices.", param=f"{param}[price]"
        )
    if stored.data["type"] == "recurring":
        raise recurring_price(param)
    return stored.data


def _create(call: Call) -> dict[str, Any]:
    return make_session(call.store, call.params)


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="session", lock=True)
    if "metadata" in call.params:
        stored.data["metadata"] = merge_metadata(stored.data["metadata"], call.params["metadata"])
        call.store.save(stored)
    return stored.data


def _expire(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="session", lock=True)
    if stored.data["status"] != "open":
        raise refused(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a'
            f" status of `{stored.data['status']}`."
        )
    expire_session(call.store, stored)
    return stored.data


def _list(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "customer", "payment_intent", "status")
    if call.params.get("customer_details"):
        match["customer_details"] = call.params["customer_details"]
    return list_page(call.store, type=TYPE, url="/v1/checkout/sessions", params=call.params, match=match)


def _list_items(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="session")
    url = f"/v1/checkout/sessions/{stored.id}/line_items"
    return page_of(stored.private["items"], url=url, params=call.params)


def _items_of(store: Store, session: dict[str, Any]) -> dict[str, Any]:
    stored = store.find(TYPE, session["id"])
    items = stored.private["items"] if stored else []
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return list_object(snapshot({"items": items[:10]})["items"], url=url, has_more=len(items) > 10)


INCLUDABLE[TYPE, "line_items"] = _items_of

OPERATIONS: tuple[Operation, ...] = (
    create("/v1/checkout/sessions", _create, FIELDS),
    create("/v1/checkout/sessions/<id>", _update, {"metadata": metadata()}),
    create("/v1/checkout/sessions/<id>/expire", _expire, {}),
    retrieve("/v1/checkout/sessions/<id>", type=TYPE, param="session"),
    list_of("/v1/checkout/sessions/<id>/line_items", _list_items, dict(PAGE)),
    list_of(
        "/v1/checkout/sessions",
        _list,
        {
            "created": range_of_time(),
            "customer": text(max_length=255),
            "customer_details": shape({"email": email()}, required=("email",)),
            "payment_intent": text(max_length=255),
            "status": one_of("complete", "expired", "open"),
        },
    ),
)
