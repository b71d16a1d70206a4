"""What became of usage: by batch, by account, and all of it in figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from webapp.usage.event import STATES, UsageEvent

# Each state by its index, newest first; what they have in common is at most four times a page.
_OF_ACCOUNT = text(
    """
    SELECT e.* FROM unnest(CAST(:states AS text[])) s (state)
    CROSS JOIN LATERAL (
        SELECT * FROM usage_events e
        WHERE e.account_id = :account_id AND e.state = s.state AND (CAST(:before AS bigint) IS NULL OR e.id < :before)
        ORDER BY e.id DESC LIMIT :limit) e
    ORDER BY e.id DESC LIMIT :limit
    """
)
_NAMES = text("SELECT account_id, external_id FROM ledger.accounts_v WHERE account_id = ANY (:ids)")
_BACKLOG = text(
    "SELECT count(*) FILTER (WHERE state = 'pending') AS pending, count(*) FILTER (WHERE state = 'parked') AS parked,"
    " min(since) FILTER (WHERE state = 'pending') AS pending_since"
    " FROM usage_events WHERE state IN ('pending', 'parked')"
)


_PARKED = text(
    "SELECT a.external_id, p.events, p.amount, p.oldest_at FROM ("
    " SELECT account_id, count(*) AS events, sum(amount) AS amount, min(accepted_at) AS oldest_at"
    " FROM usage_events WHERE state = 'parked' GROUP BY account_id ORDER BY oldest_at LIMIT :limit) p"
    " JOIN ledger.accounts_v a ON a.account_id = p.account_id ORDER BY p.oldest_at"
)


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """How many events wait, since when the first of them does, and how many could not be paid."""

    pending: int
    parked: int
    pending_since: datetime | None


def events_of_batch(session: Session, *, batch: UUID) -> list[tuple[UsageEvent, str | None]]:
    """The events of the batch in their order, each with the external id of its account; none when there is no such."""
    events = list(session.scalars(select(UsageEvent).where(UsageEvent.batch == batch).order_by(UsageEvent.position)))
    ids = list({event.account_id for event in events if event.account_id is not None})
    names: dict[int | None, str] = {}
    if ids:
        names = {row.account_id: row.external_id for row in session.execute(_NAMES, {"ids": ids})}
    return [(event, names.get(event.account_id)) for event in events]


def events_of_account(
    session: Session, *, account_id: int, state: str | None = None, before: int | None = None, limit: int = 50
) -> list[UsageEvent]:
    """The account's events before id `before`, newest first; of one state, or of all."""
    states: Sequence[str] = STATES if state is None else (state,)
    given = {"account_id": account_id, "states": list(states), "before": before, "limit": limit}
    return list(session.scalars(select(UsageEvent).from_statement(_OF_ACCOUNT), given))


def backlog(session: Session) -> Backlog:
    """What is undone now."""
    row = session.execute(_BACKLOG).one()
    return Backlog(pending=row.pending, parked=row.parked, pending_since=row.pending_since)


@dataclass(frozen=True, kw_only=True)
class ParkedUsage:
    """What an account has not paid for: how many events, of how many credits, since when."""

    external_id: str
    events: int
    amount: int
    oldest_at: datetime


def parked_usage(session: Session, *, limit: int) -> list[ParkedUsage]:
    """The accounts with parked events, the one that waits longest in front."""
    rows = session.execute(_PARKED, {"limit": limit})
    return [
        ParkedUsage(external_id=row.external_id, events=row.events, amount=int(row.amount), oldest_at=row.oldest_at)
        for row in rows
    ]
