"""Reports: what was sold, used, lost and given back in a stretch of days, in credits and in money.

Days are UTC's. What is rolled up is read from report_days, and the rest from the entries that were booked since; both
in one statement, so that nothing is counted twice or not at all. Money is in minor units.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.report_days import first_open_day
from webapp.billing.report_lines import LINES

# So much can be added up while somebody waits: of a big ledger, and of one that was never rolled up.
MOST_LIVE = timedelta(days=2)
MOST_LIVE_ENTRIES = 100_000

SUMS = ("credits", "sold_minor", "recognised_minor", "breakage_minor", "refunded_minor", "deferred_minor")


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What a movement came to. `deferred_minor` is how much more is owed: sold less all the rest."""

    credits: int = 0
    sold_minor: int = 0
    recognised_minor: int = 0
    breakage_minor: int = 0
    refunded_minor: int = 0
    deferred_minor: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(**{name: getattr(self, name) + getattr(other, name) for name in SUMS})


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One group of a report: `by` is before, day, month, item or feature, and `key` which of them."""

    by: str
    key: str
    movement: str
    currency: str
    sums: Sums


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Until when figures are rolled up, and until when they are told; `complete` unless that is long ago."""

    rolled_until: datetime | None
    until: datetime
    complete: bool


@dataclass(frozen=True, kw_only=True)
class Report:
    """The figures of the days from `since` until before `until`."""

    since: date
    until: date
    figures: Sequence[Figure]
    reach: Reach

    def total(
        self,
        by: str,
        *,
        key: str | None = None,
        movements: Collection[str] | None = None,
        currency: str | None = None,
        paid: bool | None = None,
    ) -> Sums:
        """The sum of the groups that fit; `paid` says whether money was paid for their credits."""
        groups = self._groups.get(by, {})
        chosen = groups.get(key, ()) if key is not None else (one for group in groups.values() for one in group)
        fitting = (
            figure.sums
            for figure in chosen
            if (movements is None or figure.movement in movements)
            and (currency is None or figure.currency == currency)
            and (paid is None or paid == bool(figure.currency))
        )
        return sum(fitting, Sums())

    def keys(self, by: str) -> list[str]:
        return sorted(self._groups.get(by, {}))

    @cached_property
    def _groups(self) -> dict[str, dict[str, list[Figure]]]:
        found: dict[str, dict[str, list[Figure]]] = {}
        for figure in self.figures:
            found.setdefault(figure.by, {}).setdefault(figure.key, []).append(figure)
        return found

    def currencies(self) -> list[str]:
        return sorted({figure.currency for figure in self.figures if figure.currency})


_SUM = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
_COLUMNS = f"day, movement, item, feature, currency, {', '.join(SUMS)}"
_SELECTED = f"""
    WITH {LINES}, chosen AS MATERIALIZED (
        SELECT {_COLUMNS} FROM report_days WHERE day >= :first AND day < :last AND movement <> 'opening'
        UNION ALL SELECT {_COLUMNS} FROM summed WHERE day >= :first AND day < :last
    )
"""  # noqa: S608 - constants
_REPORT = text(
    f"""{_SELECTED}, opening AS MATERIALIZED (
        SELECT day FROM report_days WHERE movement = 'opening' AND day <= :first ORDER BY day DESC LIMIT 1
    )
    SELECT 'before' AS by, '' AS key, 'all' AS movement, currency, {_SUM}
    FROM (SELECT {_COLUMNS} FROM report_days
          WHERE day >= coalesce((SELECT day FROM opening), '-infinity') AND day < :first AND movement <> 'opening'
          UNION ALL SELECT {_COLUMNS} FROM report_days
          WHERE day = (SELECT day FROM opening) AND movement = 'opening'
          UNION ALL SELECT {_COLUMNS} FROM summed WHERE day < :first) earlier GROUP BY currency
    UNION ALL
    SELECT :unit, left(CAST(day AS text), CASE :unit WHEN 'day' THEN 10 ELSE 7 END), movement, currency, {_SUM}
    FROM chosen GROUP BY 2, 3, 4
    UNION ALL SELECT 'item', item, movement, currency, {_SUM} FROM chosen GROUP BY 2, 3, 4
    UNION ALL SELECT 'feature', feature, movement, currency, {_SUM} FROM chosen GROUP BY 2, 3, 4
    """  # noqa: S608 - constants
)
_DAYS = text(
    f"""{_SELECTED}
    SELECT day, movement, item, feature, currency, {_SUM} FROM chosen
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    """  # noqa: S608 - constants
)
_PROGRESS = text(
    "SELECT rolled_until, (SELECT reltuples FROM pg_class WHERE oid = CAST('ledger.entries' AS regclass)) AS entries"
    " FROM report_progress"
)
_ACTIVE = text(
    "SELECT day, accounts FROM report_active WHERE day >= :first AND day < :last AND day < :open"
    " UNION ALL"
    " SELECT CAST(booked_at AT TIME ZONE 'UTC' AS date), count(DISTINCT account_id) FROM ledger.entries_v"
    " WHERE kind = 'spend' AND booked_at >= :since AND booked_at < :until GROUP BY 1"
)
_COHORTS = text(
    "SELECT left(CAST(granted_on AS text), 7) AS month, count(*) AS grants, count(emptied_on) AS emptied,"
    " percentile_disc(0.5) WITHIN GROUP (ORDER BY emptied_on - granted_on)"
    "   FILTER (WHERE emptied_on IS NOT NULL) AS median_days"
    " FROM report_grants WHERE granted_on >= :first AND granted_on < :last AND currency = :currency"
    " GROUP BY 1 ORDER BY 1"
)


