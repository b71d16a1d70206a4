"""What a period left unspent goes on in the next one of the same line, up to the cap that was promised."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy import ColumnElement, select, text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import EntitlementPeriod
from webapp.catalog.periods import period_start

log = structlog.get_logger()


class Bounds(Protocol):
    """What is asked of a period to find the one before another."""

    entitlement_id: Any
    number: Any
    starts_at: Any
    ends_at: Any


Some = TypeVar("Some", bound=Bounds)


def carry_over_around(session: Session, *, row: EntitlementPeriod, actor: str) -> None:
    """What ended with the period before `row` goes on in `row`, and what `row` left in one that came earlier."""
    for one in (row, _following(session, row)):
        if one is not None:
            _carry_over_into(session, one, actor=actor)


def _carry_over_into(session: Session, row: EntitlementPeriod, *, actor: str) -> None:
    """What ended with the last period, in the same line of entitlements, goes on in this one, up to the cap."""
    ended = _ended_before(session, row)
    left = max((one.rollover_cap for one in ended), default=0)  # as was promised when they were granted
    for one in ended:
        if left <= 0 or not _may_carry(one):
            continue
        assert one.grant_id is not None
        written = ledger.roll_over(
            session,
            account_id=row.account_id,
            grant_id=one.grant_id,
            cap=min(left, one.rollover_cap),
            source_key=_key(one),
            actor=actor,
            expires_at=row.ends_at,
        )
        if written is not None:
            one.rolled_into = written.entry.seq
            left -= written.entry.amount


def _may_carry(one: Any) -> bool:
    return bool(one.rollover_cap > 0 and one.grant_id is not None and one.rolled_into is None)


def _key(one: Bounds) -> str:
    return f"rollover:{one.entitlement_id}:{one.number}"


def _ended_before(session: Session, row: EntitlementPeriod) -> list[EntitlementPeriod]:
    """The periods of this line that ended since the one before this began, a month ago at the most."""
    others = session.scalars(
        select(EntitlementPeriod).where(
            _same_line(row),
            EntitlementPeriod.starts_at < row.starts_at,
            EntitlementPeriod.ends_at > _a_month_before(row.starts_at),
        ),
        execution_options={"populate_existing": True},
    ).all()
    return _ended(others, starts_at=row.starts_at)


def _ended(others: Sequence[Some], *, starts_at: datetime) -> list[Some]:
    if not others:
        return []
    began = max(one.starts_at for one in others)
    ended = [one for one in others if began < one.ends_at <= starts_at]
    return sorted(ended, key=lambda one: (one.ends_at, one.entitlement_id, one.number))


def _a_month_before(moment: datetime) -> datetime:
    return period_start(moment, -1, "UTC")


def _following(session: Session, row: EntitlementPeriod) -> EntitlementPeriod | None:
    """The period that was granted already although it comes after this one."""
    return session.scalars(
        select(EntitlementPeriod)
        .where(_same_line(row), EntitlementPeriod.starts_at >= row.ends_at)
        .order_by(EntitlementPeriod.starts_at)
        .limit(1)
        .execution_options(populate_existing=True)
    ).first()


def _same_line(row: EntitlementPeriod) -> ColumnElement[bool]:
    """All periods of one subscription, whatever plans it was on; else of one entitlement."""
    if row.subscription_id is not None:
        return EntitlementPeriod.subscription_id == row.subscription_id
    return EntitlementPeriod.entitlement_id == row.entitlement_id


# ---------------------------------------------------------------- many at once


# Of each new period the others of its line that ended in the month before it, or later: which ended with the last one
# and may go on in it, as `_ended` and `_may_carry` say, and whether one that comes after it was granted already.
_AROUND = """
SELECT u.id AS new_id, u.number AS new_number, n.account_id, n.ends_at AS expires_at, p.entitlement_id, p.number,
       p.rollover_cap AS cap, p.grant_id, bool_or(p.starts_at >= n.ends_at) OVER line AS followed,
       p.rollover_cap > 0 AND p.grant_id IS NOT NULL AND p.rolled_into IS NULL
       AND p.ends_at <= n.starts_at AND p.ends_at > b.since
       AND p.ends_at > max(p.starts_at) FILTER (WHERE p.starts_at < n.starts_at AND p.ends_at > b.since) OVER line
       AS goes_on
