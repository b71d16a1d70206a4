"""What the calendar grants: free plans, plans for life, and years that are paid out by the month."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import Entitlement
from webapp.billing.period_batch import grant_next_of_all
from webapp.billing.period_grant import grant_next

# Of one entitlement in one go: after a long outage the rest comes with the next chunk.
MOST_PERIODS = 60
# What an outage made late: every period, or of what is free only the one that runs.
CATCH_UP = ("all", "latest")


def due_entitlements(session: Session, *, now: datetime, limit: int) -> list[Entitlement]:
    """Entitlements whose next period has begun, locked, the longest due first; others' locks are left to them."""
    return list(
        session.scalars(
            select(Entitlement)
            .where(Entitlement.next_at <= now, Entitlement.paused.is_(False))
            .order_by(Entitlement.next_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        )
    )


def grant_due(session: Session, *, limit: int, catch_up: str = "all") -> int:
    """Up to `limit` due entitlements have their next period, or their next ones; returns how many periods are done.

    Every missed period is granted, each with its own expiry: what would have expired by now is granted and expired.
    With `catch_up` latest, periods of free plans that are over by now are done without credits; what was paid for is
    granted all the same. Who has missed many has the rest with the next chunk: 0 says that nothing is due any more,
    or that what is due was refused, which the log says. Safe to run twice at once and to be killed: a period is
    granted once.
    """
    now = ledger.now(session)
    waiting = due_entitlements(session, now=now, limit=limit)
    periods = 0
    while waiting and periods < limit:
        turn, others = _one_of_each_account(waiting)
        done = grant_next_of_all(session, entitlements=turn, skip=catch_up == "latest", now=now)
        periods += len(done)
        waiting = [one for one in done if one.next_at is not None and one.next_at <= now] + others
        waiting.sort(key=lambda one: one.next_at or now)
    return periods


def _one_of_each_account(waiting: list[Entitlement]) -> tuple[list[Entitlement], list[Entitlement]]:
    """The first of each account, by the ids of the accounts, in whose order they are locked; and all others."""
    turn: dict[int, Entitlement] = {}
    others = [one for one in waiting if turn.setdefault(one.account_id, one) is not one]
    return sorted(turn.values(), key=lambda one: one.account_id), others


def grant_until(session: Session, *, entitlement: Entitlement, now: datetime) -> int:
    """All periods of the (locked) entitlement that have begun by `now` have their credits; returns how many."""
    granted = 0
    while granted < MOST_PERIODS and entitlement.next_at is not None and entitlement.next_at <= now:
        if entitlement.paused:
            break
        grant_next(session, entitlement=entitlement)
        granted += 1
    return granted
