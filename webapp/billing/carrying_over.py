"""What a period left unspent goes on in the next one of the same line, up to the cap that was promised."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy import ColumnElement, Row, select, text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import EntitlementPeriod
from webapp.catalog.periods import period_start
from webapp.ledger.array_text import array_text

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


# Of each period that has just been granted the others of its line that ended in the month before it, or later. Where
# nothing can be carried over, as in plans without rollover, no row is worth fetching.
_AROUND = text("""
SELECT * FROM (
    SELECT n.entitlement_id AS new_id, n.number AS new_number, n.account_id, n.starts_at AS new_starts_at,
           n.ends_at AS new_ends_at, p.entitlement_id, p.number, p.starts_at, p.ends_at, p.rollover_cap, p.grant_id,
           p.rolled_into,
           bool_or(p.starts_at >= n.ends_at
                   OR p.rollover_cap > 0 AND p.grant_id IS NOT NULL AND p.rolled_into IS NULL) OVER line AS matters
    FROM unnest(CAST(:ids AS bigint[]), CAST(:numbers AS integer[])) WITH ORDINALITY u (id, number, place)
    JOIN entitlement_periods n ON n.entitlement_id = u.id AND n.number = u.number
    CROSS JOIN LATERAL (
        SELECT * FROM entitlement_periods e
        WHERE n.subscription_id IS NULL AND e.entitlement_id = n.entitlement_id
          AND e.ends_at > n.starts_at - interval '31 days'
        UNION ALL
        SELECT * FROM entitlement_periods s
        WHERE s.subscription_id = n.subscription_id AND s.ends_at > n.starts_at - interval '31 days'
    ) p
    WHERE (p.entitlement_id, p.number) <> (n.entitlement_id, n.number)
    WINDOW line AS (PARTITION BY u.place)
) q WHERE q.matters
""")
_KEEP = text("""
UPDATE entitlement_periods p SET rolled_into = u.seq
FROM unnest(CAST(:entitlements AS bigint[]), CAST(:numbers AS integer[]), CAST(:seqs AS bigint[]))
     u (entitlement_id, number, seq)
WHERE p.entitlement_id = u.entitlement_id AND p.number = u.number
""")


def carry_over_around_all(session: Session, *, given: Mapping[str, Any], actor: str) -> None:
    """What `carry_over_around` does to each period, together where one remainder goes on in one period.

    `given` are the arrays `ids` of entitlements and `numbers` of their periods, which have just been granted, each of
    a line of its own: no two of one subscription or entitlement.
    """
    asked: list[ledger.RollOver] = []
    going_on: list[Bounds] = []
    for others in _around(session, given):
        new = others[0]
        since = _a_month_before(new.new_starts_at)
        before = [one for one in others if one.starts_at < new.new_starts_at and one.ends_at > since]
        ended = [one for one in _ended(before, starts_at=new.new_starts_at) if _may_carry(one)]
        if len(ended) > 1 or any(one.starts_at >= new.new_ends_at for one in others):
            kept = session.get_one(EntitlementPeriod, (new.new_id, new.new_number), populate_existing=True)
            carry_over_around(session, row=kept, actor=actor)
            session.flush()  # the statements here are no ORM's, and would not see it
        elif ended:
            asked.append(_rollover(ended[0], actor=actor))
            going_on.append(ended[0])
    if asked:
        _keep(session, going_on, ledger.roll_over_many(session, asked=asked))


def _around(session: Session, given: Mapping[str, Any]) -> list[list[Row[Any]]]:
    """Of each period the others of its line that ended in the month before it, or later; of those where one matters."""
    found: dict[tuple[int, int], list[Row[Any]]] = {}
    for other in session.execute(_AROUND, given):
        found.setdefault((other.new_id, other.new_number), []).append(other)
    return list(found.values())


def _rollover(ended: Any, *, actor: str) -> ledger.RollOver:
    return ledger.RollOver(
        account_id=ended.account_id,
        grant_id=ended.grant_id,
        cap=ended.rollover_cap,
        source_key=_key(ended),
        actor=actor,
        expires_at=ended.new_ends_at,
    )


def _keep(session: Session, ended: Sequence[Bounds], outcomes: Sequence[int | ledger.LedgerRefusal | None]) -> None:
    done: list[tuple[Bounds, int]] = []
    for one, outcome in zip(ended, outcomes, strict=True):
        if isinstance(outcome, ledger.LedgerRefusal):
            log.error("rollover_refused", entitlement=one.entitlement_id, period=one.number, reason=str(outcome))
        elif outcome is not None:
            done.append((one, outcome))
    if done:
        given = {
            "entitlements": array_text([one.entitlement_id for one, _ in done]),
            "numbers": array_text([one.number for one, _ in done]),
            "seqs": array_text([seq for _, seq in done]),
        }
        session.execute(_KEEP, given)
