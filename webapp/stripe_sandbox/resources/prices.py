"""Prices: https://docs.stripe.com/api/prices"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from webapp.stripe_sandbox.errors import StripeError, exclusive_params, invalid, no_such, refused
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.expand import INCLUDABLE
from webapp.stripe_sandbox.form import Nested
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
    decimal,
    integer,
    metadata,
    one_of,
    range_of_time,
    shape,
    text,
    url,
)
from webapp.stripe_sandbox.resources.products import make_product, require_product
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

TYPE = "price"

RECURRING = shape(
    {
        "interval": one_of("day", "week", "month", "year"),
        "interval_count": integer(minimum=1, maximum=1_095),
        "trial_period_days": integer(minimum=1, maximum=730),
        "usage_type": one_of("licensed", "metered"),
    },
    required=("interval",),
)
TAX_BEHAVIOR = one_of("exclusive", "inclusive", "unspecified")
AMOUNTS: dict[str, Reader] = {"unit_amount": integer(minimum=0), "unit_amount_decimal": decimal()}
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
        "recurring": RECURRING,
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
        **_amounts(values),
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


def require_amount(values: dict[str, Any], *, param: str) -> None:
    """Raises StripeError unless exactly one of the two amounts is given."""
    names = [f"{param}[{key}]" if param else key for key in AMOUNTS]
    given = [key for key in AMOUNTS if key in values]
    if len(given) == 2:
        raise exclusive_params(*names)
    if not given:
        raise StripeError(
            f"You must specify one of {' or '.join(f'`{name}`' for name in names)}.",
            code="parameter_missing",
            param=names[0],
        )


def amount_of(price: dict[str, Any], *, quantity: int) -> int:
    """Minor units for so many of this price; a fraction is rounded half up once, at the end."""
    exact = Decimal(price["unit_amount_decimal"]) * quantity
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def in_currency(price: Stored, currency: str | None, *, param: str) -> dict[str, Any]:
    """The price as it is charged in a currency: its own, or one of its `currency_options`.

    Raises StripeError (400) where it has no amount in that currency.
    """
    if currency in (None, price.data["currency"]):
        return snapshot(price.data)
    option = price.private.get("currency_options", {}).get(currency)
    if option is None:
        raise StripeError(f"The price specified only supports `{price.data['currency']}`.", param=param)
    amounts = {key: option[key] for key in ("unit_amount", "unit_amount_decimal")}
    return snapshot(price.data) | amounts | {"currency": currency}


def _read_options(raw: Nested, name: str) -> dict[str, dict[str, Any]]:
    """`currency_options[usd][unit_amount]=900`"""
    if isinstance(raw, str):
        raise invalid("Invalid object", param=name)
    read = shape({**AMOUNTS, "tax_behavior": TAX_BEHAVIOR})
    options: dict[str, dict[str, Any]] = {}
    for code, values in raw.items():
        option = read(values, f"{name}[{code}]")
        require_amount(option, param=f"{name}[{code}]")
        options[currency()(code, name)] = _option(option)
    return options


def _option(values: dict[str, Any]) -> dict[str, Any]:
    return {
        "custom_unit_amount": None,
        "tax_behavior": values.get("tax_behavior", "unspecified"),
        **_amounts(values),
    }


def _options_of(store: Store, price: dict[str, Any]) -> dict[str, Any]:
    """The included hash `currency_options`, which names the price's own currency too."""
    stored = store.find(TYPE, price["id"])
    others = stored.private.get("currency_options", {}) if stored else {}
    return {price["currency"]: _option(price), **others}


INCLUDABLE[TYPE, "currency_options"] = _options_of


def _amounts(values: dict[str, Any]) -> dict[str, Any]:
    exact = Decimal(values.get("unit_amount_decimal", values.get("unit_amount", 0))).normalize()
    whole = int(exact) if exact == int(exact) else None
    return {"unit_amount": whole, "unit_amount_decimal": f"{exact:f}"}


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
    "currency_options": _read_options,
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
