"""What the calendar grants: free plans, plans for life, and years that are paid out by the month."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import Entitlement
from webapp.billing.period_batch import NEEDED, grant_next_of_all
from webapp.billing.period_grant import grant_next

# Of one entitlement in one go: after a long outage the rest comes with the next chunk.
MOST_PERIODS = 60
# What an outage made late: every period, or of what is free only the one that runs.
CATCH_UP = ("all", "latest")


def due_entitlements(session: Session, *, now: datetime, limit: int, but: Collection[int] = ()) -> list[Row[Any]]:
    """Entitlements whose next period has begun, locked, the longest due first; others' locks are left to them.

    Rows and not objects, because there are many; `but` are ids to be left out.
    """
    return list(session.execute(_due(now=now, limit=limit, but=but)))


def _due(*, now: datetime, limit: int, but: Collection[int] = ()) -> Select[Any]:
    table = Entitlement.__table__
    query = (
        select(*(table.c[name] for name in NEEDED))
        # NOT paused, word for word as entitlements_next_at_idx: with `paused IS false` each chunk read all of them
        .where(table.c.next_at <= now, ~table.c.paused)
        .order_by(table.c.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return query.where(table.c.id.not_in(but)) if but else query


def grant_due(session: Session, *, limit: int, catch_up: str = "all") -> int:
    """Up to `limit` periods of due entitlements are done, the longest due first; returns how many.

    Every missed period is granted, each with its own expiry: what would have expired by now is granted and expired.
    With `catch_up` latest, periods of free plans that are over by now are done without credits; what was paid for is
    granted all the same. What is left over is for the next chunk: 0 says that nothing is due any more, or that what
    is due was refused, which the log says. Safe to run twice at once and to be killed: a period is granted once.
    """
    now = ledger.now(session)
    session.flush()
    periods = 0
    refused: set[int] = set()
    while periods < limit:
        due = due_entitlements(session, now=now, limit=limit - periods, but=refused)
        if not due:
            break
        outcome = grant_next_of_all(session, entitlements=_one_of_each_account(due), skip=catch_up == "latest", now=now)
        periods += len(outcome.done)
        refused |= outcome.refused
    session.flush()
    session.expire_all()  # what was loaded before is older than what was written here
    return periods


def _one_of_each_account(due: list[Row[Any]]) -> list[Row[Any]]:
    """The first of each account, by the ids of the accounts, in whose order they are locked. Others come later."""
    turn: dict[int, Row[Any]] = {}
    for one in due:
        turn.setdefault(one.account_id, one)
    return sorted(turn.values(), key=lambda one: int(one.account_id))


def grant_until(session: Session, *, entitlement: Entitlement, now: datetime) -> int:
    """All periods of the (locked) entitlement that have begun by `now` have their credits; returns how many."""
    granted = 0
    while granted < MOST_PERIODS and entitlement.next_at is not None and entitlement.next_at <= now:
        if entitlement.paused:
            break
        grant_next(session, entitlement=entitlement)
        granted += 1
    return granted
