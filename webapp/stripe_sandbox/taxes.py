"""Stripe Tax as far as one rate for everything goes: the settings `tax_percent` and `tax_inclusive`.

https://docs.stripe.com/tax/products-prices-tax-codes-tax-behavior
"""

from decimal import Decimal
from typing import Any

from webapp.stripe_sandbox.faults import Faults, read_faults
from webapp.stripe_sandbox.money import round_money
from webapp.stripe_sandbox.store import Store

UNTAXED = ("exempt", "reverse")


def tax_items(store: Store, session: dict[str, Any], items: list[dict[str, Any]]) -> int:
    """Each item has its tax, on top of what it costs after discounts or within that; the sum of the taxes.

    Of sessions in payment mode alone, where `automatic_tax` is on and the buyer pays taxes. Minor units.
    """
    rate = _rate(store, session)
    for item in items:
        amount = item["amount_subtotal"] - item["amount_discount"]
        inclusive = _is_inclusive(item["price"], rate)
        item["amount_tax"] = tax_on(amount, session["currency"], percent=rate.tax_percent, inclusive=inclusive)
        item["amount_total"] = amount + (0 if inclusive else item["amount_tax"])
    return sum(item["amount_tax"] for item in items)


def tax_on(amount: int, currency: str, *, percent: float, inclusive: bool) -> int:
    """The tax in minor units, rounded half up to what can be charged: of `amount`, or contained in it."""
    share = Decimal(str(percent))
    return round_money(amount * share / ((100 + share) if inclusive else 100), currency)


def _rate(store: Store, session: dict[str, Any]) -> Faults:
    details = session["customer_details"] or {}
    taxed = session["mode"] == "payment" and session["automatic_tax"]["enabled"]
    return read_faults(store.connection) if taxed and details.get("tax_exempt") not in UNTAXED else Faults()


def _is_inclusive(price: dict[str, Any], rate: Faults) -> bool:
    behavior = price["tax_behavior"]
    return rate.tax_inclusive if behavior in (None, "unspecified") else bool(behavior == "inclusive")
