"""What time alone does to the model's account: grants expire and holds lapse, whether somebody looks or not."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Self

from tests.ledger.model_book import Book, all_or_nothing
from tests.ledger.model_words import Draw, Grant, Hold


class Due(Book):
    def after_due(self, now: datetime) -> Self:
        """The account as it will be once somebody has booked what is due now. Whoever reads, reads this."""
        copy = self.copy()
        copy.book_due(now)
        return copy

    @all_or_nothing
    def expire_due(self, *, now: datetime) -> int:
        """Book what has expired and lapsed; return how many entries that took."""
        before = self.seq
        self.book_due(now)
        return self.seq - before

    def book_due(self, now: datetime) -> None:
        """In the order in which it came true, each with the moment at which it did."""
        lapsed = sorted((h for h in self.holds.values() if h.has_lapsed(now)), key=lambda h: (h.expires_at, h.number))
        for hold in lapsed:
            before = (g for g in self.grants.values() if g.expires_at and g.expires_at < hold.expires_at)
            self.book_expired(before, now=now)
            self.release(hold)
            self.close(hold, "lapsed", at=hold.expires_at)
            self.settle_returned(hold, now=now, came_at=hold.expires_at)
        self.book_expired((g for g in self.grants.values() if g.has_expired(now)), now=now)

    def book_expired(self, grants: Iterable[Grant], *, now: datetime, came_at: datetime | None = None) -> None:
        """Credits leave when their grant expires, or when they came, if that was later."""
        due = sorted((g for g in grants if g.free > 0), key=lambda g: (g.expires_at, g.grant_id))
        for grant in due:
            lost = grant.free
            assert grant.expires_at is not None
            occurred_at = max(grant.expires_at, came_at or grant.expires_at)
            grant.expired += lost
            draws = [self.draw(grant, -lost)]
            self.append("expire", -lost, draws, now=now, occurred_at=occurred_at, about_seq=grant.grant_id)

    def book_returned(self, now: datetime) -> None:
        """What just came back to grants that have expired leaves at once."""
        self.book_expired((g for g in self.grants.values() if g.has_expired(now)), now=now, came_at=now)

    # -- the end of a hold ----------------------------------------------------------------------------------

    def release(self, hold: Hold) -> None:
        """Its slices are free again in the grants that they lie in."""
        for slice_ in hold.slices:
            self.grants[slice_.grant_id].held -= slice_.amount

    def close(self, hold: Hold, state: str, *, at: datetime) -> None:
        hold.state = state
        hold.closed_at = max(at, hold.placed_at)
        hold.closed_after = self.seq

    def settle_returned(self, hold: Hold, *, now: datetime, came_at: datetime) -> None:
        """What returned to grants that had expired by then leaves; then revokes reach what was held from them."""
        touched = [self.grants[grant_id] for grant_id in sorted(slice_.grant_id for slice_ in hold.slices)]
        self.book_expired((g for g in touched if g.has_expired(came_at)), now=now, came_at=came_at)
        for grant in touched:
            self.take_outstanding(grant, now=now, occurred_at=came_at)

    def take_outstanding(self, grant: Grant, *, now: datetime, occurred_at: datetime) -> None:
        draws, owed = self.take_back(grant, grant.outstanding)
        taken = -sum(draw.amount for draw in draws)
        if taken + owed:
            about = grant.grant_id
            self.append("revoke", -(taken + owed), draws, now=now, occurred_at=occurred_at, about_seq=about)

    def take_back(self, grant: Grant, wanted: int) -> tuple[list[Draw], int]:
        """Of `wanted`, what is free is taken and what was spent becomes debt; return the draws and that debt."""
        taken = min(wanted, grant.free)
        spent = grant.spent
        owed = min(wanted - taken, spent)
        grant.revoked_taken += taken
        grant.revoked_as_debt += owed
        self.debt += owed
        return ([self.draw(grant, -taken)] if taken else []), owed

    # -- reading holds --------------------------------------------------------------------------------------

    def hold_now(self, number: int, *, now: datetime) -> Hold:
        """The hold as it is now: lapsed from its `expires_at` on, booked or not."""
        return replace(self.after_due(now).holds[number])
