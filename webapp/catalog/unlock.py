"""Unlocks: what is opened once with credits, for good or for so many days."""

import re
from collections.abc import Sequence

from sqlalchemy import ARRAY, BigInteger, Integer, Text, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base

MOST_CREDITS = 10**15
MOST_DAYS = 36_500
MOST_FEATURES = 100
KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
LONGEST_KEY = 64


class BadUnlock(Exception):
    """The unlock cannot be as it was asked for; nothing was written."""


class UnlockNotFound(Exception):
    """There is no unlock of that key, or it is not on offer."""


class Unlock(Base):
    """For `credits` an account has `features` of the product, for `duration_days` (None: for good).

    Name and description are the English source texts. The features are the product's own keys: what an open one
    means is up to it, and they need no price on the rate card.
    """

    __tablename__ = "unlocks"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    features: Mapped[list[str]] = mapped_column(ARRAY(Text))
    credits: Mapped[int] = mapped_column(BigInteger)
    duration_days: Mapped[int | None] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(Integer)
    active: Mapped[bool]


def create_unlock(
    session: Session,
    *,
    key: str,
    name: str,
    credits: int,
    features: Sequence[str],
    description: str = "",
    duration_days: int | None = None,
) -> Unlock:
    """There is an unlock of that key, on offer, below all others. Raises BadUnlock."""
    _check(key=key, name=name, description=description, features=features)
    if not 0 < credits <= MOST_CREDITS or not (duration_days is None or 0 < duration_days <= MOST_DAYS):
        raise BadUnlock("credits and days must be above 0 and within reason")
    last = select(func.coalesce(func.max(Unlock.position), 0) + 1).scalar_subquery()
    row = {
        "key": key,
        "name": name.strip(),
        "description": description.strip(),
        "features": sorted(set(features)),
        "credits": credits,
        "duration_days": duration_days,
        "position": last,
        "active": True,
    }
    made = session.execute(insert(Unlock).values(row).on_conflict_do_nothing().returning(Unlock.key)).first()
    if made is None:
        raise BadUnlock(f"there is already an unlock {key!r}")
    return session.get_one(Unlock, key)


def _check(*, key: str, name: str, description: str, features: Sequence[str]) -> None:
    if not KEY.fullmatch(key) or len(key) > LONGEST_KEY:
        raise BadUnlock(f"the key must be 1 to {LONGEST_KEY} of a-z, 0-9 and hyphens")
    if not name.strip() or len(name) > 200 or len(description) > 1000 or "\x00" in name + description:
        raise BadUnlock("the name must have 1 to 200 characters, the description at most 1,000")
    if not 0 < len(set(features)) <= MOST_FEATURES:
        raise BadUnlock(f"it must open 1 to {MOST_FEATURES} features")
    for feature in features:
        if not KEY.fullmatch(feature) or len(feature) > LONGEST_KEY:
            raise BadUnlock(f"the feature {feature!r} must be 1 to {LONGEST_KEY} of a-z, 0-9 and hyphens")


def list_unlocks(session: Session, *, all_of_them: bool = False) -> Sequence[Unlock]:
    """The unlocks on offer, or all, in the order of the shop window."""
    offered = select(Unlock) if all_of_them else select(Unlock).where(Unlock.active)
    return session.scalars(offered.order_by(Unlock.position, Unlock.key)).all()


def find_unlock(session: Session, *, key: str) -> Unlock:
    """The unlock of that key, on offer or not. Raises UnlockNotFound."""
    found = session.get(Unlock, key) if KEY.fullmatch(key) else None
    if found is None:
        raise UnlockNotFound(key)
    return found


def offer_unlock(session: Session, *, key: str, active: bool) -> None:
    """The unlock is on offer, or is not any more; who has it keeps it. Raises UnlockNotFound."""
    find_unlock(session, key=key).active = active
    session.flush()
