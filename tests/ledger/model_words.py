"""The words of the model: what an account is made of, and how it refuses."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

LARGEST_AMOUNT = 10**15
NEVER = datetime.max.replace(tzinfo=UTC)
SHORTEST_HOLD = timedelta(seconds=1)
LONGEST_HOLD = timedelta(hours=24)
USUAL_HOLD = timedelta(minutes=15)


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


class HoldNotFound(Refused):
    pass


class HoldClosed(Refused):
    def __init__(self, *, number: int, state: str) -> None:
        super().__init__(number, state)
        self.number = number
        self.state = state


class ExceedsHold(Refused):
    def __init__(self, *, held: int) -> None:
        super().__init__(held)
        self.held = held


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
    about_seq: int | None = None
    feature: str | None = None
    idempotency_key: str | None = None
    hold_number: int | None = None


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

    @property
    def spent(self) -> int:
        """Credits that went into spends and debts and that no revoke has made debt of; what is held is not spent."""
        return max(0, self.amount - self.remaining - self.expired - self.revoked_taken - self.revoked_as_debt)

    @property
    def outstanding(self) -> int:
        """Credits of the revoke's target that were held, or had expired, when it was to be reached."""
        return self.revoked - self.revoked_taken - self.revoked_as_debt

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
    is_free: bool = False  # it took nothing, and was not given back

    @property
    def left(self) -> int:
        return sum(amount for _, amount in self.slices) + self.debt


@dataclass
class Hold:
    number: int  # the account's first, second, third … hold
    amount: int
    slices: tuple[Draw, ...]  # what it pins, in burn order, positive
    feature: str | None
    placed_at: datetime
    expires_at: datetime  # exclusive
    placed_after: int = field(compare=False)  # the seq of the account's newest entry then
    idempotency_key: str | None = None
    state: str = "open"
    captured: int = 0  # of its amount, what a spend took in the end
    closed_at: datetime | None = None
    closed_after: int | None = field(default=None, compare=False)  # the same; of a captured one its own entry

    def has_lapsed(self, now: datetime) -> bool:
        return self.state == "open" and self.expires_at <= now

    def is_open_at(self, moment: datetime) -> bool:
        """At the end of the moment, whatever happened to it later."""
        end = self.expires_at if self.closed_at is None else min(self.closed_at, self.expires_at)
        return self.placed_at <= moment < end


@dataclass(frozen=True)
class HoldResult:
    hold: Hold
    replayed: bool = False


@dataclass
class Freeze:
    grant_id: int
    reference: str  # what it is frozen for
    frozen_at: datetime
    unfrozen_at: datetime | None = None

    def is_on_at(self, moment: datetime) -> bool:
        return self.frozen_at <= moment and (self.unfrozen_at is None or moment < self.unfrozen_at)


@dataclass(frozen=True)
class GrantAt:
    """A grant as of a moment: credits. `remaining` is negative where later credits paid for backdated usage."""

    remaining: int
    held: int
    frozen: bool


@dataclass(frozen=True)
class State:
    """An account as of the end of a moment, by what had occurred then."""

    balance: int
    held: int
    available: int
    debt: int
    grants: dict[int, GrantAt]
    holds: tuple[int, ...]  # the numbers of those open then
