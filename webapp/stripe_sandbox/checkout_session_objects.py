"""Checkout Sessions as objects: how one is put together from its line items and discounts.

https://docs.stripe.com/api/checkout/sessions/object
"""

from datetime import UTC, datetime
from typing import Any

from webapp.stripe_sandbox.buyers import buyer_details
from webapp.stripe_sandbox.discounts import Chosen, choose_discounts, spread
from webapp.stripe_sandbox.errors import StripeError, invalid, no_such
from webapp.stripe_sandbox.money import require_chargeable
from webapp.stripe_sandbox.operations import merge_metadata
from webapp.stripe_sandbox.price_amounts import amount_of, in_currency
from webapp.stripe_sandbox.resources.checkout_session_params import (
    LONGEST_SECONDS,
    recurring_price,
    require_consistent,
    require_tax_location,
)
from webapp.stripe_sandbox.resources.customers import require_customer
from webapp.stripe_sandbox.resources.payment_methods import delayed_type
from webapp.stripe_sandbox.resources.prices import make_inline_price
from webapp.stripe_sandbox.resources.setup_intents import make_setup_intent
from webapp.stripe_sandbox.store import Store, Stored, new_id
from webapp.stripe_sandbox.taxes import tax_items

TYPE = "checkout.session"


def make_session(store: Store, params: dict[str, Any]) -> dict[str, Any]:
    """An open session exists with its line items and a pay page; it expires by itself. Sends no event."""
    require_consistent(params, now=store.timestamp)
    mode = params["mode"]
    customer = require_customer(store, params["customer"]) if "customer" in params else None
    require_tax_location(params, customer.data if customer else None)
    trial = bool({"trial_end", "trial_period_days"} & params.get("subscription_data", {}).keys())
    items = _make_items(store, params.get("line_items", []), mode=mode, currency=params.get("currency"), trial=trial)
    session = _new_session(store, params, items=items, customer=customer)
    private = {
        "payment_method_data": params.get("payment_method_data", {}),
        "items": items,
        "payment_intent_data": params.get("payment_intent_data", {}),
        "subscription_data": params.get("subscription_data", {}),
    }
    stored = store.insert(session, private=private, due_at=datetime.fromtimestamp(session["expires_at"], UTC))
    if mode == "setup":
        setup = make_setup_intent(
            store,
            customer=session["customer"],
            asked=params.get("setup_intent_data", {}),
            private={"session": session["id"]},
        )
        session["setup_intent"] = setup.id
        store.save(stored)
        return session
    chosen = choose_discounts(
        store,
        params.get("discounts", []),
        customer=session["customer"],
        amount=session["amount_subtotal"],
        currency=session["currency"],
    )
    discount_session(store, stored, chosen)
    require_chargeable(session["amount_total"], session["currency"], param="line_items")
    return session


def discount_session(store: Store, session: Stored, chosen: list[Chosen]) -> None:
    """These discounts, and no others, are taken off the open session's items, and what is left is taxed; saved."""
    items, data = session.private["items"], session.data
    amounts = [item["amount_subtotal"] for item in items]
    taken = spread(store, chosen, amounts, currency=data["currency"])
    for place, item in enumerate(items):
        item["amount_discount"] = sum(shares[place] for shares in taken)
    data["total_details"]["amount_tax"] = tax_items(store, data, items)
    data["discounts"] = chosen
    data["amount_total"] = sum(item["amount_total"] for item in items)
    data["total_details"]["amount_discount"] = sum(item["amount_discount"] for item in items)
    store.save(session)


