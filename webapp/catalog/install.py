"""Putting the shipped catalog into an empty shop."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp import clock
from webapp.catalog import shipped
from webapp.catalog.package import Package, PackagePrice
from webapp.catalog.plan import Plan, PlanPrice
from webapp.catalog.rate_card import Feature, Rate, RateCard
from webapp.catalog.unlock import Unlock
from webapp.extensions import Base


def install_shipped_catalog(session: Session) -> None:
    """Every package, plan, feature and unlock that ships exists, and some rate card.

    Inserts what is missing and overwrites nothing: whatever was changed, switched off or priced here stays so. A
    package's prices come with the package only. Safe to repeat and to run twice at once.
    """
    for position, package in enumerate(shipped.PACKAGES, start=1):
        row = {"popular": False, "who_may_buy": "everyone", **package, "position": position, "active": True}
        _insert_with_prices(session, Package, PackagePrice, "package", row)
    for position, plan in enumerate(shipped.PLANS, start=1):
        row = {"rollover_cap": 0, **plan, "position": position, "active": True}
        _insert_with_prices(session, Plan, PlanPrice, "plan", row)
    for position, feature in enumerate(shipped.FEATURES, start=1):
        row = {name: value for name, value in feature.items() if name != "credits_per_unit"}
        _insert(session, Feature, {**row, "position": position})
    for position, unlock in enumerate(shipped.UNLOCKS, start=1):
        _insert(session, Unlock, {**unlock, "position": position, "active": True})
    if session.scalars(select(RateCard.version).limit(1)).first() is None and _insert(
        session, RateCard, {"version": 1, "effective_at": clock.now(), "published_at": clock.now()}
    ):
        for feature in shipped.FEATURES:
            rate = {"version": 1, "feature": feature["key"], "credits_per_unit": feature["credits_per_unit"]}
            _insert(session, Rate, rate)


def _insert_with_prices(
    session: Session, thing: type[Base], price: type[Base], named: str, row: dict[str, Any]
) -> None:
    prices = row.pop("prices")
    if _insert(session, thing, row):
        for currency, price_minor in prices.items():
            _insert(session, price, {named: row["code"], "currency": currency, "price_minor": price_minor})


def _insert(session: Session, table: type[Base], row: dict[str, Any]) -> bool:
    """Whether the row was missing, and is there now."""
    key = next(iter(table.__table__.primary_key))
    inserted = session.execute(insert(table).values(**row).on_conflict_do_nothing().returning(key)).first()
    return inserted is not None
