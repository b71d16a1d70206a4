"""Charging what was accepted: in the order of arrival for each account, each event once."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.catalog.counted import is_open
from webapp.catalog.counted_spends import spend_many_counted
from webapp.catalog.metering import LimitReached, PlansOf
from webapp.database import sqlstate
from webapp.people.suspension import AccountSuspended, suspended_among
from webapp.usage.event import CHARGED, PARKED, REJECTED

MOST_EVENTS = 1_000  # what ledger.spend_many takes
MOST_LANES = 16  # of 64, so that four workers have enough to do

# Classes of SQLSTATE that say something about the data; any other says something about the database's day.
_ABOUT_DATA = ("21", "22", "23", "42", "54", "P0", "TS")

# Whose lane it is charges it until the database transaction ends; other workers pass over it.
_TAKE_LANES = text(
    """
    SELECT l.lane FROM usage_lanes l
    CROSS JOIN LATERAL (
        SELECT e.id FROM usage_events e WHERE e.lane = l.lane AND e.state = 'pending' ORDER BY e.id LIMIT 1) oldest
    ORDER BY oldest.id LIMIT :lanes FOR UPDATE OF l SKIP LOCKED
    """
)
# A statement of its own: it sees what whoever had the lane before has committed. Usage occurred when it was told of,
# unless it says when. A moment that our clock found to be past may lie ahead of the database's by some milliseconds.
_NEXT = text(
    """
    SELECT e.*
    FROM unnest(CAST(:lanes AS smallint[])) l (lane)
    CROSS JOIN LATERAL (
        SELECT e.id, e.account_id, e.amount, e.idempotency_key, e.fingerprint, e.actor, e.feature, e.quantity,
               e.partial, e.description, e.reference, e.metadata, e.pricing,
               least(coalesce(e.occurred_at, e.accepted_at), (SELECT ledger.now())) AS occurred_at
        FROM usage_events e WHERE e.lane = l.lane AND e.state = 'pending' ORDER BY e.id LIMIT :each) e
    ORDER BY e.id LIMIT :limit
    """
)
_SETTLE = text(
    """
    UPDATE usage_events e
    SET state = s.state, seq = s.seq, replayed = s.replayed, refusal = CAST(s.refusal AS jsonb), since = :now,
        amount = coalesce(s.amount, e.amount),
        tried_version = CASE s.state WHEN 'parked' THEN (
            SELECT a.version FROM ledger.accounts_v a WHERE a.account_id = e.account_id) END
    FROM unnest(CAST(:ids AS bigint[]), CAST(:states AS text[]), CAST(:seqs AS bigint[]),
                CAST(:replays AS boolean[]), CAST(:refusals AS text[]), CAST(:amounts AS bigint[]))
        s (id, state, seq, replayed, refusal, amount)
    WHERE e.id = s.id
    """
)
_PARK = text(
    "UPDATE usage_events SET state = 'parked', refusal = CAST(:refusal AS jsonb), since = :now, tried_version = NULL"
    " WHERE id = :id AND state = 'pending'"
)


class ChargingFailed(Exception):
    """Something about the events `ids` made charging them fail; the cause says what."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = ids
        super().__init__(f"{len(ids)} events from {ids[0]} on could not be charged")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptSpend(ledger.SpendItem):
    """A spend as it was asked for once: the fingerprint is the one of then."""

    kept_fingerprint: bytes

    def fingerprint(self, occurred_at: datetime | None) -> bytes:
        return self.kept_fingerprint


