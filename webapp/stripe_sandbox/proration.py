"""What a change of a subscription comes to: its new items and period, and the lines that it is billed by.

https://docs.stripe.com/billing/subscriptions/prorations and
https://docs.stripe.com/billing/subscriptions/change-price
"""

from dataclasses import dataclass
from typing import Any

from webapp.stripe_sandbox.errors import StripeError, exclusive_params, invalid, missing_param, no_such
from webapp.stripe_sandbox.invoice_lines import full_line, remaining_line, unused_line
from webapp.stripe_sandbox.periods import next_end
from webapp.stripe_sandbox.price_amounts import in_currency
from webapp.stripe_sandbox.resources.prices import make_inline_price
from webapp.stripe_sandbox.store import Store, snapshot
from webapp.stripe_sandbox.subscription_objects import items_of, new_item, period_of, plan_of, recurring_of

Lines = list[dict[str, Any]]


@dataclass(frozen=True)
class Change:
    items: Lines  # the subscription's items afterwards
    anchor: int
    trial_end: int | None
    prorations: Lines
    restarts: bool  # a new period begins now, and is billed now

    def full_lines(self, store: Store, subscription: str) -> Lines:
        start, end = self.items[0]["current_period_start"], self.items[0]["current_period_end"]
        return [full_line(store, item, subscription=subscription, period=(start, end)) for item in self.items]


def plan_change(
    store: Store,
    subscription: dict[str, Any],
    *,
    asked: list[dict[str, Any]] | None,
    prorates: bool,
    at: int | None = None,
    restart: bool = False,
    trial_end: int | str | None = None,
) -> Change:
    """The change, as yet applied to nothing; `at` is the moment that prorations count from (default: now).

    A new period begins when the interval changes, when free becomes paid, when a trial is ended by
    `trial_end="now"`, and when `restart` asks for it. Raises StripeError for items that cannot be.
    """
    old = items_of(subscription)
    trialing = subscription["status"] == "trialing"
    moment = store.timestamp if at is None else at
    start, end = period_of(subscription)
    if not start <= moment <= end:
        raise invalid("The proration date must be within the current period.", param="proration_date")
    new = change_items(store, old, asked, subscription=subscription) if asked is not None else snapshot(old)
    ends_trial = trialing and trial_end == "now"
    restarts = restart or ends_trial or _interval_of(old) != _interval_of(new) or _becomes_paid(old, new)
    restarts = restarts and (ends_trial or not trialing)
    ends = _new_trial_end(subscription, trial_end)
    prorations: Lines = []
    if prorates and not trialing:
        prorations = _prorate(store, subscription["id"], old, new, at=moment, restarts=restarts)
    anchor = subscription["billing_cycle_anchor"]
    if restarts:
        anchor = store.timestamp
        _set_period(new, (anchor, next_end(anchor, _interval_of(new), after=anchor)))
    elif ends is not None and ends != subscription["trial_end"]:
        anchor = ends
        _set_period(new, (start, ends))
    return Change(new, anchor, None if ends_trial else ends, prorations, restarts)


def change_items(store: Store, old: Lines, asked: list[dict[str, Any]], *, subscription: dict[str, Any]) -> Lines:
    """The items after `items[…]`: with `id` one is changed or deleted, without one is added."""
    new = snapshot(old)
    for place, one in enumerate(asked):
        param = f"items[{place}]"
        found = next((item for item in new if item["id"] == one.get("id")), None)
        if "id" in one and found is None:
            raise no_such("subscription item", one["id"], param=f"{param}[id]", status=400)
        if found is None:
            price = price_for(store, one, param=param, currency=subscription["currency"])
            if any(item["price"]["id"] == price["id"] for item in new):
                raise invalid(
                    f"Cannot add multiple subscription items with the same plan: {price['id']}", param=f"{param}[price]"
                )
            period = period_of(subscription)
            id, quantity = subscription["id"], one.get("quantity", 1)
            new.append(new_item(store, subscription=id, price=price, quantity=quantity, period=period))
        elif one.get("deleted"):
            new.remove(found)
        else:
            if "price" in one or "price_data" in one:
                price = price_for(store, one, param=param, currency=subscription["currency"])
                found |= {"price": snapshot(price), "plan": plan_of(price)}
            found["quantity"] = one.get("quantity", found["quantity"])
            found["metadata"] = one.get("metadata", found["metadata"])
    if not new:
        raise StripeError("A subscription must have at least one active plan.", param="items")
    require_one_interval(new)
    return new


def price_for(store: Store, asked: dict[str, Any], *, param: str, currency: str | None) -> dict[str, Any]:
    """The recurring price of an item, in the asked currency. Raises StripeError for any other."""
    if "price" in asked and "price_data" in asked:
        raise exclusive_params(f"{param}[price]", f"{param}[price_data]")
    if "price_data" in asked:
        price = make_inline_price(store, asked["price_data"], param=f"{param}[price_data]")
    elif "price" in asked:
        stored = store.find("price", asked["price"])
        if stored is None:
            raise no_such("price", asked["price"], param=f"{param}[price]", status=400)
        if not stored.data["active"]:
            raise StripeError(
                "The price specified is inactive. This field only accepts active prices.", param=f"{param}[price]"
            )
        price = in_currency(stored, currency, param=f"{param}[price]")
    else:
        raise missing_param(f"{param}[price]")
    if price["recurring"] is None:
        raise invalid(
            f"The price specified is set to `type=one_time` but this field only accepts prices with"
            f" `type=recurring`: {price['id']}",
            param=f"{param}[price]",
        )
    if currency and price["currency"] != currency:
        raise invalid(f"The price {price['id']} is not in {currency}.", param=f"{param}[price]")
    return price


def require_one_interval(items: Lines) -> None:
    if len({(i["price"]["recurring"]["interval"], i["price"]["recurring"]["interval_count"]) for i in items}) > 1:
        raise invalid("All prices of a subscription must have the same interval here.", param="items")


def _prorate(store: Store, id: str, old: Lines, new: Lines, *, at: int, restarts: bool) -> Lines:
    kept = {item["id"]: item for item in new}
    lines: Lines = []
    for item in old:
        after = kept.pop(item["id"], None)
        if not restarts and after and _costs_alike(item, after):
            continue
        lines.append(unused_line(store, item, subscription=id, at=at))
        if after and not restarts:
            lines.append(remaining_line(store, after, subscription=id, at=at))
    if not restarts:
        lines += [remaining_line(store, item, subscription=id, at=at) for item in kept.values()]
    return [line for line in lines if line["amount"] or not restarts]


def _costs_alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["price"]["id"] == other["price"]["id"] and one["quantity"] == other["quantity"])


def _becomes_paid(old: Lines, new: Lines) -> bool:
    return _is_free(old) and not _is_free(new)


def _is_free(items: Lines) -> bool:
    return all(float(item["price"]["unit_amount_decimal"]) * item["quantity"] == 0 for item in items)


def _interval_of(items: Lines) -> dict[str, Any]:
    recurring = recurring_of({"items": {"data": items}})
    return {key: recurring[key] for key in ("interval", "interval_count")}


def _new_trial_end(subscription: dict[str, Any], asked: int | str | None) -> int | None:
    if asked is None or asked == "now":
        ends: int | None = subscription["trial_end"]
        return ends
    return int(asked)


def _set_period(items: Lines, period: tuple[int, int]) -> None:
    for item in items:
        item["current_period_start"], item["current_period_end"] = period
