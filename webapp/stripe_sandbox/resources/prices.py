"""Prices: https://docs.stripe.com/api/prices"""

from typing import Any

from webapp.stripe_sandbox.errors import StripeError, exclusive_params, no_such, refused
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
    Reader,
    array,
    boolean,
    currency,
    integer,
    metadata,
    one_of,
    range_of_time,
    shape,
    text,
    url,
)
from webapp.stripe_sandbox.price_amounts import (
    AMOUNTS,
    EVERY,
    INTERVAL,
    TAX_BEHAVIOR,
    TYPE,
    amounts_of,
    read_options,
    require_amount,
)
from webapp.stripe_sandbox.resources.products import make_product, require_product
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

RECURRING = shape(
    {
        "interval": INTERVAL,
        "interval_count": integer(minimum=1, maximum=1_095),
        "trial_period_days": integer(minimum=1, maximum=730),
        "usage_type": one_of("licensed", "metered"),
    },
    required=("interval",),
)
PRICE_DATA = shape(
    {
        **AMOUNTS,
        "currency": currency(),
        "product": text(max_length=255),
        "product_data": shape(
            {
                "description": text(max_length=40_000),
                "images": array(url(), max_length=8),
                "metadata": metadata(),
                "name": text(max_length=5_000),
                "tax_code": text(max_length=50),
                "unit_label": text(max_length=12),
            },
            required=("name",),
        ),
        "recurring": EVERY,
        "tax_behavior": TAX_BEHAVIOR,
    },
    required=("currency",),
)


def make_price(store: Store, values: dict[str, Any], *, announced: bool = True) -> dict[str, Any]:
    """A price exists. `values` holds `product` and `currency` and one of the amounts."""
    recurring = values.get("recurring")
    price: dict[str, Any] = {
        "id": new_id("price"),
        "object": TYPE,
        "active": values.get("active", True),
        "billing_scheme": "per_unit",
        "created": store.timestamp,
        "currency": values["currency"],
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": values.get("lookup_key"),
        "metadata": merge_metadata({}, values.get("metadata", {})),
        "nickname": values.get("nickname"),
        "product": values["product"],
        "recurring": None if recurring is None else _recurring(recurring),
        "tax_behavior": values.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time" if recurring is None else "recurring",
        **amounts_of(values),
    }
    store.insert(price, private={"currency_options": values.get("currency_options", {})})
    if announced:
        emit(store, type="price.created", object=price)
    return price


def make_inline_price(store: Store, values: dict[str, Any], *, param: str) -> dict[str, Any]:
    """The price of a line item's `price_data`: like Stripe's, it and its product are not active."""
    if "product" in values and "product_data" in values:
        raise exclusive_params(f"{param}[product]", f"{param}[product_data]")
    require_amount(values, param=param)
    if "product_data" in values:
        product_id = make_product(store, {**values["product_data"], "active": False}, announced=False)["id"]
    elif "product" in values:
        product_id = require_product(store, values["product"], param=f"{param}[product]").id
    else:
        raise StripeError(
            f"You must specify either `product` or `product_data` in {param}.",
            code="parameter_missing",
            param=f"{param}[product_data]",
        )
    return make_price(store, {**values, "product": product_id, "active": False}, announced=False)


def _recurring(values: dict[str, Any]) -> dict[str, Any]:
    defaults = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}
    return defaults | values


def _create(call: Call) -> dict[str, Any]:
    values = dict(call.params)
    require_amount(values, param="")
    transfer = values.pop("transfer_lookup_key", False)
    if values.get("lookup_key"):
        _free_lookup_key(call.store, values["lookup_key"], transfer=transfer)
    if "product" in values and "product_data" in values:
        raise exclusive_params("product", "product_data")
    if "product_data" in values:
        values["product"] = make_product(call.store, values.pop("product_data"))["id"]
    elif "product" in values:
        require_product(call.store, values["product"], param="product")
    else:
        raise StripeError("Missing required param: product.", code="parameter_missing", param="product")
    return make_price(call.store, values)


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="price", lock=True)
    changes = dict(call.params)
    transfer = changes.pop("transfer_lookup_key", False)
    if changes.get("lookup_key") and changes["lookup_key"] != stored.data["lookup_key"]:
        _free_lookup_key(call.store, changes["lookup_key"], transfer=transfer)
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(stored.data["metadata"], changes["metadata"])
    options = changes.pop("currency_options", None)
    if options is not None:
        stored.private["currency_options"] = stored.private.get("currency_options", {}) | options
        call.store.save(stored)
    previous = {key: stored.data[key] for key, value in changes.items() if stored.data[key] != value}
    if previous:
        stored.data |= changes
        call.store.save(stored)
        emit(call.store, type="price.updated", object=stored.data, previous=previous)
    return snapshot(stored.data)


def _free_lookup_key(store: Store, lookup_key: str, *, transfer: bool) -> None:
    """No price has the key any more. Raises StripeError when one has it and it may not be moved."""
    for holder in store.match(TYPE, {"lookup_key": lookup_key}, limit=1):
        if not transfer:
            raise refused(f"A price (`{holder.id}`) already uses that lookup key.", param="lookup_key")
        locked: Stored | None = store.lock(TYPE, holder.id)
        if locked is not None:
            locked.data["lookup_key"] = None
            store.save(locked)
            emit(store, type="price.updated", object=locked.data, previous={"lookup_key": lookup_key})


def _list(call: Call) -> dict[str, Any]:
    params = call.params
    match = chosen(params, "active", "currency", "product", "type")
    if "product" in match and call.store.find("product", match["product"]) is None:
        raise no_such("product", match["product"], param="product", status=400)
    keys = [{"lookup_key": key} for key in params["lookup_keys"]] if params.get("lookup_keys") else None
    return list_page(call.store, type=TYPE, url="/v1/prices", params=params, match=match, any_of=keys)


COMMON: dict[str, Reader] = {
    "active": boolean(),
    "currency_options": read_options,
    "lookup_key": text(max_length=200, blank=True),
    "metadata": metadata(),
    "nickname": text(max_length=5_000, blank=True),
    "tax_behavior": TAX_BEHAVIOR,
    "transfer_lookup_key": boolean(),
}

OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/prices",
        _create,
        {
            **COMMON,
            **AMOUNTS,
            "billing_scheme": one_of("per_unit"),
            "currency": currency(),
            "product": text(max_length=255),
            "product_data": shape(
                {
                    "active": boolean(),
                    "id": text(max_length=255),
                    "metadata": metadata(),
                    "name": text(max_length=5_000),
                    "statement_descriptor": text(max_length=22),
                    "tax_code": text(max_length=50),
                    "unit_label": text(max_length=12),
                },
                required=("name",),
            ),
            "recurring": RECURRING,
        },
        required=("currency",),
    ),
    create("/v1/prices/<id>", _update, COMMON),
    retrieve("/v1/prices/<id>", type=TYPE, param="price"),
    list_of(
        "/v1/prices",
        _list,
        {
            "active": boolean(),
            "created": range_of_time(),
            "currency": currency(),
            "lookup_keys": array(text(max_length=200), max_length=10),
            "product": text(max_length=255),
            "type": one_of("one_time", "recurring"),
        },
    ),
)
