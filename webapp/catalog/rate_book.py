"""What things cost by the rates that are in force: one read of them, any number of quotes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.catalog.ceilings import PlanLimit
from webapp.catalog.counted import open_pricing
from webapp.catalog.pricing import MOST_CREDITS, Line, Pricing
from webapp.catalog.pricing_terms import PLAN
from webapp.catalog.rate_card import Rate, version_in_force

Dimensions = Mapping[str, Any]


class UnknownFeature(Exception):
    """No rate card in force knows `feature`."""

    def __init__(self, feature: str) -> None:
        self.feature = feature
        super().__init__(f"unknown feature {feature!r}")


class QuantityOutOfBounds(Exception):
    """A quantity is not a whole number from 1 to 10^15, or costs more than 10^15 credits."""

    def __init__(self, quantity: object) -> None:
        self.quantity = quantity
        super().__init__("the quantity or its cost is out of bounds")


class DimensionsRefused(Exception):
    """The price of the feature can do nothing with these dimensions.

    `reason`: unknown (it has no such one), number or text (what it must be), missing (`dimension` lists, of which at
    least one must be above 0), quantity (it is priced by dimensions alone, so the quantity must be 1).
    """

    def __init__(self, reason: str, dimension: str) -> None:
        self.reason = reason
        self.dimension = dimension
        super().__init__(f"dimension {dimension!r}: {reason}")


Refusal = UnknownFeature | QuantityOutOfBounds | DimensionsRefused


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What of a feature's price decides about a charge: `pricing` without variants, chosen by `when`, and the measures.

    `limited` says whether some plan has a ceiling for the feature.
    """

    pricing: Pricing
    measured: Mapping[str, int]
    when: Mapping[str, str] | None
    limited: bool

    @property
    def by_count(self) -> bool:
        """Whether what was used before has a say."""
        return self.limited or self.pricing.free is not None


@dataclass(frozen=True, kw_only=True)
class Quote:
    """`quantity` units of `feature` cost `credits` by that version of the rate card.

    `lines` and `pricing` are the arithmetic, made of plain values: `pricing` goes into `ledger.spend(pricing=…)`
    and comes back from the entry for "why was I charged". Where what was used before has a say, `credits` is what it
    costs when nothing is free, and `pricing` is open (counted.py) until that is settled.
    """

    credits: int
    feature: str
    quantity: int
    rate_card_version: int
    lines: list[Line]
    applied: Applied
    dimensions: Dimensions

    @cached_property
    def pricing(self) -> dict[str, Any]:
        pricing = {
            "rate_card_version": self.rate_card_version,
            "feature": self.feature,
            "quantity": self.quantity,
            "lines": self.lines,
            "credits": self.credits,
        }
        if self.dimensions:
            pricing["dimensions"] = dict(self.dimensions)
        if not self.applied.by_count:
            return pricing
        of = self.applied
        return open_pricing(pricing, applied=of.pricing, measured=of.measured, when=of.when, limited=of.limited)


def on_no_plan() -> str | None:
    return None


class Rated(NamedTuple):
    """A feature's price in that version of the rate card, and whether a plan limits how much of it may be used."""

    version: int
    pricing: Pricing
    limited: bool = False


class RateBook:
    """Rates as they were read."""

    def __init__(self, rates: Mapping[str, Rated]) -> None:
        self._rates = rates

    def rate_of(self, feature: str) -> Rated | None:
        """The version of the rate card and the price; None for a feature that is not in the book."""
        return self._rates.get(feature)

    def quote(
        self,
        *,
        feature: str,
        quantity: int = 1,
        dimensions: Dimensions | None = None,
        plan: Callable[[], str | None] = on_no_plan,
    ) -> Quote:
        """What that costs; `plan` is asked for the plan that the account is on where the price depends on it.

        Raises UnknownFeature, DimensionsRefused, and QuantityOutOfBounds for anything but a whole number from 1 to
        10^15 or a cost above 10^15 credits.
        """
        if type(quantity) is not int or not 1 <= quantity <= MOST_CREDITS:
            raise QuantityOutOfBounds(quantity)
        if feature not in self._rates:
            raise UnknownFeature(feature)
        rated = self._rates[feature]
        applied = _apply(rated, quantity, dimensions or {}, plan)
        lines = applied.pricing.lines(quantity, applied.measured)
        if applied.when:
            lines = [{**line, "when": dict(applied.when)} for line in lines]
        credits: int = sum(line["credits"] for line in lines)
        if credits > MOST_CREDITS:
            raise QuantityOutOfBounds(quantity)
        return Quote(
            credits=credits,
            feature=feature,
            quantity=quantity,
            rate_card_version=rated.version,
            lines=lines,
            applied=applied,
            dimensions=dimensions or {},
        )


