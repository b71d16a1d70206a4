"""What was true at an instant: balances, grants, holds."""

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.ledger.call import call, call_all


@dataclass(frozen=True, kw_only=True)
class GrantAt:
    """A grant at an instant: credits that it had `remaining`, and how many of them were `held`."""

    grant_id: int
    source: str
    source_key: str | None
    amount: int
    remaining: int
    held: int
    frozen: bool
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    features: list[str] | None
    description: str


@dataclass(frozen=True, kw_only=True)
class HoldAt:
    """A hold that was open at an instant."""

    number: int
    amount: int
    feature: str | None
    placed_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class State:
    """An account at an instant. `seq` is the newest entry booked by then; later ones may count from before."""

    balance: int
    held: int
    available: int
    debt: int
    seq: int
    grants: list[GrantAt]
    holds: list[HoldAt]


_ACCOUNT = text("SELECT balance, held, available, debt, seq FROM ledger.account_at(:account_id, :at)")
_GRANTS = text(
    f"SELECT {', '.join(field.name for field in fields(GrantAt))} FROM ledger.grants_at(:account_id, :at)"
    " ORDER BY grant_id"
)
_HOLDS = text(
    "SELECT number, amount, feature, placed_at, expires_at FROM ledger.holds_v"
    " WHERE account_id = :account_id AND placed_at <= :at AND expires_at > least(:at, ledger.now())"
    " AND (closed_at IS NULL OR closed_at > :at) ORDER BY number"
)


def state_at(session: Session, *, account_id: int, at: datetime) -> State:
    """The account as it was at the end of the moment `at`: its figures, every grant, every open hold.

    Everything that had occurred by then counts, whenever it was booked; time that has run out counts whether booked
    or not. The sum of the grants less the debt is the balance. Backdated usage may have drawn from a grant that came
    later: that one is listed with less than nothing. Reads only; call it in one snapshot to have the parts agree.
    Raises AccountNotFound.
    """
    given = {"account_id": account_id, "at": at}
    return State(
        **call(session, _ACCOUNT, given),
        grants=[GrantAt(**row) for row in call_all(session, _GRANTS, given)],
        holds=[HoldAt(**row) for row in call_all(session, _HOLDS, given)],
    )
