"""How a feature is priced: whole numbers in, a whole number of credits and its arithmetic out. Knows no database.

Every figure is exact until the end; there the charge is rounded once, and never to less than the minimum. Of a charge
with several lines each line is what the running total grew by, so lines are whole and add up to the charge.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

MOST_CREDITS = 10**15
MODELS = ("flat", "per_unit", "graduated", "volume", "package", "dimensions")
ROUNDINGS = ("up", "half_up")
FREE_PERS = ("day", "month")

Line = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Tier:
    """Units up to and including number `up_to` (None: all further ones), at `credits` for each unit size."""

    up_to: int | None
    credits: int


@dataclass(frozen=True, kw_only=True)
class DimensionRate:
    """`credits` for each `unit_size` of what is measured as `dimension`, such as input_tokens."""

    dimension: str
    credits: int
    unit_size: int = 1


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """The first `quantity` units of each `per`, a calendar day or month of the account's time zone, cost nothing."""

    quantity: int
    per: str


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What the price is instead where each dimension of `when` has that value, such as model: large, or plan: pro."""

    when: tuple[tuple[str, str], ...]
    pricing: "Pricing"


@dataclass(frozen=True, kw_only=True)
class Pricing:
    """What a quantity of a feature costs.

    `flat`: `credits`, whatever the quantity. `per_unit`: `credits` for each `unit_size` units. `graduated`: each unit
    at the price of the tier that it lies in. `volume`: all units at the price of the tier that the quantity lies in.
    `package`: `credits` for each started `unit_size` units. `dimensions`: what was measured, each at its rate, added
    up; the quantity is 1. `rounding` is up or half_up, and no charge is below `minimum`. What is left of the allowance
    `free` costs nothing, and the rest what it would cost by itself. The first of the `variants` that applies stands in
    for all of that.
    """

    model: str
    credits: int = 0
    unit_size: int = 1
    rounding: str = "up"
    minimum: int = 1
    tiers: tuple[Tier, ...] = ()
    rates: tuple[DimensionRate, ...] = ()
    free: Allowance | None = None
    variants: tuple[Variant, ...] = ()

    @property
    def credits_per_unit(self) -> int | None:
        """What each unit costs, where that is all there is to say; else None."""
        plain = self.model == "per_unit" and self.unit_size == 1 and self.minimum <= self.credits
        return self.credits if plain and not self.variants and self.free is None else None

    @property
    def measured(self) -> frozenset[str]:
        """The dimensions that are numbers, without those of the variants."""
        return frozenset(rate.dimension for rate in self.rates)

    @property
    def chosen(self) -> frozenset[str]:
        """The dimensions that are texts, by which the variants differ."""
        return frozenset(name for variant in self.variants for name, _value in variant.when)

    def variant_for(self, chosen: Mapping[str, str | None]) -> Variant | None:
        """The variant that applies to what was chosen; None for none."""
        return next((one for one in self.variants if all(chosen.get(name) == value for name, value in one.when)), None)

    def lines(
        self, quantity: int, measured: Mapping[str, int] | None = None, *, free_left: int = 0, used: int = 0
    ) -> list[Line]:
        """The arithmetic of a charge for `quantity` units, from 1; the lines' `credits` add up to what it costs.

        `measured` is how much there was of each dimension; variants are for the caller to choose. `free_left` units
        are left of the allowance, of which `used` were used before.
        """
        if self.free is not None and (free := min(free_left, quantity)):
            line: Line = {
                "quantity": free,
                "free": self.free.quantity,
                "per": self.free.per,
                "used": used,
                "credits": 0,
            }
            return [line, *self.lines(quantity - free, measured)] if quantity > free else [line]
        if self.rates:
            return _round_lines(self, _measured(self, measured or {}))
        return _round_lines(self, _SHARES[self.model](self, quantity))

    def cost(self, quantity: int) -> int:
        """What `quantity` units cost, at least 1."""
        return sum(line["credits"] for line in self.lines(quantity))


@dataclass(frozen=True, kw_only=True)
class Share:
    """Part of a charge before it is rounded."""

    exact: Fraction
    line: Line = field(default_factory=dict)


def _round_lines(pricing: Pricing, shares: list[Share]) -> list[Line]:
    exact, charged = Fraction(0), 0
    lines: list[Line] = []
    for share in shares:
        exact += share.exact
        rounded = round_credits(exact, pricing.rounding)
        lines.append({**share.line, "credits": rounded - charged})
        charged = rounded
    if charged < pricing.minimum:
        lines.append({"minimum": pricing.minimum, "credits": pricing.minimum - charged})
    return lines


def round_credits(exact: Fraction, rounding: str) -> int:
    """Whole credits: the next ones above, or the nearest, where half a credit is rounded up."""
    if rounding == "up":
        return -(-exact.numerator // exact.denominator)
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


def _flat(pricing: Pricing, quantity: int) -> list[Share]:
    return [Share(exact=Fraction(pricing.credits), line={"model": "flat", "quantity": quantity})]


def _per_unit(pricing: Pricing, quantity: int) -> list[Share]:
    return [_units(pricing, quantity, pricing.credits)]


def _graduated(pricing: Pricing, quantity: int) -> list[Share]:
    shares, before = [], 0
    for tier in pricing.tiers:
        within = min(quantity, tier.up_to or quantity) - before
        if within <= 0:
            break
        where = {"model": "graduated", "from": before + 1, "up_to": tier.up_to}
        shares.append(_units(pricing, within, tier.credits, **where))
        before += within
    return shares


def _volume(pricing: Pricing, quantity: int) -> list[Share]:
    before = 0
    for tier in pricing.tiers:
        if tier.up_to is None or quantity <= tier.up_to:
            return [
                _units(pricing, quantity, tier.credits, **{"model": "volume", "from": before + 1, "up_to": tier.up_to})
            ]
        before = tier.up_to
    raise ValueError("the last tier has an end")


def _package(pricing: Pricing, quantity: int) -> list[Share]:
    started = -(-quantity // pricing.unit_size)
    line = {
        "model": "package",
        "quantity": quantity,
        "packages": started,
        "unit_size": pricing.unit_size,
        "credits_per_unit": pricing.credits,
    }
    return [Share(exact=Fraction(started * pricing.credits), line=line)]


def _measured(pricing: Pricing, measured: Mapping[str, int]) -> list[Share]:
    shares = []
    for rate in pricing.rates:
        if quantity := measured.get(rate.dimension, 0):
            line: Line = {"dimension": rate.dimension, "quantity": quantity, "credits_per_unit": rate.credits}
            if rate.unit_size > 1:
                line |= {"unit_size": rate.unit_size, "rounding": pricing.rounding}
            shares.append(Share(exact=Fraction(quantity * rate.credits, rate.unit_size), line=line))
    return shares


def _units(pricing: Pricing, quantity: int, credits: int, **more: Any) -> Share:
    line = {"quantity": quantity, "credits_per_unit": credits, **more}
    if pricing.unit_size > 1:
        line |= {"unit_size": pricing.unit_size, "rounding": pricing.rounding}
    return Share(exact=Fraction(quantity * credits, pricing.unit_size), line=line)


_SHARES: dict[str, Callable[[Pricing, int], list[Share]]] = {
    "flat": _flat,
    "per_unit": _per_unit,
    "graduated": _graduated,
    "volume": _volume,
    "package": _package,
}
