"""Free plans: at once, and never twice the same month."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import Entitlement, EntitlementPeriod, running, terms_of
from webapp.billing.granting_due import grant_until
from webapp.billing.holder import Holder
from webapp.catalog.periods import period_of
from webapp.catalog.plan import Plan
from webapp.people.user import User


class HasBetterPlan(Exception):
    """The person is on a plan that is paid for; nothing was written."""

    def __init__(self, entitlement: Entitlement) -> None:
        self.entitlement = entitlement
        super().__init__(entitlement.plan)


def start_free(session: Session, *, plan: Plan, user: User | Holder, mode: str) -> Entitlement:
    """The person is on the free plan, and this month's credits are there.

    One who left it and comes back goes on in the months that were counted from the first beginning, on today's terms:
    a month that was granted is not granted again, and those in between are not made up for. Repeatable and safe at
    once. Locks the entitlement and the account. Raises HasBetterPlan.
    """
    now = ledger.now(session)
    entitlement = _ensure(session, plan=plan, user=user, mode=mode, now=now)
    better = [one for one in running(session, account_id=user.account_id, mode=mode, now=now) if one.kind != "free"]
    if better:
        raise HasBetterPlan(better[0])
    if entitlement.ends_at is not None:
        _resume(session, entitlement, plan=plan, now=now)
    grant_until(session, entitlement=entitlement, now=now)
    return entitlement


def end_free(session: Session, *, account_id: int, mode: str, moment: datetime) -> None:
    """No free plan goes on beyond `moment`: a better one has begun. What it granted stays."""
    found = session.scalars(
        select(Entitlement)
        .where(
            Entitlement.account_id == account_id,
            Entitlement.mode == mode,
            Entitlement.kind == "free",
            Entitlement.ends_at.is_(None),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is not None:
        found.end(moment)


def _ensure(session: Session, *, plan: Plan, user: User | Holder, mode: str, now: datetime) -> Entitlement:
    """The person's one free entitlement, locked; made where it is missing."""
    account = ledger.get_account(session, account_id=user.account_id)
    session.execute(
        insert(Entitlement)
        .values(
            user_id=user.id,
            account_id=user.account_id,
            external_id=user.external_id,
            mode=mode,
            **terms_of(plan),
            anchor_at=now,
            time_zone=account.time_zone,
            starts_at=now,
            next_period=0,
            next_at=now,
            created_at=now,
        )
        .on_conflict_do_nothing()
    )
    return session.scalars(
        select(Entitlement)
        .where(Entitlement.account_id == user.account_id, Entitlement.mode == mode, Entitlement.kind == "free")
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def _resume(session: Session, entitlement: Entitlement, *, plan: Plan, now: datetime) -> None:
    """It goes on in the month that runs. What fell due before it was left is granted first, on the terms of then."""
    while grant_until(session, entitlement=entitlement, now=now):
        pass
    for name, value in terms_of(plan).items():
        setattr(entitlement, name, value)
    entitlement.ends_at = None
    current = period_of(entitlement.anchor_at, now, entitlement.time_zone).number
    granted = session.get(EntitlementPeriod, (entitlement.id, current)) is not None
    entitlement.set_next(current + 1 if granted else current)