def charge_next(session: Session, *, plans_of: PlansOf, limit: int = MOST_EVENTS) -> Counter[str] | None:
    """Some of the events that wait are charged, parked or rejected: how many of each; None when none is free.

    At most `limit`, the oldest of up to 16 lanes that no other worker has. The lanes stay locked until the end of the
    database transaction, and so do the accounts, in the order of their ids. `plans_of` says which ceilings hold.
    Raises ChargingFailed for what trying again would not mend; nothing was written then.
    """
    lanes = list(session.execute(_TAKE_LANES, {"lanes": min(limit, MOST_LANES)}).scalars())
    if not lanes:
        return None
    each = -(-limit // len(lanes))
    events = session.execute(_NEXT, {"lanes": lanes, "each": each, "limit": limit}).mappings().all()
    if not events:  # whoever had these lanes before has charged everything in them
        return Counter()
    try:
        outcomes = _charge(session, events, plans_of)
        return _settle(session, events, outcomes)
    except Exception as error:
        if isinstance(error, DBAPIError) and sqlstate(error)[:2] not in _ABOUT_DATA:
            raise
        raise ChargingFailed([event["id"] for event in events]) from error


def _charge(
    session: Session, events: Sequence[RowMapping], plans_of: PlansOf
) -> list[ledger.Written | ledger.LedgerRefusal]:
    """What became of each event, in this order. What suspended accounts have used waits until they are resumed."""
    suspended = suspended_among(session, account_ids={event["account_id"] for event in events})
    items = [_as_spend(event) for event in events if event["account_id"] not in suspended]
    charged = iter(spend_many_counted(session, items=items, plans_of=plans_of))
    return [suspended.get(event["account_id"]) or next(charged) for event in events]


def park_failed(session: Session, *, event_id: int, reason: str) -> None:
    """The event is left for a person, who finds the reason in the log; it is not tried again by itself."""
    refusal = json.dumps({"code": "failed", "message": reason.replace("\x00", "")[:500]})
    session.execute(_PARK, {"id": event_id, "refusal": refusal, "now": clock.now()})


def _as_spend(event: RowMapping) -> KeptSpend:
    return KeptSpend(
        account_id=event["account_id"],
        amount=event["amount"],
        idempotency_key=event["idempotency_key"],
        actor=event["actor"],
        feature=event["feature"],
        quantity=event["quantity"],
        partial=event["partial"],
        description=event["description"],
        reference=event["reference"],
        metadata=event["metadata"],
        pricing=event["pricing"],
        occurred_at=event["occurred_at"],
        kept_fingerprint=bytes(event["fingerprint"]),
    )


def _settle(
    session: Session, events: Sequence[RowMapping], outcomes: Sequence[ledger.Written | ledger.LedgerRefusal]
) -> Counter[str]:
    states = [_state(outcome) for outcome in outcomes]
    written = [outcome if isinstance(outcome, ledger.Written) else None for outcome in outcomes]
    session.execute(
        _SETTLE,
        {
            "ids": [event["id"] for event in events],
            "states": states,
            "seqs": [one and one.entry.seq for one in written],
            "replays": [one and one.replayed for one in written],
            "refusals": [_refusal(outcome) for outcome in outcomes],
            "amounts": [_cost(event, outcome) for event, outcome in zip(events, outcomes, strict=True)],
            "now": clock.now(),
        },
    )
    return Counter(states)


def _state(outcome: ledger.Written | ledger.LedgerRefusal) -> str:
    if isinstance(outcome, ledger.Written):
        return CHARGED
    return PARKED if isinstance(outcome, ledger.InsufficientCredits | AccountSuspended | LimitReached) else REJECTED


def _cost(event: RowMapping, outcome: ledger.Written | ledger.LedgerRefusal) -> int | None:
    """What it came to, where that was not known on arrival."""
    if not (is_open(event["pricing"]) and isinstance(outcome, ledger.Written)):
        return None
    cost = (outcome.entry.pricing or {}).get("credits")
    return cost if type(cost) is int else None


def _refusal(outcome: ledger.Written | ledger.LedgerRefusal) -> str | None:
    if isinstance(outcome, ledger.Written):
        return None
    return json.dumps({"code": outcome.code, "message": str(outcome), "data": outcome.data})