FROM unnest(CAST(:ids AS bigint[]), CAST(:numbers AS integer[])) WITH ORDINALITY u (id, number, place)
JOIN entitlement_periods n ON n.entitlement_id = u.id AND n.number = u.number
CROSS JOIN LATERAL (SELECT (n.starts_at AT TIME ZONE 'UTC' - interval '1 month') AT TIME ZONE 'UTC' AS since) b
CROSS JOIN LATERAL (
    SELECT * FROM entitlement_periods e
    WHERE n.subscription_id IS NULL AND e.entitlement_id = n.entitlement_id AND e.ends_at > b.since
    UNION ALL
    SELECT * FROM entitlement_periods s WHERE s.subscription_id = n.subscription_id AND s.ends_at > b.since
) p
WHERE (p.entitlement_id, p.number) <> (n.entitlement_id, n.number)
WINDOW line AS (PARTITION BY u.place)
"""
# What goes on in a new period by itself is carried over, all together; the rest is told: what the ledger refused, and
# the new periods that need a look one by one.
_CARRY_OVER = text(f"""
WITH around AS MATERIALIZED (
    SELECT q.*, count(*) FILTER (WHERE q.goes_on) OVER (PARTITION BY q.new_id, q.new_number) AS going_on
    FROM ({_AROUND}) q
), asked AS MATERIALIZED (
    SELECT a.*, row_number() OVER () AS item, 'rollover:' || a.entitlement_id || ':' || a.number AS source_key,
           CAST(:actor AS text) AS actor, NULL::text AS description
    FROM around a WHERE a.goes_on AND a.going_on = 1 AND NOT a.followed
), carried AS MATERIALIZED (
    {ledger.rollovers_of("asked")}
), done AS MATERIALIZED (
    SELECT a.*, c.way, c.seq, c.refusal, c.message, c.detail FROM asked a JOIN carried c ON c.item = a.item
), kept AS (
    UPDATE entitlement_periods p SET rolled_into = d.seq
    FROM done d WHERE d.seq IS NOT NULL AND p.entitlement_id = d.entitlement_id AND p.number = d.number
)
SELECT new_id, new_number, entitlement_id, number, refusal, message, detail FROM done
WHERE way = 's' OR refusal IS NOT NULL
UNION ALL
SELECT DISTINCT new_id, new_number, new_id, new_number, NULL, NULL, NULL FROM around WHERE going_on > 1 OR followed
""")  # noqa: S608 - put together from constants


def carry_over_around_all(session: Session, *, given: Mapping[str, Any], actor: str) -> None:
    """What `carry_over_around` does to each period, together where one remainder goes on in one period.

    `given` are the arrays `ids` of entitlements and `numbers` of their periods, which have just been granted, each of
    a line of its own: no two of one subscription or entitlement. What the ledger refuses is logged and harms no other.
    """
    for row in session.execute(_CARRY_OVER, {**given, "actor": actor}).all():
        refused = row.refusal and ledger.refusal_for(row.refusal, row.message, row.detail)
        if not refused:
            refused = _carry_over_singly(session, row.new_id, row.new_number, actor=actor)
        if refused:
            log.error("rollover_refused", entitlement=row.entitlement_id, period=row.number, reason=str(refused))


def _carry_over_singly(
    session: Session, entitlement_id: int, number: int, *, actor: str
) -> ledger.LedgerRefusal | None:
    """Returns what was refused, of which nothing stays."""
    row = session.get_one(EntitlementPeriod, (entitlement_id, number), populate_existing=True)
    try:
        with session.begin_nested():
            carry_over_around(session, row=row, actor=actor)
            session.flush()  # the statements here are no ORM's, and would not see it
    except ledger.LedgerRefusal as refused:
        return refused
    return None
