"""How many are on a plan, and who waits to be: what an admin must know before a plan is changed."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import ledger

_ON_PLAN = text(
    "SELECT count(*) FROM (SELECT FROM entitlements WHERE mode = :mode AND plan = :plan"
    " AND coalesce(ends_at, 'infinity') > :now LIMIT :most) one"
)
_AWAITED = text(
    "SELECT DISTINCT currency FROM subscriptions WHERE pending_plan = :plan AND successor_id IS NULL AND mode = :mode"
)


def count_on_plan(session: Session, *, plan: str, mode: str, most: int) -> int:
    """How many accounts are on the plan now; `most` where there are that many or more. An index alone is read."""
    asked = {"plan": plan, "mode": mode, "now": ledger.now(session), "most": most}
    return int(session.execute(_ON_PLAN, asked).scalar_one())


def awaited_currencies(session: Session, *, plan: str, mode: str) -> set[str]:
    """In which currencies somebody will be on the plan when what they have now ends: those need a price until then."""
    return set(session.execute(_AWAITED, {"plan": plan, "mode": mode}).scalars())
