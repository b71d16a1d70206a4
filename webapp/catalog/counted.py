"""Prices that depend on how many units were used before, as plain values: open until that is known, then settled.

A pricing (the arithmetic of a charge) is open while it has `count`: which price applies, what was measured, and whether
a plan limits the feature. It may be kept so, for usage that is charged later. Knows no database.
"""

from collections.abc import Mapping
from typing import Any

from webapp.catalog.pricing import Allowance, Line, Pricing
from webapp.catalog.pricing_terms import pricing_from, terms_of

COUNT = "count"


def open_pricing(
    pricing: Mapping[str, Any],
    *,
    applied: Pricing,
    measured: Mapping[str, int],
    when: Mapping[str, str] | None,
    limited: bool,
) -> dict[str, Any]:
    """The arithmetic as if nothing was free, and what it takes to do it again."""
    return {
        **pricing,
        COUNT: {"terms": terms_of(applied), "measured": dict(measured), "when": when, "limited": limited},
    }


def is_open(pricing: Mapping[str, Any] | None) -> bool:
    """Whether what was used before has to be counted."""
    return pricing is not None and COUNT in pricing


def is_limited(pricing: Mapping[str, Any]) -> bool:
    """Whether some plan has a ceiling for the feature."""
    return bool(pricing[COUNT]["limited"])


def allowance_of(pricing: Mapping[str, Any]) -> Allowance | None:
    """What of an open pricing's feature is free."""
    free = pricing[COUNT]["terms"].get("free")
    return None if free is None else Allowance(**free)


def settle(pricing: Mapping[str, Any], *, used: int) -> dict[str, Any]:
    """The arithmetic of an open pricing where `used` units of the allowance's window were used before it."""
    settled = {name: value for name, value in pricing.items() if name != COUNT}
    allowance = allowance_of(pricing)
    left = max(allowance.quantity - used, 0) if allowance else 0
    if left == 0:
        return settled
    count = pricing[COUNT]
    lines: list[Line] = pricing_from(count["terms"]).lines(
        pricing["quantity"], count["measured"], free_left=left, used=used
    )
    if count["when"]:
        lines = [{**line, "when": count["when"]} for line in lines]
    credits: int = sum(line["credits"] for line in lines)
    return {**settled, "lines": lines, "credits": credits}


def settle_free(pricing: Mapping[str, Any], *, units: int) -> dict[str, Any]:
    """The same where up to `units` of an open pricing's units were promised to be free; a settled one is as it is."""
    if not is_open(pricing):
        return dict(pricing)
    allowance = allowance_of(pricing)
    return settle(pricing, used=allowance.quantity - units if allowance else 0)


def free_units(pricing: Mapping[str, Any] | None) -> int:
    """How many of the units cost nothing because an allowance covered them."""
    lines = (pricing or {}).get("lines", ())
    return sum(line["quantity"] for line in lines if "free" in line)
