"""The rate card: what each feature costs in credits, versioned, so that an old charge can always be explained."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Integer, Select, Text, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.catalog.pricing import MOST_CREDITS, Line, Pricing
from webapp.catalog.pricing_terms import pricing_from
from webapp.extensions import Base


class Feature(Base):
    """Something of the product that costs credits; name, description and unit are the English source texts."""

    __tablename__ = "features"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(Integer)


class RateCard(Base):
    """One published version. The one that took effect last is in force; of several at that moment the highest."""

    __tablename__ = "rate_cards"

    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    effective_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    published_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Rate(Base):
    """What a feature costs in one version of the rate card: so much a unit, or by `terms` of pricing_terms.py."""

    __tablename__ = "rates"

    version: Mapped[int] = mapped_column(ForeignKey("rate_cards.version"), primary_key=True)
    feature: Mapped[str] = mapped_column(ForeignKey("features.key"), primary_key=True)
    credits_per_unit: Mapped[int | None] = mapped_column(BigInteger)
    terms: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    @property
    def pricing(self) -> Pricing:
        if self.terms is not None:
            return pricing_from(self.terms)
        assert self.credits_per_unit is not None
        return Pricing(model="per_unit", credits=self.credits_per_unit)


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


@dataclass(frozen=True, kw_only=True)
class RatedFeature:
    """A feature and what it costs now."""

    key: str
    name: str
    description: str
    unit: str
    pricing: Pricing
    rate_card_version: int

    @property
    def credits_per_unit(self) -> int | None:
        """What each unit costs, where that is all there is to say; else None."""
        return self.pricing.credits_per_unit


def rate_card_in_force(session: Session) -> RateCard | None:
    """The rate card by which is charged now; None while there is none."""
    return session.scalars(_in_force(select(RateCard))).one_or_none()


def list_features(session: Session) -> list[RatedFeature]:
    """What the rate card in force prices, in the order of the shop window."""
    rows = session.execute(
        select(Feature, Rate)
        .join(Rate, Rate.feature == Feature.key)
        .where(Rate.version == _version_in_force())
        .order_by(Feature.position, Feature.key)
    )
    return [
        RatedFeature(
            key=feature.key,
            name=feature.name,
            description=feature.description,
            unit=feature.unit,
            pricing=rate.pricing,
            rate_card_version=rate.version,
        )
        for feature, rate in rows
    ]


def quote(session: Session, *, feature: str, quantity: int = 1) -> Quote:
    """What `quantity` units of `feature` cost now; changes nothing.

    Raises UnknownFeature, and QuantityOutOfBounds for anything but a whole number from 1 to 10^15 or a cost above
    10^15 credits.
    """
    _refuse_out_of_bounds(quantity)
    return _quoted(_rates(session, [feature]).get(feature), feature, quantity)


def quote_many(
    session: Session, *, wanted: Collection[tuple[str, int]]
) -> dict[tuple[str, int], "Quote | UnknownFeature | QuantityOutOfBounds"]:
    """What `quote` returns, or would raise, for each (feature, quantity), in one statement for all of them."""
    rates = _rates(session, {feature for feature, _quantity in wanted})
    quotes: dict[tuple[str, int], Quote | UnknownFeature | QuantityOutOfBounds] = {}
    for feature, quantity in wanted:
        try:
            _refuse_out_of_bounds(quantity)
            quotes[feature, quantity] = _quoted(rates.get(feature), feature, quantity)
        except (UnknownFeature, QuantityOutOfBounds) as refusal:
            quotes[feature, quantity] = refusal
    return quotes


def _refuse_out_of_bounds(quantity: object) -> None:
    if type(quantity) is not int or not 1 <= quantity <= MOST_CREDITS:
        raise QuantityOutOfBounds(quantity)


def _rates(session: Session, features: Collection[str]) -> dict[str, Rate]:
    """The rates in force of those of `features` that have one."""
    storable = [feature for feature in features if "\x00" not in feature]
    found = session.scalars(select(Rate).where(Rate.feature.in_(storable), Rate.version == _version_in_force()))
    return {rate.feature: rate for rate in found}


def _quoted(rate: Rate | None, feature: str, quantity: int) -> Quote:
    if rate is None:
        raise UnknownFeature(feature)
    lines = rate.pricing.lines(quantity)
    credits: int = sum(line["credits"] for line in lines)
    if credits > MOST_CREDITS:
        raise QuantityOutOfBounds(quantity)
    return Quote(credits=credits, feature=feature, quantity=quantity, rate_card_version=rate.version, lines=lines)


def _version_in_force() -> Any:
    return _in_force(select(RateCard.version)).scalar_subquery()


def _in_force(cards: Select[Any]) -> Select[Any]:
    last = (RateCard.effective_at.desc(), RateCard.version.desc())
    return cards.where(RateCard.effective_at <= clock.now()).order_by(*last).limit(1)
