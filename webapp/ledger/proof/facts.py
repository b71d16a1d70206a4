"""What the proof reads of accounts, grants, entries, holds and freezes, and what it finds."""

from datetime import UTC, datetime
from typing import NamedTuple

NEVER = datetime.max.replace(tzinfo=UTC)
NO_HASH = bytes(32)

BurnKey = tuple[int, datetime, bool, datetime, int]


class Finding(NamedTuple):
    """One lie: the number of the invariant (docs: the ledger's list), where, and what is wrong."""

    invariant: int
    account_id: int | None
    seq: int | None
    detail: str


class Account(NamedTuple):
    """What the database says of an account."""

    account_id: int
    balance: int
    held: int
    debt: int
    seq: int
    holds: int
    head: bytes
    booked_at: datetime
    due_at: datetime | None
    waiting: bool
    paid_first: bool


class StoredGrant(NamedTuple):
    """What the database says of a grant: its terms, and the figures that it keeps of it."""

    account_id: int
    grant_id: int
    source: str
    amount: int
    expires_at: datetime | None
    priority: int
    features: list[str] | None
    cost_minor: int
    cost_currency: str | None
    source_key: str | None
    description: str
    effective_at: datetime
    fingerprint: bytes
    revoked: int
    remaining: int
    held: int
    repaid: int
    expired: int
    revoked_taken: int
    revoked_as_debt: int
    open: bool
    frozen: bool
    burn_rank: int


class Grant:
    """A grant while its history is played: the terms that it was made with, the figures worked out anew."""

    __slots__ = (
        "came_at",
        "expired",
        "freezes",
        "held",
        "key",
        "remaining",
        "repaid",
        "revoked_as_debt",
        "revoked_taken",
        "stored",
    )

    def __init__(self, stored: StoredGrant, *, paid_first: bool) -> None:
        self.stored = stored
        self.key = burn_key(stored, paid_first=paid_first)
        self.remaining = 0
        self.held = 0
        self.repaid = 0
        self.expired = 0
        self.revoked_taken = 0
        self.revoked_as_debt = 0
        self.freezes = 0  # that are not lifted yet
        self.came_at: datetime | None = None  # when credits came to it last

    @property
    def free(self) -> int:
        return self.remaining - self.held

    @property
    def spent(self) -> int:
        """Went into spends and debts, and no revoke has made debt of it; what is held is not spent."""
        known = self.remaining + self.expired + self.revoked_taken + self.revoked_as_debt
        return max(self.stored.amount - known, 0)

    @property
    def burn_rank(self) -> int:
        return int(self.key[2])

    def pays_for(self, feature: str | None, at: datetime) -> bool:
        stored = self.stored
        return (
            not self.freezes
            and stored.effective_at <= at
            and (stored.expires_at is None or at < stored.expires_at)
            and (stored.features is None or feature in stored.features)
        )


def burn_key(grant: StoredGrant, *, paid_first: bool) -> BurnKey:
    """Grants burn in the order of these: by priority, what expires soonest, free or paid, what started first, id."""
    comes_later = (grant.cost_minor > 0) != paid_first
    return grant.priority, grant.expires_at or NEVER, comes_later, grant.effective_at, grant.grant_id


class Entry(NamedTuple):
    account_id: int
    seq: int
    kind: str
    amount: int
    balance_after: int
    debt_after: int
    grants: list[int]  # its draws: the grants …
    amounts: list[int]  # … and the credits, signed, in the order drawn
    about_seq: int | None
    feature: str | None
    occurred_at: datetime
    booked_at: datetime
    hold_number: int | None
    terms: bytes | None  # of a grant's entry: the hash of the grant's terms
    hash: bytes
    content: bytes  # what the hash covers, after the hash before it


class Event(NamedTuple):
    """What happened to an account without an entry: where in the history, and what."""

    account_id: int
    after: int  # the newest entry then
    version: int
    rank: int  # lapses first
    kind: str  # placed, closed, frozen, unfrozen
    number: int
    grants: list[int]
    amounts: list[int]
    at: datetime
    amount: int
    feature: str | None
    state: str | None
    captured: int
    expires_at: datetime | None
    closed_after: int | None
