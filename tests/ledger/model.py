"""The rules of the ledger as a plain-Python model: no database, no SQL, readable as a specification.

Whoever changes the SQL changes this first. `test_state_machine.py` drives both side by side.

DECISIONS, where the written rules leave room:

 1. A grant's id is the seq of the entry that created it.
 2. Credits that come back to a grant which has expired (a refund, a restore, a grant that was born expired)
    leave again at the moment they came, not at `expires_at`: else the balance of a time in between would
    count their going and not their coming. Swept credits leave at `expires_at`.
 3. What a refund or a restore undoes may once have been debt. It lowers the debt first; what was repaid
    meanwhile returns to the grants that repaid it, newest first. (Returning it to the revoked grant could
    lift that grant's remainder above its amount once its spends are refunded too.)
 4. Within a spend the debt is the last slice taken, so a refund undoes it first.
 5. A revoke takes in this order: what remains; what was spent (it becomes debt); what had expired (no
    effect, only counted towards the target). A restore undoes the last of these first, so that the state
    depends on the target and not on the path to it.
 6. A revoke or restore without effect on balance or debt writes no entry; the grant remembers the target.
 7. A refused request writes nothing, not even the expirations that were due. Neither does a replay.
 8. `balance` counts a grant from the moment it is booked; `available` only while it may be spent.
 9. What a spend may take is what its candidates hold, less the debt, plus the overdraft limit. This is what a
    refusal names as available.
10. A grant repays debt whether it is limited to features or starts later: credits are credits. One that has
    expired before it is booked pays for nothing, so it repays nothing.
11. A grant may be booked late, after it has expired, with or without the moment from which it was effective.
12. A source key names one grant of its account, whatever its source.
13. A slice that is refunded to a grant whose revoke had made debt of it settles that debt: the credits come
    back and are revoked at once, as they would have been, had the refund come before the revoke.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from tests.ledger.model_words import (
    LARGEST_AMOUNT,
    NEVER,
    Draw,
    Entry,
    EntryNotFound,
    ExceedsGrant,
    ExceedsSpend,
    Grant,
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidRequest,
    Refused,
    Result,
    SourceKeyConflict,
    Spend,
)

__all__ = [
    "Account",
    "Draw",
    "Entry",
    "EntryNotFound",
    "ExceedsGrant",
    "ExceedsSpend",
    "Grant",
    "IdempotencyKeyReused",
    "InsufficientCredits",
    "InvalidRequest",
    "Refused",
    "Result",
    "SourceKeyConflict",
]


@dataclass
class Account:
    overdraft_limit: int = 0
    spend_order: str = "free_first"
    debt: int = 0
    grants: dict[int, Grant] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    spends: dict[int, Spend] = field(default_factory=dict)
    keys: dict[str, tuple[object, Entry]] = field(default_factory=dict)
    source_keys: dict[str, tuple[object, Entry]] = field(default_factory=dict)

    # -- reading ------------------------------------------------------------------------------------------

    @property
    def booked_balance(self) -> int:
        return sum(g.remaining for g in self.grants.values()) - self.debt

    def balance(self, now: datetime) -> int:
        """Credits of the account, without what has expired, swept or not."""
        return self.booked_balance - sum(g.free for g in self.grants.values() if g.has_expired(now))

    def held(self) -> int:
        return sum(g.held for g in self.grants.values())

    def available(self, now: datetime, feature: str | None = None) -> int:
        """Credits that could pay for the feature (None: for anything), without the overdraft's room."""
        return sum(g.free for g in self.candidates(now, feature)) - self.debt

    def available_in_all(self, now: datetime) -> int:
        """Credits that could be spent now on something that no grant excludes."""
        return max(0, sum(g.free for g in self.grants.values() if g.is_live(now)) - self.debt)

    def balance_at(self, moment: datetime) -> int:
        """The balance as of a moment that is not later than now."""
        booked = sum(e.amount for e in self.entries if e.occurred_at <= moment)
        return booked - sum(g.free for g in self.grants.values() if g.has_expired(moment))

    def candidates(self, now: datetime, feature: str | None) -> list[Grant]:
        """The grants that may pay for the feature now, in burn order."""
        live = (g for g in self.grants.values() if g.free > 0 and g.is_live(now) and g.may_pay_for(feature))
        return sorted(live, key=self.burn_key)

    def burn_key(self, grant: Grant) -> tuple[int, datetime, bool, datetime, int]:
        paid = grant.cost_minor > 0
        comes_later = paid if self.spend_order == "free_first" else not paid
        return (
            grant.priority,
            grant.expires_at or NEVER,
            comes_later,
            grant.effective_at,
            grant.grant_id,
        )

    # -- writing ------------------------------------------------------------------------------------------

    def grant(
        self,
        *,
        now: datetime,
        amount: int,
        source: str = "grant",
        source_key: str | None = None,
        priority: int = 0,
        effective_at: datetime | None = None,
        expires_at: datetime | None = None,
        features: Iterable[str] | None = None,
        cost_minor: int = 0,
    ) -> Result:
        now = self.clock(now)
        _check_amount(amount)
        limited = None if features is None else frozenset(features)
        content = (source, amount, priority, effective_at, expires_at, limited, cost_minor)
        if source_key is not None and source_key in self.source_keys:
            known, entry = self.source_keys[source_key]
            if known != content:
                raise SourceKeyConflict
            return Result(entry, replayed=True)

        self.book_due(now)
        grant_id = len(self.entries) + 1
        grant = Grant(
            grant_id=grant_id,
            amount=amount,
            source=source,
            source_key=source_key,
            priority=priority,
            effective_at=effective_at or now,
            expires_at=expires_at,
            features=limited,
            cost_minor=cost_minor,
        )
        self.grants[grant_id] = grant
        draws = [self.draw(grant, amount)]
        repaid = 0 if grant.has_expired(now) else min(amount, self.debt)
        if repaid:
            draws.append(self.draw(grant, -repaid))
            grant.repaid += repaid
            self.debt -= repaid
        kind = "purchase" if source == "purchase" else "grant"
        entry = self.append(kind, amount, draws, now=now)
        if source_key is not None:
            self.source_keys[source_key] = (content, entry)
        self.book_returned(now)
        return Result(entry)

    def spend(
        self,
        *,
        now: datetime,
        amount: int,
        feature: str | None = None,
        partial: bool = False,
        idempotency_key: str | None = None,
        occurred_at: datetime | None = None,
    ) -> Result:
        now = self.clock(now)
        _check_amount(amount)
        request = ("spend", amount, feature, partial, occurred_at)
        if replay := self.find_replay(idempotency_key, request):
            return replay
        if occurred_at is not None and occurred_at > now:
            raise InvalidRequest
        candidates = self.candidates(now, feature)
        drawable = sum(g.free for g in candidates)
        spendable = drawable - self.debt + self.overdraft_limit
        taken = min(amount, spendable) if partial else amount
        if taken > spendable or taken <= 0:
            raise InsufficientCredits(required=amount, available=max(0, spendable))

        self.book_due(now)
        draws: list[Draw] = []
        wanted = taken
        for grant in candidates:
            if wanted == 0:
                break
            slice_ = min(wanted, grant.free)
            draws.append(self.draw(grant, -slice_))
            wanted -= slice_
        self.debt += wanted
        entry = self.append(
            "spend",
            -taken,
            draws,
            now=now,
            occurred_at=occurred_at,
            feature=feature,
            idempotency_key=idempotency_key,
        )
        self.spends[entry.seq] = Spend([(d.grant_id, -d.amount) for d in draws], wanted)
        self.remember(idempotency_key, request, entry)
        return Result(entry)

    def refund(
        self, *, now: datetime, spend_seq: int, amount: int | None = None, idempotency_key: str | None = None
    ) -> Result:
        now = self.clock(now)
        if amount is not None:
            _check_amount(amount)
        request = ("refund", spend_seq, amount)
        if replay := self.find_replay(idempotency_key, request):
            return replay
        spend = self.spends.get(spend_seq)
        if spend is None:
            raise EntryNotFound
        wanted = spend.left if amount is None else amount
        if wanted > spend.left or wanted == 0:
            raise ExceedsSpend

        self.book_due(now)
        was_debt = min(wanted, spend.debt)
        spend.debt -= was_debt
        draws = self.undo_debt(was_debt)
        rest = wanted - was_debt
        while rest:
            grant_id, drawn = spend.slices.pop()
            back = min(rest, drawn)
            if back < drawn:
                spend.slices.append((grant_id, drawn - back))
            draws += self.give_back(self.grants[grant_id], back)
            rest -= back
        entry = self.append(
            "refund",
            wanted,
            draws,
            now=now,
            feature=self.entries[spend_seq - 1].feature,
            idempotency_key=idempotency_key,
        )
        self.remember(idempotency_key, request, entry)
        self.book_returned(now)
        return Result(entry)

    def revoke(self, *, now: datetime, grant_id: int, target: int) -> Entry | None:
        """Work towards `target` credits revoked of the grant in total."""
        now = self.clock(now)
        grant = self.grants.get(grant_id)
        if grant is None:
            raise EntryNotFound
        if not 0 <= target <= grant.amount:
            raise ExceedsGrant
        self.book_due(now)
        if target > grant.revoked:
            return self._revoke_more(grant, target, now)
        return self._restore(grant, target, now)

    def _revoke_more(self, grant: Grant, target: int, now: datetime) -> Entry | None:
        wanted = target - grant.revoked
        taken = min(wanted, grant.free)
        spent = grant.amount - grant.expired - grant.free - grant.revoked_taken - grant.revoked_as_debt
        owed = min(wanted - taken, max(0, spent))
        grant.revoked = target
        grant.revoked_taken += taken
        grant.revoked_as_debt += owed
        self.debt += owed
        if taken + owed == 0:
            return None
        return self.append("revoke", -(taken + owed), [self.draw(grant, -taken)] if taken else [], now=now)

    def _restore(self, grant: Grant, target: int, now: datetime) -> Entry | None:
        wanted = grant.revoked - target
        without_effect = min(wanted, grant.revoked - grant.revoked_taken - grant.revoked_as_debt)
        was_debt = min(wanted - without_effect, grant.revoked_as_debt)
        was_taken = wanted - without_effect - was_debt
        grant.revoked = target
        grant.revoked_as_debt -= was_debt
        grant.revoked_taken -= was_taken
        if was_debt + was_taken == 0:
            return None
        draws = self.undo_debt(was_debt)
        if was_taken:
            draws.append(self.draw(grant, was_taken))
        entry = self.append("restore", was_debt + was_taken, draws, now=now)
        self.book_returned(now)
        return entry

    def expire_due(self, *, now: datetime) -> int:
        """Book what has expired; return how many grants that was."""
        return self.book_due(self.clock(now))

    # -- what the operations share ------------------------------------------------------------------------

    def clock(self, now: datetime) -> datetime:
        return max(now, self.entries[-1].booked_at) if self.entries else now

    def book_due(self, now: datetime) -> int:
        return self._book_expired(now, returned=False)

    def book_returned(self, now: datetime) -> int:
        return self._book_expired(now, returned=True)

    def _book_expired(self, now: datetime, *, returned: bool) -> int:
        due = [g for g in self.grants.values() if g.has_expired(now) and g.free > 0]
        due.sort(key=lambda g: (g.expires_at, g.grant_id))
        for grant in due:
            lost = grant.free
            grant.expired += lost
            draw = self.draw(grant, -lost)
            self.append("expire", -lost, [draw], now=now, occurred_at=now if returned else grant.expires_at)
        return len(due)

    def give_back(self, grant: Grant, amount: int) -> list[Draw]:
        """A spent slice returns to its grant; what of it a revoke had made debt of is revoked at once instead."""
        settled = min(amount, grant.revoked_as_debt)
        grant.revoked_as_debt -= settled
        grant.revoked_taken += settled
        draws = [self.draw(grant, amount)]
        if settled:
            draws += [self.draw(grant, -settled), *self.undo_debt(settled)]
        return draws

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
        feature: str | None = None,
        idempotency_key: str | None = None,
    ) -> Entry:
        before = self.entries[-1].balance_after if self.entries else 0
        entry = Entry(
            seq=len(self.entries) + 1,
            kind=kind,
            amount=amount,
            balance_after=before + amount,
            debt_after=self.debt,
            draws=tuple(draws),
            occurred_at=occurred_at or now,
            booked_at=now,
            feature=feature,
            idempotency_key=idempotency_key,
        )
        assert entry.balance_after == self.booked_balance
        self.entries.append(entry)
        return entry

    def find_replay(self, key: str | None, request: object) -> Result | None:
        if key is None or key not in self.keys:
            return None
        known, entry = self.keys[key]
        if known != request:
            raise IdempotencyKeyReused
        return Result(entry, replayed=True)

    def remember(self, key: str | None, request: object, entry: Entry) -> None:
        if key is not None:
            self.keys[key] = (request, entry)


def _check_amount(amount: int) -> None:
    if isinstance(amount, bool) or not 1 <= amount <= LARGEST_AMOUNT:
        raise InvalidRequest
