"""How fast an account spends: the last 30 days, and until when the balance lasts at that pace."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

Lot = tuple[int, datetime | None]  # credits, and when they expire

DAYS = 30
# What a newcomer tries on the first day is not what they will spend on every day.
LEAST_DAYS = 7
# However busy an account is, a page looks at no more than its newest entries.
SCAN = 5_000

# Quarters of an hour fit the offset of every time zone, so days are told apart here and not in SQL.
_SLOTS = text(
    "SELECT date_bin('15 minutes', occurred_at, TIMESTAMPTZ 'epoch') AS slot, -sum(amount)::bigint AS spent"
    " FROM ledger.entries_v WHERE account_id = :account_id AND seq > :floor AND kind IN ('spend', 'refund')"
    " AND occurred_at >= :since GROUP BY 1 ORDER BY 1"
)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """When it is one lot's turn to be spent, and until when it is. `late` says that it expires before it is used up.

    `ends_at` is None when that lies beyond ten years, and for a lot that has expired before its turn comes.
    """

    begins_at: datetime | None
    ends_at: datetime | None
    late: bool


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Credits spent, less refunds, on each of the last DAYS days (today last), and `per_day` on average.

    The average is over the days since the first of these spends. `whole` is false when the account is so busy that
    the newest entries don't reach back so far: then the days are not all known, and the average still is.
    """

    days: list[tuple[date, int]]
    spent: int
    per_day: float
    whole: bool

    def reached_at(self, credits: float, *, now: datetime) -> datetime | None:
        """When so many credits are spent at this pace; None when that is never, or beyond ten years."""
        if self.per_day <= 0 or credits / self.per_day > 3650:
            return None
        return now + timedelta(days=max(credits, 0) / self.per_day)

    def turns(self, lots: Iterable[Lot], *, now: datetime) -> list[Turn]:
        """The turn of each lot at this pace, in the order given, which is that of spending."""
        found: list[Turn] = []
        begins: datetime | None = now
        for amount, expires_at in lots:
            if begins is None or (expires_at is not None and expires_at <= begins):
                late = expires_at is not None and self.per_day > 0
                found.append(Turn(begins_at=None, ends_at=None, late=late))
                continue
            used_up = self.reached_at(amount, now=begins)
            late = expires_at is not None and self.per_day > 0 and (used_up is None or used_up > expires_at)
            ends = expires_at if late else used_up
            found.append(Turn(begins_at=begins, ends_at=ends, late=late))
            begins = ends
        return found

    def lasts_until(self, lots: Sequence[Lot], *, now: datetime) -> datetime | None:
        """When nothing is left of the lots at this pace, spent or expired; None when that is unforeseeable."""
        turns = self.turns(lots, now=now)
        ends = [turn.ends_at for turn in turns if turn.begins_at is not None]
        return None if not ends or None in ends else ends[-1]


def read_pace(session: Session, *, account_id: int, newest_seq: int, now: datetime, zone: tzinfo) -> Pace:
    """The pace of the account, from at most its newest SCAN entries; days are those of `zone`."""
    today = now.astimezone(zone).date()
    first_day = today - timedelta(days=DAYS - 1)
    floor = max(newest_seq - SCAN, 0)
    since = now - timedelta(days=DAYS + 1)
    rows = session.execute(_SLOTS, {"account_id": account_id, "floor": floor, "since": since}).all()
    by_day = dict.fromkeys((first_day + timedelta(days=n) for n in range(DAYS)), 0)
    for slot, spent in rows:
        day = slot.astimezone(zone).date()
        if day in by_day:
            by_day[day] += spent
    whole = floor == 0 or (bool(rows) and rows[0].slot.astimezone(zone).date() < first_day)
    spent = max(sum(by_day.values()), 0)
    return Pace(days=list(by_day.items()), spent=spent, per_day=spent / _span(rows, now, whole), whole=whole)


def _span(rows: Sequence[Any], now: datetime, whole: bool) -> float:
    """Days over which the average is taken: never less than LEAST_DAYS, but for the busiest of accounts."""
    if not rows:
        return LEAST_DAYS
    days = min((now - rows[0].slot).total_seconds() / 86_400, DAYS)
    return max(days, LEAST_DAYS if whole else 0.001)