_IN_FORCE = (
    "SELECT WHERE CAST(:kept_version AS integer) = (SELECT version FROM rate_cards WHERE effective_at <= :kept_until"
    " ORDER BY effective_at DESC, version DESC LIMIT 1)"
    " AND NOT EXISTS (SELECT FROM plan_limits WHERE feature = :kept_feature)"
)


def in_force(version: int, *, feature: str) -> ledger.Condition:
    """That this version of the rate card is the one in force now, and that no plan limits the feature.

    Versions themselves never change.
    """
    arguments = {"kept_version": version, "kept_until": clock.now(), "kept_feature": feature}
    return ledger.Condition(sql=_IN_FORCE, arguments=arguments)


def rates_in_force(session: Session, *, features: Collection[str]) -> RateBook:
    """What those of `features` cost now that have a price; one statement."""
    storable = [feature for feature in features if "\x00" not in feature]
    limited = exists().where(PlanLimit.feature == Rate.feature)
    wanted = select(Rate, limited).where(Rate.feature.in_(storable), Rate.version == version_in_force())
    found = session.execute(wanted)
    return RateBook({rate.feature: Rated(rate.version, rate.pricing, limits) for rate, limits in found})


def quote(
    session: Session,
    *,
    feature: str,
    quantity: int = 1,
    dimensions: Dimensions | None = None,
    plan: Callable[[], str | None] = on_no_plan,
) -> Quote:
    """What `quantity` units of `feature` cost now; changes nothing. Raises what `RateBook.quote` raises."""
    book = rates_in_force(session, features=[feature])
    return book.quote(feature=feature, quantity=quantity, dimensions=dimensions, plan=plan)


def _apply(rated: Rated, quantity: int, dimensions: Dimensions, plan: Callable[[], str | None]) -> Applied:
    pricing = rated.pricing
    if not dimensions and not pricing.variants and not pricing.rates:
        return Applied(pricing=pricing, measured={}, when=None, limited=rated.limited)
    names = pricing.chosen
    chosen: dict[str, str | None] = {name: dimensions[name] for name in dimensions if name in names and name != PLAN}
    for name, value in chosen.items():
        if not isinstance(value, str):
            raise DimensionsRefused("text", name)
    rest = {name: value for name, value in dimensions.items() if name not in chosen}
    if PLAN in names:
        chosen[PLAN] = plan()
    variant = pricing.variant_for(chosen)
    applied = variant.pricing if variant else pricing
    measured = _measured(applied, rest)
    if applied.rates and not any(measured.values()):
        raise DimensionsRefused("missing", ", ".join(rate.dimension for rate in applied.rates))
    if applied.rates and quantity != 1:
        raise DimensionsRefused("quantity", "quantity")
    when = dict(variant.when) if variant else None
    return Applied(pricing=replace(applied, variants=()), measured=measured, when=when, limited=rated.limited)


def _measured(pricing: Pricing, dimensions: Dimensions) -> dict[str, int]:
    known = pricing.measured
    for name, value in dimensions.items():
        if name not in known:
            raise DimensionsRefused("unknown", name)
        if type(value) is not int or not 0 <= value <= MOST_CREDITS:
            raise DimensionsRefused("number", name)
    return dict(dimensions)
