"""The rate card: what each feature costs in credits, versioned, so that an old charge can always be explained."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Integer, Text, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.extensions import Base

MOST_CREDITS = 10**15


class Feature(Base):
    """Something of the product that costs credits; name, description and unit are the English source texts."""

    __tablename__ = "features"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(Integer)


class RateCard(Base):
    """One published version. The highest one that is published by now is in force."""

    __tablename__ = "rate_cards"

    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    published_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Rate(Base):
    """What one unit of a feature costs in one version of the rate card."""

    __tablename__ = "rates"

    version: Mapped[int] = mapped_column(ForeignKey("rate_cards.version"), primary_key=True)
    feature: Mapped[str] = mapped_column(ForeignKey("features.key"), primary_key=True)
    credits_per_unit: Mapped[int] = mapped_column(BigInteger)


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
    lines: list[dict[str, int]]

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
    """A feature and what one unit of it costs now."""

    key: str
    name: str
    description: str
    unit: str
    credits_per_unit: int
    rate_card_version: int


def rate_card_in_force(session: Session) -> RateCard | None:
    """The newest rate card that is published by now; None while there is none."""
    return session.scalars(
        select(RateCard).where(RateCard.published_at <= clock.now()).order_by(RateCard.version.desc()).limit(1)
    ).one_or_none()


def list_features(session: Session) -> list[RatedFeature]:
    """What the rate card in force prices, in the order of the shop window."""
    rows = session.execute(
        select(Feature, Rate.credits_per_unit, Rate.version)
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
            credits_per_unit=credits_per_unit,
            rate_card_version=version,
        )
        for feature, credits_per_unit, version in rows
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
    credits = quantity * rate.credits_per_unit
    if credits > MOST_CREDITS:
        raise QuantityOutOfBounds(quantity)
    line = {"quantity": quantity, "credits_per_unit": rate.credits_per_unit, "credits": credits}
    return Quote(credits=credits, feature=feature, quantity=quantity, rate_card_version=rate.version, lines=[line])


def _version_in_force() -> Any:
    return select(func.max(RateCard.version)).where(RateCard.published_at <= clock.now()).scalar_subquery()
