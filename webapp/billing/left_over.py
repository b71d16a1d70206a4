"""What one month of a plan leaves to the next: what will be taken over, and what was."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

AccountGrant = tuple[int, int]

# The month `p` of the grant whose entry is `m`, by what billing noted in that entry; others may write what they like.
_MONTH = (
    "ledger.entries_v m JOIN entitlement_periods p ON p.account_id = m.account_id AND p.grant_id = m.seq"
    " AND p.entitlement_id = CASE WHEN m.metadata ->> 'entitlement' ~ '^[0-9]{1,18}$'"
    "  THEN (m.metadata ->> 'entitlement')::bigint END"
    " AND p.number = CASE WHEN m.metadata ->> 'period' ~ '^-?[0-9]{1,9}$' THEN (m.metadata ->> 'period')::integer END"
)
# A month whose rest the next one will take over, up to a cap: its plan goes on, and the next one has not begun.
GOES_ON = (
    f" FROM {_MONTH} JOIN entitlements e ON e.id = p.entitlement_id"
    " LEFT JOIN subscriptions s ON s.id = p.subscription_id"
    " WHERE p.rollover_cap > 0 AND p.rolled_into IS NULL AND (e.ends_at IS NULL OR e.ends_at > p.ends_at)"
    " AND NOT coalesce(s.cancel_at_period_end AND s.period_ends_at <= p.ends_at, false)"
    " AND NOT EXISTS (SELECT FROM entitlement_periods l WHERE l.starts_at >= p.ends_at"
    "  AND (l.entitlement_id = p.entitlement_id OR l.subscription_id = p.subscription_id))"
)
_THESE = (
    " AND (m.account_id, m.seq) IN (SELECT * FROM unnest(CAST(:account_ids AS bigint[]), CAST(:grant_ids AS bigint[])))"
)
_SOON = text(f"SELECT m.account_id, m.seq, p.rollover_cap{GOES_ON} AND p.ends_at > :now AND NOT e.paused{_THESE}")
_DONE = text(
    f"SELECT m.account_id, m.seq, r.amount FROM {_MONTH}"  # noqa: S608
    " JOIN ledger.entries_v r ON r.account_id = p.account_id AND r.seq = p.rolled_into WHERE true" + _THESE
)
_ENDED = text(
    f"{_DONE.text} UNION ALL SELECT m.account_id, m.seq, NULL FROM ledger.entries_v m"  # noqa: S608
    f" WHERE m.kind = 'grant' AND m.about_seq IS NOT NULL{_THESE}"
)


def taken_over_soon(session: Session, *, grants: Sequence[AccountGrant], now: datetime) -> dict[AccountGrant, int]:
    """How many credits of these grants, (account, grant), the next month of their plan will take over at the most."""
    return _figures(session, _SOON, grants, now=now)


def taken_over(session: Session, *, grants: Sequence[AccountGrant]) -> dict[AccountGrant, int]:
    """How many credits of these grants, (account, grant), the next month has taken over."""
    return _figures(session, _DONE, grants)


def carried(session: Session, *, grants: Sequence[AccountGrant]) -> tuple[dict[AccountGrant, int], set[AccountGrant]]:
    """What `taken_over` says, and those of the grants that had been carried over themselves. One statement."""
    if not grants:
        return {}, set()
    on, before = {}, set()
    for account_id, grant_id, amount in session.execute(_ENDED, _arguments(grants)):
        if amount is None:
            before.add((account_id, grant_id))
        else:
            on[account_id, grant_id] = amount
    return on, before


def _figures(
    session: Session, statement: TextClause, grants: Sequence[AccountGrant], **more: datetime
) -> dict[AccountGrant, int]:
    if not grants:
        return {}
    return {(row[0], row[1]): row[2] for row in session.execute(statement, {**_arguments(grants), **more})}


def _arguments(grants: Sequence[AccountGrant]) -> dict[str, list[int]]:
    return {"account_ids": [one[0] for one in grants], "grant_ids": [one[1] for one in grants]}
