"""What the calendar grants: free plans, plans for life, and years that are paid out by the month."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import Entitlement
from webapp.billing.period_grant import grant_next

# Of one entitlement in one go: after a long outage the rest comes with the next chunk.
MOST_PERIODS = 60


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


def grant_due(session: Session, *, limit: int) -> int:
    """One chunk of due entitlements has all its periods up to now; returns how many periods were granted.

    Every missed period is granted, each with its own expiry: what would have expired by now is granted and expired.
    Safe to run twice at once and to be killed: a period is granted once.
    """
    now = ledger.now(session)
    return sum(
        grant_until(session, entitlement=entitlement, now=now)
        for entitlement in due_entitlements(session, now=now, limit=limit)
    )


def grant_until(session: Session, *, entitlement: Entitlement, now: datetime) -> int:
    """All periods of the (locked) entitlement that have begun by `now` have their credits; returns how many."""
    granted = 0
    while granted < MOST_PERIODS and entitlement.next_at is not None and entitlement.next_at <= now:
        if entitlement.paused:
            break
        grant_next(session, entitlement=entitlement)
        granted += 1
    return granted
