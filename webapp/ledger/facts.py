"""What the proof reads of accounts, grants and entries, and what it finds."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """One lie: the number of the invariant (docs: the ledger's list), where, and what is wrong."""

    invariant: int
    account_id: int | None
    seq: int | None
    detail: str


@dataclass(slots=True)
class GrantFacts:
    """What a grant was when it was made, and what the database says that it has left."""

    grant_id: int
    amount: int
    stored_remaining: int
    stored_held: int
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    features: frozenset[str] | None
    is_paid: bool
    frozen: bool
    terms: bytes  # the hash of what it says of itself, its effective_at included
    terms_from_the_start: bytes  # the same, had effective_at been left out
    stored_terms: bytes
    stored_expired: int
    stored_revoked: int
    stored_revoked_taken: int
    stored_revoked_as_debt: int
    stored_repaid: int
    remaining: int = 0
    expired: int = 0
    revoked_taken: int = 0
    revoked_as_debt: int = 0

    def pays_for(self, feature: str | None, at: datetime) -> bool:
        return (
            self.effective_at <= at
            and (self.expires_at is None or at < self.expires_at)
            and (self.features is None or feature in self.features)
        )


@dataclass(frozen=True, slots=True)
class EntryFacts:
    seq: int
    kind: str
    amount: int
    balance_after: int
    debt_after: int
    draws: tuple[tuple[int, int], ...]  # (grant_id, signed credits), in the order drawn
    about_seq: int | None
    feature: str | None
    occurred_at: datetime
    booked_at: datetime
    terms: bytes | None  # of a grant's entry: the hash of the grant's terms
    hash: bytes
    hash_holds: bool  # over its content and the hash before it


@dataclass(frozen=True, slots=True)
class AccountFacts:
    account_id: int
    balance: int
    held: int
    debt: int
    seq: int
    head: bytes
    due_at: datetime | None
    paid_first: bool