def read_report(session: Session, *, since: date, until: date, unit: str = "day") -> Report:
    """What happened from `since` until before `until`, by `unit` (day or month), by item and by feature."""
    given = {"first": since, "last": until, "unit": unit}
    rows, reach = _read(session, _REPORT, given)
    figures = [
        Figure(by=row.by, key=row.key, movement=row.movement, currency=row.currency, sums=_sums(row)) for row in rows
    ]
    return Report(since=since, until=until, figures=figures, reach=reach)


@dataclass(frozen=True, kw_only=True)
class DayLine:
    """What a movement came to on one day, for one item, feature and currency."""

    day: date
    movement: str
    item: str
    feature: str
    currency: str
    sums: Sums


def read_days(session: Session, *, since: date, until: date) -> list[DayLine]:
    """Everything of these days, undivided; for the journal, a month at a time at the most."""
    given = {"first": since, "last": until}
    rows, _reach = _read(session, _DAYS, given)
    return [
        DayLine(
            day=row.day,
            movement=row.movement,
            item=row.item,
            feature=row.feature,
            currency=row.currency,
            sums=_sums(row),
        )
        for row in rows
    ]


def _read(session: Session, statement: Any, given: Mapping[str, Any]) -> tuple[Sequence[Any], Reach]:
    """The rows of it, and how far they go."""
    reach = reach_of(session)
    since = reach.rolled_until or _start_of(date(1970, 1, 1))
    until = max(_start_of(given["last"]), since) if reach.complete else since
    return session.execute(statement, {**given, "since": since, "until": until}).all(), reach


def reach_of(session: Session) -> Reach:
    """How far figures go. Where nobody has rolled up a big ledger for days, only what is rolled up is told."""
    row = session.execute(_PROGRESS).one()
    now = ledger.now(session)
    rolled: datetime | None = row.rolled_until
    complete = row.entries < MOST_LIVE_ENTRIES or (rolled is not None and now - rolled <= MOST_LIVE)
    return Reach(rolled_until=rolled, until=now if complete else rolled or now, complete=complete)


def active_accounts(session: Session, *, since: date, until: date, reach: Reach) -> dict[date, int]:
    """How many accounts spent something on each of these days."""
    open_day = first_open_day(reach.rolled_until) if reach.rolled_until is not None else since
    live_from = max(open_day, since)
    live_until = max(_start_of(until), _start_of(live_from)) if reach.complete else _start_of(live_from)
    rows = session.execute(
        _ACTIVE,
        {"first": since, "last": until, "open": open_day, "since": _start_of(live_from), "until": live_until},
    )
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """The paid grants of one month, and in how many days half of those that are used up were."""

    month: str
    grants: int
    emptied: int
    median_days: int | None


def depletion(session: Session, *, since: date, until: date, currency: str) -> list[Cohort]:
    """Time to depletion by the month of the grant, as far as figures are rolled up."""
    rows = session.execute(_COHORTS, {"first": since, "last": until, "currency": currency}).mappings()
    return [Cohort(**row) for row in rows]


def _sums(row: Any) -> Sums:
    return Sums(**{name: int(getattr(row, name) or 0) for name in SUMS})


def _start_of(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)
