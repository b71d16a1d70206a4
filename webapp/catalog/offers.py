"""What is on offer, packages and plans: made, changed, put in order, taken off sale.

A change is for those who come later: purchases and orders keep a snapshot, who is on a plan keeps the terms of then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.catalog.package import Package, PackagePrice
from webapp.catalog.plan import Plan, PlanPrice

Offer = TypeVar("Offer", Package, Plan)
# Currency → minor units; None: not offered in it. Currencies that are left out stay as they are.
Prices = Mapping[str, int | None]

CODE = "[a-z0-9]+(-[a-z0-9]+)*"
MOST_CODE = 64
MOST_CREDITS = 10**15
MOST_MINOR = 99_999_999  # what Stripe takes in one payment, whatever the currency
MOST_MONTHS = 1_200
MOST_DAYS = 36_500
MOST_TRIAL_DAYS = 730  # Stripe's: https://docs.stripe.com/api/subscriptions/create


@dataclass(frozen=True, kw_only=True)
class PackageTerms:
    """What a package promises; name and description are the English source texts."""

    name: str
    description: str
    credits: int
    valid_months: int | None
    valid_days: int | None
    who_may_buy: str
    popular: bool


@dataclass(frozen=True, kw_only=True)
class PlanTerms:
    """What a plan promises; how it is billed is said once, when it is made."""

    name: str
    description: str
    credits_per_month: int
    expiry: str
    expiry_days: int | None
    rollover_cap: int
    trial_days: int
    trial_credits: int
    grant_priority: int
    features: Sequence[str] | None


class OfferRefused(Exception):
    """It cannot be made or changed like that; nothing was written."""


class OfferNotFound(OfferRefused):
    """There is none of that code."""


class CodeTaken(OfferRefused):
    """There is one of that code already."""


class ChangedMeanwhile(OfferRefused):
    """Somebody has changed it since the version that was seen."""


def list_all(session: Session, kind: type[Offer]) -> Sequence[Offer]:
    """All of them, on sale or not, in the order of the shop window, with their prices; two statements."""
    return session.scalars(select(kind).order_by(kind.position, kind.code)).all()


def create_offer(
    session: Session,
    kind: type[Offer],
    *,
    code: str,
    terms: PackageTerms | PlanTerms,
    prices: Prices,
    active: bool,
    **more: str,
) -> Offer:
    """There is one more, behind all others. `more` is what cannot be changed later. Raises CodeTaken."""
    last = select(func.coalesce(func.max(kind.position), 0) + 1).scalar_subquery()
    row = {"code": code, "position": last, "active": active, "version": 1, **_columns(terms), **more}
    if session.execute(insert(kind).values(row).on_conflict_do_nothing().returning(kind.code)).first() is None:
        raise CodeTaken(code)
    _set_prices(session, kind, code=code, prices=prices)
    return session.get_one(kind, code, populate_existing=True)


def lock_offer(session: Session, kind: type[Offer], *, code: str, version: int | None = None) -> Offer:
    """It, locked. Raises OfferNotFound, and ChangedMeanwhile where it is not the `version` that was seen."""
    if "\x00" in code:  # PostgreSQL's text cannot hold it
        raise OfferNotFound(code)
    locked = select(kind).where(kind.code == code).with_for_update(key_share=True)
    found = session.scalars(locked.execution_options(populate_existing=True)).one_or_none()
    if found is None:
        raise OfferNotFound(code)
    if version is not None and found.version != version:
        raise ChangedMeanwhile(code)
    return found


def change_offer(
    session: Session, kind: type[Offer], *, offer: Offer, terms: PackageTerms | PlanTerms, prices: Prices
) -> bool:
    """A locked one promises that from now on; false where it already did, and nothing was written then."""
    columns = _columns(terms)
    known = {price.currency: price.price_minor for price in offer.prices}
    same_prices = all(known.get(currency) == price_minor for currency, price_minor in prices.items())
    if same_prices and all(getattr(offer, name) == value for name, value in columns.items()):
        return False
    for name, value in columns.items():
        setattr(offer, name, value)
    offer.version += 1
    session.flush()
    _set_prices(session, kind, code=offer.code, prices=prices)
    session.get_one(kind, offer.code, populate_existing=True)
    return True


def switch_offer(session: Session, kind: type[Offer], *, code: str, active: bool) -> bool:
    """It is on sale, or no more; false where it already was so. Raises OfferNotFound."""
    offer = lock_offer(session, kind, code=code)
    changed = offer.active != active
    offer.active = active
    session.flush()
    return changed


def move_offer(session: Session, kind: type[Offer], *, code: str, places: int) -> bool:
    """It stands so many places further back in the shop window, or to the front where `places` is below 0.

    False where it is at that end already. Locks all of the kind, in the order of their codes. Raises OfferNotFound.
    """
    everything = select(kind).order_by(kind.code).with_for_update(key_share=True)
    found = session.scalars(everything.execution_options(populate_existing=True))
    row = sorted(found, key=lambda one: (one.position, one.code))
    here = next((place for place, one in enumerate(row) if one.code == code), None)
    if here is None:
        raise OfferNotFound(code)
    there = min(max(here + places, 0), len(row) - 1)
    row.insert(there, row.pop(here))
    for place, one in enumerate(row, start=1):
        one.position = place
    session.flush()
    return there != here


def _columns(terms: PackageTerms | PlanTerms) -> dict[str, Any]:
    columns = {field.name: getattr(terms, field.name) for field in fields(terms)}
    if columns.get("features") is not None:
        columns["features"] = list(columns["features"])
    return columns


def _set_prices(session: Session, kind: type[Package] | type[Plan], *, code: str, prices: Prices) -> None:
    table, named = (PackagePrice, "package") if kind is Package else (PlanPrice, "plan")
    of_offer = getattr(table, named) == code
    for currency, price_minor in sorted(prices.items()):
        if price_minor is None:
            session.execute(delete(table).where(of_offer, table.currency == currency))
            continue
        row = {named: code, "currency": currency, "price_minor": price_minor}
        session.execute(
            insert(table)
            .values(row)
            .on_conflict_do_update(index_elements=[named, "currency"], set_={"price_minor": price_minor})
        )
