"""Reading history: entries, their draws, and grants."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from webapp.ledger.arguments import checked
from webapp.ledger.call import call, call_all
from webapp.ledger.errors import EntryNotFound

# How many entries one page may look at when filters leave few of them; the cursor goes on from there.
SCAN = 5_000


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of an account's history; `amount`, `balance_after` and `debt_after` are credits."""

    account_id: int
    seq: int
    kind: str
    amount: int
    balance_after: int
    debt_after: int
    drawn_grants: list[int]
    drawn_amounts: list[int]
    about_seq: int | None
    feature: str | None
    quantity: int | None
    description: str
    reference: str | None
    metadata: dict[str, Any]
    pricing: dict[str, Any] | None
    idempotency_key: str | None
    actor: str
    occurred_at: datetime
    booked_at: datetime
    hash: bytes
    hold_number: int | None

    @classmethod
    def of(cls, row: RowMapping) -> "Entry":
        return cls.of_values(row[name] for name in ENTRY_FIELDS)

    @classmethod
    def of_values(cls, values: Iterable[Any]) -> "Entry":
        """The same of the values of ENTRY_FIELDS in their order; past the initializer, which is slow."""
        entry = object.__new__(cls)
        entry.__dict__.update(zip(ENTRY_FIELDS, values, strict=True))
        return entry

    def members(self, *, external_id: str) -> dict[str, Any]:
        """The entry as outsiders know it, in the API and in exports; `external_id` is its account's."""
        return {
            "id": f"{external_id}:{self.seq}",
            "account": external_id,
            "seq": self.seq,
            "kind": self.kind,
            "amount": self.amount,
            "balance_after": self.balance_after,
            "feature": self.feature,
            "quantity": self.quantity,
            "description": self.description,
            "reference": self.reference,
            "metadata": self.metadata,
            "idempotency_key": self.idempotency_key,
            "actor": self.actor,
            "occurred_at": self.occurred_at,
            "booked_at": self.booked_at,
            "hash": bytes(self.hash).hex(),
        }


ENTRY_FIELDS = tuple(field.name for field in fields(Entry))
ENTRY_COLUMNS = ", ".join(ENTRY_FIELDS)


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One lot of credits; `cost_minor` is the money paid for it in `cost_currency`'s minor unit."""

    account_id: int
    grant_id: int
    source: str
    source_key: str | None
    amount: int
    remaining: int
    held: int
    expired: int
    revoked: int
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    frozen: bool
    features: list[str] | None
    cost_minor: int
    cost_currency: str | None
    description: str

    @classmethod
    def of(cls, row: RowMapping) -> "Grant":
        return cls(**{name: row[name] for name in _GRANT_FIELDS})


_GRANT_FIELDS = tuple(field.name for field in fields(Grant))
GRANT_COLUMNS = ", ".join(_GRANT_FIELDS)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """The slice of one entry that touched one grant; `amount` is signed credits."""

    amount: int
    grant: Grant


@dataclass(frozen=True, kw_only=True)
class Page:
    """Entries, newest first; `next_before` is the cursor of the next page, None at the end."""

    entries: list[Entry]
    next_before: int | None


