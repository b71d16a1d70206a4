"""How many units of a feature an account has used, counted under its lock by whoever prices what comes next."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

_LOCK = text("SELECT account_id, time_zone, moment FROM ledger.lock_accounts(CAST(:account_ids AS bigint[]))")
_USED = text(
    "SELECT ledger.units_used(w.account_id, w.feature, w.since, w.until, w.most) AS used"
    " FROM unnest(CAST(:account_ids AS bigint[]), CAST(:features AS text[]), CAST(:sinces AS timestamptz[]),"
    " CAST(:untils AS timestamptz[]), CAST(:mosts AS bigint[]))"
    " WITH ORDINALITY w (account_id, feature, since, until, most, place) ORDER BY w.place"
)


@dataclass(frozen=True, kw_only=True)
class Locked:
    """An account that nobody else writes to until the commit: its time zone, and its time after the lock."""

    account_id: int
    time_zone: str
    moment: datetime


@dataclass(frozen=True, kw_only=True)
class UnitsOf:
    """What to count: units of `feature` that the account used from `since` until before `until`.

    Beyond `most` it is not counted by how much (None: all is counted).
    """

    account_id: int
    feature: str
    since: datetime
    until: datetime
    most: int | None = None


def lock_accounts(session: Session, *, account_ids: Collection[int]) -> dict[int, Locked]:
    """These accounts are locked, in the order of their ids, until the database transaction ends.

    One that does not exist is left out.
    """
    rows = session.execute(_LOCK, {"account_ids": list(account_ids)}).mappings()
    return {row["account_id"]: Locked(**row) for row in rows}


def units_used(session: Session, *, wanted: Sequence[UnitsOf]) -> list[int]:
    """The units of each, in this order: of spends that were not given back in whole, and of open holds. Reads only.

    A spend counts when it occurred, and a hold when it was placed until it has ended.
    """
    if not wanted:
        return []
    arguments = {
        "account_ids": [one.account_id for one in wanted],
        "features": [one.feature for one in wanted],
        "sinces": [one.since for one in wanted],
        "untils": [one.until for one in wanted],
        "mosts": [one.most for one in wanted],
    }
    return [int(row["used"]) for row in session.execute(_USED, arguments).mappings()]
