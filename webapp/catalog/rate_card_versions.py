"""The versions of the rate card: what each says, and publishing the next."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from webapp import clock
from webapp.catalog.pricing import Pricing
from webapp.catalog.pricing_terms import Finding, terms_of
from webapp.catalog.rate_card import Feature, Rate, RateCard
from webapp.catalog.rate_card_file import CardRefused, Prices, unknown_features

_ONE_AT_A_TIME = 7130552  # key of the advisory lock


class NoSuchVersion(Exception):
    """There is no rate card of that version, or none is in force."""


class EffectiveInThePast(Exception):
    """A rate card cannot take effect before now: what was charged since then would be explained wrongly."""


def prices_of(session: Session, *, version: int) -> Prices:
    """What each feature costs in that version, in the order of the shop window. Raises NoSuchVersion."""
    if not 0 < version < 2**31 or session.get(RateCard, version) is None:
        raise NoSuchVersion(version)
    ordered = select(Rate).join(Feature, Feature.key == Rate.feature).where(Rate.version == version)
    return {rate.feature: rate.pricing for rate in session.scalars(ordered.order_by(Feature.position, Feature.key))}


def card_at(session: Session, *, moment: datetime) -> RateCard | None:
    """The rate card that is in force then, as far as is published by now."""
    last = (RateCard.effective_at.desc(), RateCard.version.desc())
    return session.scalars(select(RateCard).where(RateCard.effective_at <= moment).order_by(*last).limit(1)).first()


def card_after(session: Session, *, moment: datetime) -> RateCard | None:
    """The rate card that takes the place of the one that is in force then."""
    next_ones = select(RateCard).where(RateCard.effective_at > moment)
    return session.scalars(next_ones.order_by(RateCard.effective_at, RateCard.version.desc()).limit(1)).first()


def known_features(session: Session) -> list[str]:
    """The keys of all features, priced or not."""
    return list(session.scalars(select(Feature.key).order_by(Feature.position, Feature.key)))


def publish_card(session: Session, *, prices: Mapping[str, Pricing], effective_at: datetime | None = None) -> RateCard:
    """A new version of the rate card says `prices` and is in force from `effective_at` (None: now) on.

    It stays in force until another takes effect; one that is due at the same moment gives way to it. Publishing waits
    for whoever else publishes. Raises CardRefused and EffectiveInThePast; nothing was written then.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
    now = clock.now()
    moment = now if effective_at is None else effective_at
    if moment < now:
        raise EffectiveInThePast
    if not prices:
        raise CardRefused([Finding(where="features", says="must price at least one feature")])
    if findings := unknown_features(prices, known=known_features(session)):
        raise CardRefused(findings)
    version = (session.scalar(select(func.max(RateCard.version))) or 0) + 1
    card = RateCard(version=version, effective_at=moment, published_at=now)
    session.add(card)
    session.flush()
    session.add_all(_rate(version, feature, pricing) for feature, pricing in prices.items())
    session.flush()
    return card


def _rate(version: int, feature: str, pricing: Pricing) -> Rate:
    plain = pricing.credits_per_unit
    terms = terms_of(pricing) if plain is None else None
    return Rate(version=version, feature=feature, credits_per_unit=plain, terms=terms)