_ENTRY = text(f"SELECT {ENTRY_COLUMNS} FROM ledger.entries_v WHERE account_id = :account_id AND seq = :seq")
_DRAWS = text(
    f"SELECT d.amount AS drawn, {', '.join('g.' + name for name in _GRANT_FIELDS)}"
    " FROM ledger.draws_v d JOIN ledger.grants_v g ON g.account_id = d.account_id AND g.grant_id = d.grant_id"
    " WHERE d.account_id = :account_id AND d.seq = :seq ORDER BY d.position"
)
_GRANT = text(f"SELECT {GRANT_COLUMNS} FROM ledger.grants_v WHERE account_id = :account_id AND grant_id = :grant_id")
_GRANT_BY_KEY = text(
    f"SELECT {GRANT_COLUMNS} FROM ledger.grants_v WHERE account_id = :account_id AND source_key = :source_key"
)
_ABOUT = text(
    f"SELECT {ENTRY_COLUMNS} FROM ledger.entries_v WHERE account_id = :account_id AND about_seq = :seq"
    " ORDER BY seq LIMIT :limit"
)
_BOUNDS = text("SELECT lowest, highest FROM ledger.seq_bounds(:account_id, :since, :until)")
_PAGE = text(
    f"SELECT {ENTRY_COLUMNS} FROM ledger.entries_v"
    " WHERE account_id = :account_id AND seq < :before AND seq >= :floor"
    " AND (CAST(:kinds AS text[]) IS NULL OR kind = ANY (:kinds))"
    " AND (CAST(:feature AS text) IS NULL OR feature = :feature)"
    " AND (CAST(:since AS timestamptz) IS NULL OR occurred_at >= :since)"
    " AND (CAST(:until AS timestamptz) IS NULL OR occurred_at < :until)"
    " ORDER BY seq DESC LIMIT :limit"
)


def entry(session: Session, *, account_id: int, seq: int) -> Entry:
    """One entry. Raises EntryNotFound."""
    rows = call_all(session, _ENTRY, {"account_id": account_id, "seq": seq})
    if not rows:
        raise EntryNotFound(account_id=account_id, seq=seq)
    return Entry.of(rows[0])


def draws(session: Session, *, account_id: int, seq: int) -> list[Draw]:
    """The draws of one entry in the order drawn, each with its grant as it is now."""
    rows = call_all(session, _DRAWS, {"account_id": account_id, "seq": seq})
    return [Draw(amount=row["drawn"], grant=Grant.of(row)) for row in rows]


def entries_about(session: Session, *, account_id: int, seq: int, limit: int = 100) -> list[Entry]:
    """The first entries about that one, oldest first: a spend's refunds, a grant's revokes and what carries it on."""
    rows = call_all(session, _ABOUT, {"account_id": account_id, "seq": seq, "limit": limit})
    return [Entry.of(row) for row in rows]


def get_grant(session: Session, *, account_id: int, grant_id: int) -> Grant:
    """One grant as it is now. Raises EntryNotFound: a grant is named by the entry that made it."""
    rows = call_all(session, _GRANT, {"account_id": account_id, "grant_id": grant_id})
    if not rows:
        raise EntryNotFound(account_id=account_id, seq=grant_id)
    return Grant.of(rows[0])


def grant_by_source_key(session: Session, *, account_id: int, source_key: str) -> Grant | None:
    """The grant that the business calls `source_key`, if it was made."""
    rows = call_all(session, _GRANT_BY_KEY, {"account_id": account_id, "source_key": source_key})
    return Grant.of(rows[0]) if rows else None


def entries(
    session: Session,
    *,
    account_id: int,
    before: int | None = None,
    limit: int = 50,
    kinds: list[str] | None = None,
    feature: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page:
    """A page of history, newest first: entries with seq < `before` that pass the filters.

    `since` is inclusive and `until` exclusive, both on `occurred_at`. A page looks at no more than SCAN entries: it
    may hold fewer than `limit`, even none, and still have a `next_before`.
    """
    checked({"before": before, "limit": limit})
    bounds = call(session, _BOUNDS, {"account_id": account_id, "since": since, "until": until})
    top = bounds["highest"] + 1 if before is None else max(0, min(before, bounds["highest"] + 1))
    floor = max(top - SCAN, bounds["lowest"])
    rows = call_all(
        session,
        _PAGE,
        {
            "account_id": account_id,
            "before": top,
            "floor": floor,
            "kinds": kinds,
            "feature": feature,
            "since": since,
            "until": until,
            "limit": limit,
        },
    )
    page = [Entry.of(row) for row in rows]
    last_seen = page[-1].seq if len(page) == limit else floor
    return Page(entries=page, next_before=last_seen if last_seen > bounds["lowest"] else None)
