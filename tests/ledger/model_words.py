"""The words of the model: what an account is made of, and how it refuses."""

from dataclasses import dataclass
from datetime import UTC, datetime

LARGEST_AMOUNT = 10**15
NEVER = datetime.max.replace(tzinfo=UTC)


class Refused(Exception):
    """A request was refused and nothing was written."""


class InvalidRequest(Refused):
    pass


class InsufficientCredits(Refused):
    def __init__(self, *, required: int, available: int) -> None:
        super().__init__(required, available)
        self.required = required
        self.available = available


class IdempotencyKeyReused(Refused):
    pass


class SourceKeyConflict(Refused):
    pass


class ExceedsSpend(Refused):
    pass


class ExceedsGrant(Refused):
    pass


class EntryNotFound(Refused):
    pass


@dataclass(frozen=True)
class Draw:
    grant_id: int
    amount: int


@dataclass(frozen=True)
class Entry:
    seq: int
    kind: str
    amount: int
    balance_after: int
    debt_after: int
    draws: tuple[Draw, ...]
    occurred_at: datetime
    booked_at: datetime
    feature: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Result:
    entry: Entry
    replayed: bool = False


@dataclass
class Grant:
    grant_id: int
    amount: int
    source: str
    source_key: str | None
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    features: frozenset[str] | None
    cost_minor: int
    remaining: int = 0
    held: int = 0
    frozen: bool = False
    expired: int = 0  # credits lost to time
    repaid: int = 0  # credits that went into debts
    revoked: int = 0  # the target reached, in credits
    revoked_taken: int = 0  # of it: taken from what remained
    revoked_as_debt: int = 0  # of it: had been spent, so it became debt

    @property
    def free(self) -> int:
        return self.remaining - self.held

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def may_pay_for(self, feature: str | None) -> bool:
        return self.features is None or feature in self.features

    def is_live(self, now: datetime) -> bool:
        return self.effective_at <= now and not self.has_expired(now) and not self.frozen


@dataclass
class Spend:
    """What of a spend has not been refunded yet."""

    slices: list[tuple[int, int]]  # (grant_id, credits), in the order drawn
    debt: int

    @property
    def left(self) -> int:
        return sum(amount for _, amount in self.slices) + self.debt
