"""What things cost by the rates that are in force: one read of them, any number of quotes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import clock, ledger
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
class Quote:
    """`quantity` units of `feature` cost `credits` by that version of the rate card.

    `lines` and `pricing` are the arithmetic, made of plain values: `pricing` goes into `ledger.spend(pricing=…)`
    and comes back from the entry for "why was I charged".
    """

    credits: int
    feature: str
    quantity: int
    rate_card_version: int
    lines: list[Line]

    @property
    def pricing(self) -> dict[str, Any]:
        return {
            "rate_card_version": self.rate_card_version,
            "feature": self.feature,
            "quantity": self.quantity,
            "lines": self.lines,
            "credits": self.credits,
        }


def on_no_plan() -> str | None:
    return None


class RateBook:
    """Rates as they were read."""

    def __init__(self, rates: Mapping[str, tuple[int, Pricing]]) -> None:
        self._rates = rates

    def rate_of(self, feature: str) -> tuple[int, Pricing] | None:
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
        version, pricing = self._rates[feature]
        lines = _lines(pricing, quantity, dimensions or {}, plan)
        credits: int = sum(line["credits"] for line in lines)
        if credits > MOST_CREDITS:
            raise QuantityOutOfBounds(quantity)
        return Quote(credits=credits, feature=feature, quantity=quantity, rate_card_version=version, lines=lines)


_IN_FORCE = (
    "SELECT WHERE CAST(:kept_version AS integer) = (SELECT version FROM rate_cards WHERE effective_at <= :kept_until"
    " ORDER BY effective_at DESC, version DESC LIMIT 1)"
)


def in_force(version: int) -> ledger.Condition:
    """That this version of the rate card is the one in force now; versions themselves never change."""
    return ledger.Condition(sql=_IN_FORCE, arguments={"kept_version": version, "kept_until": clock.now()})


def rates_in_force(session: Session, *, features: Collection[str]) -> RateBook:
    """What those of `features` cost now that have a price; one statement."""
    storable = [feature for feature in features if "\x00" not in feature]
    found = session.scalars(select(Rate).where(Rate.feature.in_(storable), Rate.version == version_in_force()))
    return RateBook({rate.feature: (rate.version, rate.pricing) for rate in found})


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


def _lines(pricing: Pricing, quantity: int, dimensions: Dimensions, plan: Callable[[], str | None]) -> list[Line]:
    if not dimensions and not pricing.variants and not pricing.rates:
        return pricing.lines(quantity)
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
    lines = applied.lines(quantity, measured)
    return [{**line, "when": dict(variant.when)} for line in lines] if variant else lines


def _measured(pricing: Pricing, dimensions: Dimensions) -> dict[str, int]:
    known = pricing.measured
    for name, value in dimensions.items():
        if name not in known:
            raise DimensionsRefused("unknown", name)
        if type(value) is not int or not 0 <= value <= MOST_CREDITS:
            raise DimensionsRefused("number", name)
    return dict(dimensions)
