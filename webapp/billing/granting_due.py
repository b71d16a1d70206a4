"""What the calendar grants: free plans, plans for life, and years that are paid out by the month."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import Entitlement
from webapp.billing.period_grant import grant_next, grant_period

# Of one entitlement in one go: after a long outage the rest comes with the next chunk.
MOST_PERIODS = 60
# What an outage made late: every period, or of what is free only the one that runs.
CATCH_UP = ("all", "latest")


def due_entitlements(session: Session, *, now: datetime, limit: int) -> list[Entitlement]:
    """Entitlements whose next period has begun, locked; those that somebody else works on are left to them."""
    due = session.scalars(
        select(Entitlement)
        .where(Entitlement.next_at <= now, Entitlement.paused.is_(False))
        .order_by(Entitlement.next_at, Entitlement.account_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    return sorted(due, key=lambda one: one.account_id)  # several accounts are locked in one order


def grant_due(session: Session, *, limit: int, catch_up: str = "all") -> int:
    """One chunk of due entitlements has all its periods up to now; returns how many periods are done.

    Every missed period is granted, each with its own expiry: what would have expired by now is granted and expired.
    With `catch_up` latest, periods of free plans that are over by now are done without credits; what was paid for is
    granted all the same. Safe to run twice at once and to be killed: a period is granted once.
    """
    now = ledger.now(session)
    return sum(
        grant_until(session, entitlement=entitlement, now=now, catch_up=catch_up)
        for entitlement in due_entitlements(session, now=now, limit=limit)
    )


def grant_until(session: Session, *, entitlement: Entitlement, now: datetime, catch_up: str = "all") -> int:
    """All periods of the (locked) entitlement that have begun by `now` have their credits; returns how many."""
    granted = 0
    while granted < MOST_PERIODS and entitlement.next_at is not None and entitlement.next_at <= now:
        if entitlement.paused:
            break
        if catch_up == "latest" and entitlement.kind == "free" and _is_over(entitlement, now):
            _skip(session, entitlement)
        else:
            grant_next(session, entitlement=entitlement)
        granted += 1
    return granted


def _is_over(entitlement: Entitlement, now: datetime) -> bool:
    return entitlement.period(entitlement.next_period).ends_at <= now


def _skip(session: Session, entitlement: Entitlement) -> None:
    """The period is done, and gave nothing."""
    number = entitlement.next_period
    grant_period(session, entitlement=entitlement, period=entitlement.period(number), actor="plan", credits=0)
    entitlement.set_next(number + 1)
