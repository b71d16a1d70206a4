"""Reading balances. What has expired is never in them, swept or not."""

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.ledger.call import call, call_all
from webapp.ledger.entries import GRANT_COLUMNS, Grant


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Credits of an account at one moment.

    `balance` is what its grants have left less its `debt`; `held` is the part that open holds reserve; `available`
    is what could be spent now on something that no grant excludes. `version` changes whenever one of them does.
    """

    balance: int
    held: int
    available: int
    debt: int
    seq: int
    version: str


@dataclass(frozen=True, kw_only=True)
class Lasting:
    """A balance that stays as it is for `lasts_ms` milliseconds unless somebody writes; None is for ever.

    0 or less when something has ended that is not booked yet: then it is not known what ends next.
    """

    balance: Balance
    lasts_ms: int | None


@dataclass(frozen=True, kw_only=True)
class Expiring:
    """`amount` credits that end at `expires_at`, unless they are spent before."""

    amount: int
    expires_at: datetime


_FIELDS = ", ".join(field.name for field in fields(Balance))
_BALANCE = text(f"SELECT {_FIELDS} FROM ledger.balance(:account_id)")
_BALANCE_UNTIL = text(f"SELECT {_FIELDS}, lasts_ms FROM ledger.balance_until(:account_id)")
_BALANCE_AT = text("SELECT balance FROM ledger.balance_at(:account_id, :at)")
_SPENDABLE = text("SELECT ledger.spendable(:account_id, :feature) AS credits")
# What a hold reserves is not lost to its grant's end, unless the hold has lapsed and nobody has booked that yet.
_EXPIRING = text(
    "SELECT sum(g.remaining - g.held + coalesce(l.amount, 0))::bigint AS amount, g.expires_at FROM ledger.grants_v g"
    " LEFT JOIN (SELECT d.grant_id, sum(d.amount) AS amount FROM ledger.hold_draws_v d"
    "  JOIN ledger.holds_v h ON h.account_id = d.account_id AND h.number = d.number"
    "  WHERE h.account_id = :account_id AND h.state = 'open' AND h.expires_at <= ledger.now() GROUP BY d.grant_id"
    " ) l ON l.grant_id = g.grant_id"
    " WHERE g.account_id = :account_id AND g.open AND g.expires_at > ledger.now()"
    " AND g.remaining - g.held + coalesce(l.amount, 0) > 0"
    " GROUP BY g.expires_at ORDER BY g.expires_at LIMIT :limit"
)
_OPEN_GRANTS = text(
    f"SELECT {GRANT_COLUMNS} FROM ledger.grants_v WHERE account_id = :account_id AND open"
    " AND (expires_at IS NULL OR expires_at > ledger.now() OR held > 0)"
    " ORDER BY priority, expires_at, burn_rank, effective_at, grant_id LIMIT :limit"
)


def balance(session: Session, *, account_id: int) -> Balance:
    """The balance now. Raises AccountNotFound."""
    row = call(session, _BALANCE, {"account_id": account_id})
    return Balance(**row)


def balance_until(session: Session, *, account_id: int) -> Lasting:
    """The balance now, and how long it will be right without being read again. Raises AccountNotFound."""
    row = dict(call(session, _BALANCE_UNTIL, {"account_id": account_id}))
    return Lasting(lasts_ms=row.pop("lasts_ms"), balance=Balance(**row))


def balance_at(session: Session, *, account_id: int, at: datetime) -> int:
    """The balance in credits as it was at the end of the moment `at`, from the entries alone."""
    return int(call(session, _BALANCE_AT, {"account_id": account_id, "at": at})["balance"])


def spendable(session: Session, *, account_id: int, feature: str | None = None) -> int:
    """The credits that a spend on `feature` could take now, overdraft included; never negative."""
    return int(call(session, _SPENDABLE, {"account_id": account_id, "feature": feature})["credits"])


def expiring(session: Session, *, account_id: int, limit: int = 10) -> list[Expiring]:
    """What ends when, soonest first."""
    return [
        Expiring(amount=row["amount"], expires_at=row["expires_at"])
        for row in call_all(session, _EXPIRING, {"account_id": account_id, "limit": limit})
    ]


def open_grants(session: Session, *, account_id: int, limit: int = 100) -> list[Grant]:
    """The grants that have credits left, in the order in which they will be spent."""
    rows = call_all(session, _OPEN_GRANTS, {"account_id": account_id, "limit": limit})
    return [Grant.of(row) for row in rows]
