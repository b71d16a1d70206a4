"""Reports' figures by day, written down once a stretch of time is over: as entries never change, neither do they.

What is rolled up reaches to `rolled_until`, a full hour. An entry counts by when it was booked; one that counts from
earlier (`occurred_at`) is still of the day on which it was written, so a past day never changes.
"""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.report_lines import LINES

# Of a ledger with more entries an hour is rolled up at a time, else a day.
MANY_ENTRIES = 2_000_000

_ROLL_UP = text(
    f"""
    WITH {LINES}, kept AS (
        INSERT INTO report_grants AS r (account_id, grant_id, currency, out_credits, reclaimed, granted_on, emptied_on)
        SELECT DISTINCT ON (account_id, grant_id) account_id, grant_id, currency, out_after, reclaimed_after,
               min(day) FILTER (WHERE seq = grant_id) OVER w,
               CASE WHEN out_after = granted THEN max(day) FILTER (WHERE drawn <> 0) OVER w END
        FROM paid
        WINDOW w AS (PARTITION BY account_id, grant_id)
        ORDER BY account_id, grant_id, seq DESC, position DESC
        ON CONFLICT (account_id, grant_id) DO UPDATE
        SET out_credits = EXCLUDED.out_credits, reclaimed = EXCLUDED.reclaimed,
            emptied_on = CASE WHEN EXCLUDED.out_credits = r.out_credits
                              THEN coalesce(EXCLUDED.emptied_on, r.emptied_on) ELSE EXCLUDED.emptied_on END
    )
    INSERT INTO report_days AS r (day, movement, item, feature, currency, credits, sold_minor, recognised_minor,
                                  breakage_minor, refunded_minor, deferred_minor)
    SELECT day, movement, item, feature, currency, credits, sold_minor, recognised_minor, breakage_minor,
           refunded_minor, deferred_minor
    FROM summed
    ON CONFLICT (day, movement, item, feature, currency) DO UPDATE
    SET credits = r.credits + EXCLUDED.credits, sold_minor = r.sold_minor + EXCLUDED.sold_minor,
        recognised_minor = r.recognised_minor + EXCLUDED.recognised_minor,
        breakage_minor = r.breakage_minor + EXCLUDED.breakage_minor,
        refunded_minor = r.refunded_minor + EXCLUDED.refunded_minor,
        deferred_minor = r.deferred_minor + EXCLUDED.deferred_minor
    """  # noqa: S608 - LINES is a constant
)
_COUNT_ACTIVE = text(
    "INSERT INTO report_active (day, accounts) SELECT :day, count(DISTINCT account_id) FROM ledger.entries_v"
    " WHERE kind = 'spend' AND booked_at >= :since AND booked_at < :until ON CONFLICT (day) DO NOTHING"
)
# What there is before a month begins, so that nobody adds up years: lines of a movement of their own.
_OPEN_MONTH = text(
    "INSERT INTO report_days (day, movement, item, feature, currency, credits, sold_minor, recognised_minor,"
    " breakage_minor, refunded_minor, deferred_minor)"
    " SELECT :month, 'opening', '', '', currency, sum(credits), sum(deferred_minor), 0, 0, 0, sum(deferred_minor)"
    " FROM report_days WHERE day >= :month_before AND day < :month GROUP BY currency ON CONFLICT DO NOTHING"
)
_WRITERS = text(
    "SELECT DISTINCT virtualtransaction FROM pg_locks"
    " WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND relation = CAST('ledger.accounts' AS regclass) AND mode IN ('RowShareLock', 'RowExclusiveLock')"
    " AND pid <> pg_backend_pid()"
)
_SIZE = text("SELECT reltuples FROM pg_class WHERE oid = CAST('ledger.entries' AS regclass)")


def find_limit(session: Session) -> tuple[datetime, set[str]]:
    """Until when entries can be rolled up, a full hour, and the database transactions that must have ended first.

    Every write to the ledger locks its account before it reads the clock, and keeps that lock to its end. So whoever
    may still commit an entry that was booked before this moment is among those that are seen to hold one after it.
    """
    now = ledger.now(session)
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0), writers(session)


def writers(session: Session) -> set[str]:
    """The database transactions that have locked an account now."""
    return set(session.execute(_WRITERS).scalars())


def roll_up(session: Session, *, limit: datetime) -> bool:
    """One more stretch of time, until `limit` at the most, is in the tables; returns whether there is more to do.

    Of two at once one does it (the row of report_progress is locked) and the other one nothing. Each stretch is added
    exactly once: it is committed with the moment that it reaches to.
    """
    session.execute(text("SET LOCAL statement_timeout = '15min'"))
    progress = session.execute(text("SELECT rolled_until FROM report_progress FOR UPDATE SKIP LOCKED")).one_or_none()
    if progress is None:
        return False
    since: datetime | None = progress.rolled_until
    if since is None:
        since = session.execute(text("SELECT min(booked_at) FROM ledger.entries_v")).scalar_one()
        since = _day_of(since) if since is not None else limit
        until = since
    else:
        until = min(limit, since + _step(session, since))
    if until > since:
        session.execute(_ROLL_UP, {"since": since, "until": until})
        day = _day_of(until - timedelta(microseconds=1))
        if until == day + timedelta(days=1):
            session.execute(_COUNT_ACTIVE, {"day": day.date(), "since": day, "until": until})
        if until == day + timedelta(days=1) and until.day == 1:
            months = {"month": until.date(), "month_before": day.date().replace(day=1)}
            session.execute(_OPEN_MONTH, months)
    if until >= since:
        session.execute(text("UPDATE report_progress SET rolled_until = :until"), {"until": until})
    return until < limit


def forget_reports(session: Session) -> None:
    """Nothing is rolled up any more, and the next run begins anew: for who writes a past, in a sandbox."""
    session.execute(text("UPDATE report_progress SET rolled_until = NULL"))
    for table in ("report_days", "report_grants", "report_active"):
        session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - a constant


def _step(session: Session, since: datetime) -> timedelta:
    """To the end of the day, or of the hour where there are many entries."""
    if session.execute(_SIZE).scalar_one() > MANY_ENTRIES:
        return timedelta(hours=1)
    return _day_of(since) + timedelta(days=1) - since


def _day_of(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), datetime.min.time(), UTC)


def first_open_day(rolled_until: datetime) -> date:
    """The first day that is not rolled up whole."""
    return rolled_until.astimezone(UTC).date()
