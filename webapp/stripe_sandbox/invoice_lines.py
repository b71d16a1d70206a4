"""Lines of invoices: what a subscription's items cost for a period, and what a change in its middle costs.

https://docs.stripe.com/api/invoice-line-item and https://docs.stripe.com/billing/subscriptions/prorations
"""

from decimal import Decimal
from typing import Any

from webapp.stripe_sandbox.money import format_money, round_money
from webapp.stripe_sandbox.periods import show_day
from webapp.stripe_sandbox.price_amounts import amount_of
from webapp.stripe_sandbox.store import Store, new_id

Period = tuple[int, int]


def make_line(
    *,
    amount: int,
    currency: str,
    description: str,
    period: Period,
    quantity: int,
    price: dict[str, Any] | None,
    subscription: str | None = None,
    item: str | None = None,
    invoice_item: str | None = None,
    proration: bool = False,
) -> dict[str, Any]:
    """A line that is on no invoice yet; `amount` in minor units, negative for what is given back."""
    details = {"invoice_item": invoice_item, "proration": proration, "proration_details": {"credited_items": None}}
    details["subscription"] = subscription
    return {
        "id": new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": currency,
        "description": description,
        "discount_amounts": [],
        "discountable": not proration,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": {
            "invoice_item_details": None if item else details,
            "subscription_item_details": {**details, "subscription_item": item} if item else None,
            "type": "subscription_item_details" if item else "invoice_item_details",
        },
        "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [],
        "pricing": _pricing(price, amount=amount, quantity=quantity),
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subscription": subscription,
        "subtotal": amount,
        "taxes": [],
    }


def _pricing(price: dict[str, Any] | None, *, amount: int, quantity: int) -> dict[str, Any]:
    each = price["unit_amount_decimal"] if price else f"{(Decimal(amount) / max(1, quantity)).normalize():f}"
    details = {"price": price["id"], "product": price["product"]} if price else None
    return {"price_details": details, "type": "price_details", "unit_amount_decimal": each}


def is_proration(line: dict[str, Any]) -> bool:
    parent = line["parent"]
    return bool((parent["subscription_item_details"] or parent["invoice_item_details"])["proration"])


def full_line(store: Store, item: dict[str, Any], *, subscription: str, period: Period) -> dict[str, Any]:
    """What an item costs for a whole period."""
    price, quantity = item["price"], item["quantity"]
    per = price["recurring"]
    every = per["interval"] if per["interval_count"] == 1 else f"{per['interval_count']} {per['interval']}s"
    name = name_of(store, price)
    return make_line(
        amount=amount_of(price, quantity=quantity),
        currency=price["currency"],
        description=f"{quantity} × {name} (at {_shown_each(price)} / {every})",
        period=period,
        quantity=quantity,
        price=price,
        subscription=subscription,
        item=item["id"],
    )


def trial_line(store: Store, item: dict[str, Any], *, subscription: str, period: Period) -> dict[str, Any]:
    return make_line(
        amount=0,
        currency=item["price"]["currency"],
        description=f"Trial period for {name_of(store, item['price'])}",
        period=period,
        quantity=item["quantity"],
        price=item["price"],
        subscription=subscription,
        item=item["id"],
    )


def unused_line(store: Store, item: dict[str, Any], *, subscription: str, at: int) -> dict[str, Any]:
    """What of an item's period was paid and will not be used, as a negative amount."""
    return _part_line(store, item, subscription=subscription, at=at, sign=-1, words="Unused time on")


def remaining_line(store: Store, item: dict[str, Any], *, subscription: str, at: int) -> dict[str, Any]:
    """What an item costs for the rest of its period."""
    return _part_line(store, item, subscription=subscription, at=at, sign=1, words="Remaining time on")


def _part_line(
    store: Store, item: dict[str, Any], *, subscription: str, at: int, sign: int, words: str
) -> dict[str, Any]:
    price, quantity = item["price"], item["quantity"]
    start, end = item["current_period_start"], item["current_period_end"]
    amount = amount_of(price, quantity=quantity)
    part = prorate(amount, price["currency"], left=end - at, whole=end - start)
    several = f"{quantity} × " if quantity != 1 else ""
    return make_line(
        amount=sign * part,
        currency=price["currency"],
        description=f"{words} {several}{name_of(store, price)} after {show_day(at)}",
        period=(at, end),
        quantity=quantity,
        price=price,
        subscription=subscription,
        item=item["id"],
        proration=True,
    )


def prorate(amount: int, currency: str, *, left: int, whole: int) -> int:
    """`amount` × left ÷ whole, to the second, rounded half up to what can be charged."""
    if whole <= 0:
        return 0
    return round_money(Decimal(amount) * max(0, left) / whole, currency)


def name_of(store: Store, price: dict[str, Any]) -> str:
    product = store.find("product", price["product"])
    return str(product.data["name"]) if product else str(price["product"])


def _shown_each(price: dict[str, Any]) -> str:
    if price["unit_amount"] is None:
        return f"{price['unit_amount_decimal']} {price['currency']}"
    return format_money(price["unit_amount"], price["currency"])
