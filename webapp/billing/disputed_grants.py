"""Disputes as they touched grants: those that freeze one, and those that were decided for the seller.

A freeze is no entry, so nothing in the ledger tells of it later but its own record; what became of the dispute stands
in ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True, kw_only=True)
class DisputedGrant:
    """A grant was frozen at `frozen_at` for a dispute over `amount_minor`; free since `freed_at`, if it is."""

    amount_minor: int
    currency: str
    frozen_at: datetime
    freed_at: datetime | None


# One that was lost has its revoke, and one that was won after all its restore: those entries tell of it themselves.
_FOUND = text(
    """
    SELECT f.account_id, f.grant_id, d.amount_minor, d.currency, f.frozen_at, f.unfrozen_at
    FROM ledger.freezes_v f JOIN disputes d ON d.stripe_dispute_id = f.reference
    WHERE (f.account_id, f.grant_id) IN (
            SELECT * FROM unnest(CAST(:account_ids AS bigint[]), CAST(:grant_ids AS bigint[])))
      AND (f.unfrozen_at IS NULL OR (d.status = 'won' AND NOT EXISTS (
            SELECT FROM ledger.entries_v r
            WHERE r.account_id = f.account_id AND r.about_seq = f.grant_id AND r.kind = 'restore'
              AND r.metadata ->> 'cause' = 'dispute_won')))
    ORDER BY f.account_id, f.number
    """
)


def disputes_of_grants(
    session: Session, *, grants: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], list[DisputedGrant]]:
    """What there is to tell of disputes of these grants, (account, grant), oldest first. One statement."""
    if not grants:
        return {}
    found: dict[tuple[int, int], list[DisputedGrant]] = {}
    for row in session.execute(_FOUND, {"account_ids": [g[0] for g in grants], "grant_ids": [g[1] for g in grants]}):
        found.setdefault((row.account_id, row.grant_id), []).append(
            DisputedGrant(
                amount_minor=row.amount_minor,
                currency=row.currency,
                frozen_at=row.frozen_at,
                freed_at=row.unfrozen_at,
            )
        )
    return found
