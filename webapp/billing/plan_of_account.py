"""Which plan an account is on, for prices that depend on it."""

from collections.abc import Collection

from sqlalchemy import bindparam, case, select
from sqlalchemy.orm import Session

from webapp import clock
from webapp.billing.entitlement import Entitlement
from webapp.billing.stripe_api import mode

# Made once: to put it together and to recognise it costs as much as to ask it.
_PLANS = (
    select(Entitlement.account_id, Entitlement.plan)
    .where(
        Entitlement.account_id.in_(bindparam("account_ids", expanding=True)),
        Entitlement.mode == bindparam("mode"),
        Entitlement.starts_at <= bindparam("now"),
        (Entitlement.ends_at.is_(None)) | (Entitlement.ends_at > bindparam("now")),
    )
    .order_by(case((Entitlement.kind == "free", 0), (Entitlement.kind == "lifetime", 1), else_=2), Entitlement.id)
)


def plan_of(session: Session, *, account_id: int) -> str | None:
    """The code of the plan that the account is on now, the best of several; None where it is on none."""
    return plans_of(session, account_ids=[account_id]).get(account_id)


def plans_of(session: Session, *, account_ids: Collection[int]) -> dict[int, str]:
    """The same for each of the accounts that is on a plan, in one statement."""
    rows = session.execute(_PLANS, {"account_ids": list(account_ids), "mode": mode(), "now": clock.now()})
    return {row.account_id: row.plan for row in rows}  # of several the last, which is the best
