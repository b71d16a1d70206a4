"""Trying again what could not be paid, when credits have come."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from webapp import clock
from webapp.people.suspension import AccountSuspended
from webapp.usage.event import PARKED, PENDING, REJECTED, UsageEvent

# So long a parked event is tried again by itself; then it is left for a person.
RETRY_FOR = timedelta(days=30)
# What comes with time alone (a grant that begins, a hold that lapses) does not change the account.
RETRY_ANYWAY_AFTER = timedelta(hours=1)

_RETRY = text(
    """
    WITH due AS (
        SELECT e.id FROM usage_events e JOIN ledger.accounts_v a ON a.account_id = e.account_id
        WHERE e.state = 'parked' AND e.tried_version IS NOT NULL AND e.accepted_at > :oldest
          AND (e.refusal ->> 'code' <> 'limit_reached' AND a.version <> e.tried_version OR e.since < :anyway)
          AND (a.balance - a.held + a.overdraft_limit
               >= coalesce((e.refusal #>> '{data,required}')::bigint, e.amount)
               OR e.partial OR e.refusal ->> 'code' = 'limit_reached')
          AND NOT EXISTS (SELECT FROM suspensions s WHERE s.account_id = e.account_id AND s.ended_at IS NULL)
        ORDER BY e.id LIMIT :limit FOR UPDATE OF e SKIP LOCKED)
    UPDATE usage_events e SET state = 'pending', since = :now FROM due WHERE e.id = due.id
    """
)


def retry_payable(session: Session, *, limit: int) -> int:
    """Parked events whose account has changed since, and may have enough by now, are pending again; returns how many.

    They keep their place: older ones are charged first. What a plan's ceiling has refused is tried each hour, for the
    plan or its ceiling may be another. At most `limit`, and none that came more than 30 days ago.
    """
    now = clock.now()
    moments = {"now": now, "oldest": now - RETRY_FOR, "anyway": now - RETRY_ANYWAY_AFTER}
    return session.execute(_RETRY, {**moments, "limit": limit}).rowcount  # type: ignore[attr-defined, no-any-return]


def retry_parked(session: Session, *, account_ids: Collection[int]) -> int:
    """All parked events of these accounts are pending again, whatever parked them and when; returns how many."""
    return _move_parked(session, account_ids=account_ids, state=PENDING)


def retry_resumed(session: Session, *, account_id: int) -> int:
    """What was parked because the account was suspended is pending again, however long ago; returns how many."""
    waits = (UsageEvent.account_id == account_id, UsageEvent.state == PARKED)
    ours = UsageEvent.refusal["code"].astext == AccountSuspended.code
    moved = update(UsageEvent).where(*waits, ours).values(state=PENDING, since=clock.now())
    return len(session.execute(moved.returning(UsageEvent.id)).all())


def give_up(session: Session, *, account_ids: Collection[int]) -> int:
    """All parked events of these accounts are rejected for good, for what parked them; returns how many."""
    return _move_parked(session, account_ids=account_ids, state=REJECTED)


def _move_parked(session: Session, *, account_ids: Collection[int], state: str) -> int:
    parked = select(UsageEvent.id).where(UsageEvent.account_id.in_(account_ids), UsageEvent.state == PARKED)
    locked = parked.with_for_update(skip_locked=True).scalar_subquery()
    moved = update(UsageEvent).where(UsageEvent.id.in_(locked)).values(state=state, since=clock.now())
    return len(session.execute(moved.returning(UsageEvent.id)).all())