def _new_session(
    store: Store, params: dict[str, Any], *, items: list[dict[str, Any]], customer: Stored | None
) -> dict[str, Any]:
    id = f"cs_test_a1{new_id('s', length=56)[2:]}"
    mode = params["mode"]
    currency = items[0]["currency"] if items else params.get("currency")
    invoiced = params.get("invoice_creation", {})
    taxed = params.get("automatic_tax", {}).get("enabled", False)
    return {
        "id": id,
        "object": TYPE,
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "amount_subtotal": sum(item["amount_subtotal"] for item in items) if items else None,
        "amount_total": sum(item["amount_total"] for item in items) if items else None,
        "automatic_tax": {
            "enabled": taxed,
            "liability": {"type": "self"} if taxed else None,
            "provider": "stripe" if taxed else None,
            "status": "complete" if taxed else None,
        },
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": _consent_collection(params),
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
        "customer_creation": _customer_creation(params, customer),
        "customer_details": _first_details(params, customer),
        "customer_email": params.get("customer_email"),
        "discounts": [],
        "expires_at": params.get("expires_at", store.timestamp + LONGEST_SECONDS),
        "integration_identifier": params.get("integration_identifier"),
        "invoice": None,
        "invoice_creation": {
            "enabled": invoiced.get("enabled", False),
            "invoice_data": {
                "account_tax_ids": None,
                "custom_fields": None,
                "description": None,
                "footer": None,
                "issuer": None,
                "metadata": {},
                "rendering_options": None,
            }
            | invoiced.get("invoice_data", {}),
        }
        if mode == "payment"
        else None,
        "livemode": False,
        "locale": params.get("locale"),
        "managed_payments": {"enabled": False},
        "metadata": merge_metadata({}, params.get("metadata", {})),
        "mode": mode,
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": params.get(
            "payment_method_collection", "always" if mode == "subscription" else "if_required"
        ),
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": _method_types(params, currency),
        "payment_status": "no_payment_required" if mode == "setup" else "unpaid",
        "permissions": None,
        "phone_number_collection": params.get("phone_number_collection", {"enabled": False}),
        "recovered_from": None,
        "saved_payment_method_options": _saved_options(params),
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


def _method_types(params: dict[str, Any], currency: str | None) -> list[str]:
    types: list[str] = params.get("allowed_payment_method_types", [])
    return types or ["card", *([delayed_type(currency)] if currency else [])]


def _customer_creation(params: dict[str, Any], customer: Stored | None) -> str | None:
    if customer is not None or params["mode"] == "subscription":
        return None
    if params.get("invoice_creation", {}).get("enabled"):
        return "always"
    return str(params.get("customer_creation", "if_required"))


def _consent_collection(params: dict[str, Any]) -> dict[str, Any] | None:
    asked = params.get("consent_collection")
    blank = {"payment_method_reuse_agreement": None, "promotions": None, "terms_of_service": None}
    return blank | asked if asked else None


def _saved_options(params: dict[str, Any]) -> dict[str, Any] | None:
    asked = params.get("saved_payment_method_options")
    blank = {"allow_redisplay_filters": None, "payment_method_remove": None, "payment_method_save": None}
    return blank | asked if asked else None


def _first_details(params: dict[str, Any], customer: Stored | None) -> dict[str, Any] | None:
    email = customer.data["email"] if customer else params.get("customer_email")
    if email is None:
        return None
    return buyer_details(email=email, known=customer)


def _make_items(
    store: Store, asked: list[dict[str, Any]], *, mode: str, currency: str | None, trial: bool
) -> list[dict[str, Any]]:
    items = [
        _make_item(store, item, param=f"line_items[{place}]", mode=mode, currency=currency, trial=trial)
        for place, item in enumerate(asked)
    ]
    if mode == "subscription" and not any(item["price"]["recurring"] for item in items):
        raise invalid(
            "You must provide at least one recurring price in `subscription` mode when using prices.",
            param="line_items",
        )
    currencies = {item["currency"] for item in items} | ({currency} if currency else set())
    if len(currencies) > 1:
        raise invalid(
            "The currencies of all line items, and `currency` where it is given, must be the same. Got: "
            f"{', '.join(sorted(currencies))}.",
            param="line_items",
        )
    return items


def _make_item(
    store: Store, asked: dict[str, Any], *, param: str, mode: str, currency: str | None, trial: bool
) -> dict[str, Any]:
    price = _price_of(store, asked, param=param, mode=mode, currency=currency)
    product = store.find("product", price["product"])
    free = trial and price["recurring"] is not None
    amount = 0 if free else amount_of(price, quantity=asked["quantity"])
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
        "price": price,
        "quantity": asked["quantity"],
    }


def _price_of(store: Store, asked: dict[str, Any], *, param: str, mode: str, currency: str | None) -> dict[str, Any]:
    if "price_data" in asked:
        return make_inline_price(store, asked["price_data"], param=f"{param}[price_data]")
    stored = store.find("price", asked["price"])
    if stored is None:
        raise no_such("price", asked["price"], param=f"{param}[price]", status=400)
    if not stored.data["active"]:
        raise StripeError(
            "The price specified is inactive. This field only accepts active prices.", param=f"{param}[price]"
        )
    if mode == "payment" and stored.data["type"] == "recurring":
        raise recurring_price(param)
    return in_currency(stored, currency, param=f"{param}[price]")
