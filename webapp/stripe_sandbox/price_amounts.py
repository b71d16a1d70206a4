"""What a price costs: its amount, also in other currencies. https://docs.stripe.com/api/prices/object"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from webapp.stripe_sandbox.errors import StripeError, exclusive_params, invalid
from webapp.stripe_sandbox.expand import INCLUDABLE
from webapp.stripe_sandbox.form import Nested
from webapp.stripe_sandbox.params import Reader, currency, decimal, integer, one_of, shape
from webapp.stripe_sandbox.store import Store, Stored, snapshot

TYPE = "price"

INTERVAL = one_of("day", "week", "month", "year")
EVERY = shape({"interval": INTERVAL, "interval_count": integer(minimum=1, maximum=1_095)}, required=("interval",))
TAX_BEHAVIOR = one_of("exclusive", "inclusive", "unspecified")
AMOUNTS: dict[str, Reader] = {"unit_amount": integer(minimum=0), "unit_amount_decimal": decimal()}


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


def read_options(raw: Nested, name: str) -> dict[str, dict[str, Any]]:
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
        **amounts_of(values),
    }


def _options_of(store: Store, price: dict[str, Any]) -> dict[str, Any]:
    """The included hash `currency_options`, which names the price's own currency too."""
    stored = store.find(TYPE, price["id"])
    others = stored.private.get("currency_options", {}) if stored else {}
    return {price["currency"]: _option(price), **others}


INCLUDABLE[TYPE, "currency_options"] = _options_of


def amounts_of(values: dict[str, Any]) -> dict[str, Any]:
    exact = Decimal(values.get("unit_amount_decimal", values.get("unit_amount", 0))).normalize()
    whole = int(exact) if exact == int(exact) else None
    return {"unit_amount": whole, "unit_amount_decimal": f"{exact:f}"}
