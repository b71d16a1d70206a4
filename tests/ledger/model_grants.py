"""How credits get into the model's account, and what may happen to a grant besides spending."""

from collections.abc import Iterable
from datetime import datetime

from tests.ledger.model_book import all_or_nothing, check_amount
from tests.ledger.model_due import Due
from tests.ledger.model_words import (
    Entry,
    EntryNotFound,
    ExceedsGrant,
    Freeze,
    Grant,
    InvalidRequest,
    Result,
    SourceKeyConflict,
)


class Grants(Due):
    @all_or_nothing
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
        occurred_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Result:
        check_amount(amount)
        limited = None if features is None else frozenset(features)
        content = (source, amount, priority, effective_at, expires_at, limited, cost_minor)
        if replay := self.find_granted(source_key, content):
            return replay
        request = ("grant", content, source_key)
        if replay := self.find_replay(idempotency_key, request):
            return replay
        if occurred_at is not None and occurred_at > now:
            raise InvalidRequest

        self.book_due(now)
        grant = Grant(
            grant_id=self.seq + 1,
            amount=amount,
            source=source,
            source_key=source_key,
            priority=priority,
            effective_at=effective_at or occurred_at or now,
            expires_at=expires_at,
            features=limited,
            cost_minor=cost_minor,
        )
        entry = self.put_in(grant, now=now, occurred_at=occurred_at, idempotency_key=idempotency_key)
        if source_key is not None:
            self.source_keys[source_key] = (content, entry)
        self.remember(idempotency_key, request, entry)
        return Result(entry)

    @all_or_nothing
    def roll_over(
        self, *, now: datetime, grant_id: int, cap: int, source_key: str, expires_at: datetime | None = None
    ) -> Result | None:
        """What of the grant was lost to time, up to `cap`, is granted anew and burnt before its like."""
        if cap < 0:
            raise InvalidRequest
        content = ("rollover", grant_id)
        if replay := self.find_granted(source_key, content):
            return replay
        old = self.find_grant(grant_id)
        if old.expires_at is None or not old.has_expired(now):
            raise InvalidRequest
        self.book_due(now)
        rolled = min(cap, old.expired)
        if rolled == 0:
            return None
        grant = Grant(
            grant_id=self.seq + 1,
            amount=rolled,
            source="rollover",
            source_key=source_key,
            priority=old.priority - 1,
            effective_at=old.expires_at,
            expires_at=expires_at,
            features=old.features,
            cost_minor=(2 * old.cost_minor * rolled + old.amount) // (2 * old.amount),
        )
        entry = self.put_in(grant, now=now, occurred_at=old.expires_at, about_seq=grant_id)
        self.source_keys[source_key] = (content, entry)
        return Result(entry)

    def put_in(
        self,
        grant: Grant,
        *,
        now: datetime,
        occurred_at: datetime | None,
        idempotency_key: str | None = None,
        about_seq: int | None = None,
    ) -> Entry:
        """The grant is the account's and has paid its debt; if it came too late for that, it expires at once."""
        self.grants[grant.grant_id] = grant
        draws = [self.draw(grant, grant.amount)]
        repaid = 0 if grant.has_expired(now) else min(grant.amount, self.debt)
        if repaid:
            draws.append(self.draw(grant, -repaid))
            grant.repaid += repaid
            self.debt -= repaid
        entry = self.append(
            "purchase" if grant.source == "purchase" else "grant",
            grant.amount,
            draws,
            now=now,
            occurred_at=occurred_at,
            about_seq=about_seq,
            idempotency_key=idempotency_key,
        )
        if grant.has_expired(now):
            self.book_expired([grant], now=now, came_at=occurred_at or now)
        return entry

    def find_granted(self, source_key: str | None, content: object) -> Result | None:
        if source_key is None or source_key not in self.source_keys:
            return None
        known, entry = self.source_keys[source_key]
        if known != content:
            raise SourceKeyConflict
        return Result(entry, replayed=True)

    def find_grant(self, grant_id: int) -> Grant:
        if grant_id not in self.grants:
            raise EntryNotFound
        return self.grants[grant_id]

    # -- revoke and restore ---------------------------------------------------------------------------------

    @all_or_nothing
    def revoke(self, *, now: datetime, grant_id: int, target: int) -> Entry | None:
        """Work towards `target` credits revoked of the grant in total."""
        grant = self.find_grant(grant_id)
        if not 0 <= target <= grant.amount:
            raise ExceedsGrant
        self.book_due(now)
        if target > grant.revoked:
            return self._revoke_more(grant, target, now)
        return self._restore(grant, target, now)

    def _revoke_more(self, grant: Grant, target: int, now: datetime) -> Entry | None:
        wanted = target - grant.revoked
        grant.revoked = target
        draws, owed = self.take_back(grant, wanted)
        taken = -sum(draw.amount for draw in draws)
        if taken + owed == 0:
            return None
        return self.append("revoke", -(taken + owed), draws, now=now, about_seq=grant.grant_id)

    def _restore(self, grant: Grant, target: int, now: datetime) -> Entry | None:
        wanted = grant.revoked - target
        without_effect = min(wanted, grant.outstanding)
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
        entry = self.append("restore", was_debt + was_taken, draws, now=now, about_seq=grant.grant_id)
        self.book_returned(now)
        return entry

    # -- freeze and unfreeze --------------------------------------------------------------------------------

    @all_or_nothing
    def freeze(self, *, now: datetime, grant_id: int, reference: str) -> bool:
        """The grant's free remainder pays for nothing until each of its freezes is lifted. True if that is new."""
        grant = self.find_grant(grant_id)
        if self._freeze_for(grant_id, reference):
            return False
        self.book_due(now)
        self.freezes.append(Freeze(grant_id, reference, frozen_at=now))
        grant.frozen = True
        return True

    @all_or_nothing
    def unfreeze(self, *, now: datetime, grant_id: int, reference: str) -> bool:
        grant = self.find_grant(grant_id)
        freeze = self._freeze_for(grant_id, reference)
        if freeze is None:
            return False
        self.book_due(now)
        freeze.unfrozen_at = max(now, freeze.frozen_at)
        grant.frozen = any(f.grant_id == grant_id and f.unfrozen_at is None for f in self.freezes)
        return True

    def _freeze_for(self, grant_id: int, reference: str) -> Freeze | None:
        on = (f for f in self.freezes if f.unfrozen_at is None)
        return next((f for f in on if (f.grant_id, f.reference) == (grant_id, reference)), None)
