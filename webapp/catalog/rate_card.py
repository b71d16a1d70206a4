"""The rate card: what each feature costs in credits, versioned, so that an old charge can always be explained."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Integer, Select, Text, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.catalog.pricing import Pricing
from webapp.catalog.pricing_terms import pricing_from
from webapp.extensions import Base


class Feature(Base):
    """Something of the product that costs credits; name, description and unit are the English source texts.

    `revision` counts how often those were changed.
    """

    __tablename__ = "features"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(Integer)
    revision: Mapped[int] = mapped_column(Integer, default=1)


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
        .where(Rate.version == version_in_force())
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


def version_in_force() -> Any:
    """The version of the rate card that is in force, as part of a statement."""
    return _in_force(select(RateCard.version)).scalar_subquery()


def _in_force(cards: Select[Any]) -> Select[Any]:
    last = (RateCard.effective_at.desc(), RateCard.version.desc())
    return cards.where(RateCard.effective_at <= clock.now()).order_by(*last).limit(1)
