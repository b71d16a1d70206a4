"""How many are on a plan, and who waits to be: what an admin must know before a plan is changed."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import ledger

_ON_PLANS = text(
    "SELECT p.code, (SELECT count(*) FROM (SELECT FROM entitlements e WHERE e.mode = :mode AND e.plan = p.code"
    " AND coalesce(e.ends_at, 'infinity') > :now LIMIT :most) one) AS accounts"
    " FROM unnest(CAST(:plans AS text[])) p (code)"
)
_AWAITED = text(
    "SELECT DISTINCT currency FROM subscriptions WHERE pending_plan = :plan AND successor_id IS NULL AND mode = :mode"
)


def count_on_plans(session: Session, *, plans: Sequence[str], mode: str, most: int) -> dict[str, int]:
    """How many accounts are on each of the plans now; `most` where there are that many or more. One statement.

    No more than `most` entries of an index are read for each.
    """
    asked = {"plans": list(plans), "mode": mode, "now": ledger.now(session), "most": most}
    return {row.code: row.accounts for row in session.execute(_ON_PLANS, asked)}


def awaited_currencies(session: Session, *, plan: str, mode: str) -> set[str]:
    """In which currencies somebody will be on the plan when what they have now ends: those need a price until then."""
    return set(session.execute(_AWAITED, {"plan": plan, "mode": mode}).scalars())
