"""The model's book: what an account remembers, and how anything gets written into it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import wraps
from typing import Any, Self, TypeVar

from tests.ledger.model_words import (
    LARGEST_AMOUNT,
    Draw,
    Entry,
    Freeze,
    Grant,
    Hold,
    IdempotencyKeyReused,
    InvalidRequest,
    Refused,
    Result,
    Spend,
)

Answer = TypeVar("Answer")


def all_or_nothing(operation: Callable[..., Answer]) -> Callable[..., Answer]:
    """A write: time never goes back in an account, and a refused request leaves nothing behind."""

    @wraps(operation)
    def asked(self: "Book", *, now: datetime, **arguments: Any) -> Answer:
        before = self.copy()
        try:
            return operation(self, now=self.clock(now), **arguments)
        except Refused:
            vars(self).update(vars(before))
            raise

    return asked


def check_amount(amount: int, *, priced: bool = False) -> None:
    if isinstance(amount, bool) or not (0 if priced else 1) <= amount <= LARGEST_AMOUNT:
        raise InvalidRequest


@dataclass
class Book:
    overdraft_limit: int = 0
    spend_order: str = "free_first"
    debt: int = 0
    grants: dict[int, Grant] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    spends: dict[int, Spend] = field(default_factory=dict)
    holds: dict[int, Hold] = field(default_factory=dict)
    freezes: list[Freeze] = field(default_factory=list)
    keys: dict[str, tuple[object, Entry | int]] = field(default_factory=dict)
    source_keys: dict[str, tuple[object, Entry]] = field(default_factory=dict)

    def copy(self) -> Self:
        return replace(
            self,
            grants={grant_id: replace(grant) for grant_id, grant in self.grants.items()},
            entries=list(self.entries),
            spends={seq: replace(spend, slices=list(spend.slices)) for seq, spend in self.spends.items()},
            holds={number: replace(hold) for number, hold in self.holds.items()},
            freezes=[replace(freeze) for freeze in self.freezes],
            keys=dict(self.keys),
            source_keys=dict(self.source_keys),
        )

    @property
    def seq(self) -> int:
        return len(self.entries)

    @property
    def booked_balance(self) -> int:
        return sum(g.remaining for g in self.grants.values()) - self.debt

    def clock(self, now: datetime) -> datetime:
        return max(now, self.entries[-1].booked_at) if self.entries else now

    def draw(self, grant: Grant, amount: int) -> Draw:
        grant.remaining += amount
        assert 0 <= grant.held <= grant.remaining <= grant.amount
        return Draw(grant.grant_id, amount)

    def append(
        self,
        kind: str,
        amount: int,
        draws: list[Draw],
        *,
        now: datetime,
        occurred_at: datetime | None = None,
        **said: Any,
    ) -> Entry:
        before = self.entries[-1].balance_after if self.entries else 0
        entry = Entry(
            seq=self.seq + 1,
            kind=kind,
            amount=amount,
            balance_after=before + amount,
            debt_after=self.debt,
            draws=tuple(draws),
            occurred_at=occurred_at or now,
            booked_at=now,
            **said,
        )
        assert entry.balance_after == self.booked_balance
        self.entries.append(entry)
        return entry

    def undo_debt(self, amount: int) -> list[Draw]:
        """Lower the debt by `amount`; what was repaid meanwhile returns to who repaid it, newest first."""
        lowered = min(self.debt, amount)
        self.debt -= lowered
        rest = amount - lowered
        draws = []
        for grant in sorted(self.grants.values(), key=lambda g: -g.grant_id):
            back = min(rest, grant.repaid)
            if back:
                grant.repaid -= back
                rest -= back
                draws.append(self.draw(grant, back))
        assert rest == 0, "more debt was undone than was ever made"
        return draws

    # -- one namespace of keys for whatever carries one -----------------------------------------------------

    def known(self, key: str | None, request: object) -> Entry | int | None:
        """What this very request answered before: an entry, or a hold's number."""
        if key is None or key not in self.keys:
            return None
        known, answer = self.keys[key]
        if known != request:
            raise IdempotencyKeyReused
        return answer

    def find_replay(self, key: str | None, request: object) -> Result | None:
        answer = self.known(key, request)
        return Result(answer, replayed=True) if isinstance(answer, Entry) else None

    def remember(self, key: str | None, request: object, answer: Entry | int) -> None:
        if key is not None:
            self.keys[key] = (request, answer)
