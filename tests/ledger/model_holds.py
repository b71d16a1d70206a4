"""How the model's account reserves credits before the work is done, and what becomes of them."""

from dataclasses import replace
from datetime import datetime, timedelta

from tests.ledger.model_book import all_or_nothing, check_amount
from tests.ledger.model_spends import Spends
from tests.ledger.model_words import (
    LONGEST_HOLD,
    SHORTEST_HOLD,
    USUAL_HOLD,
    Draw,
    ExceedsHold,
    Hold,
    HoldClosed,
    HoldNotFound,
    HoldResult,
    InsufficientCredits,
    InvalidRequest,
    Result,
)


class Holds(Spends):
    @all_or_nothing
    def place_hold(
        self,
        *,
        now: datetime,
        amount: int,
        feature: str | None = None,
        expires_in: timedelta = USUAL_HOLD,
        idempotency_key: str | None = None,
        priced: bool = False,
    ) -> HoldResult:
        """Slices that a spend would take now are pinned; the balance stays, what is free falls."""
        check_amount(amount, priced=priced)
        if not SHORTEST_HOLD <= expires_in <= LONGEST_HOLD:
            raise InvalidRequest
        request = ("place_hold", amount, feature, expires_in)
        if replay := self.find_hold_replay(idempotency_key, request, now=now):
            return replay
        self.book_due(now)
        candidates = self.candidates(now, feature)
        room = sum(g.free for g in candidates) - self.debt
        if amount and amount > room:
            raise InsufficientCredits(required=amount, available=max(0, room))

        slices = []
        wanted = amount
        for grant in candidates:
            if wanted:
                slices.append(Draw(grant.grant_id, min(wanted, grant.free)))
                grant.held += slices[-1].amount
                wanted -= slices[-1].amount
        hold = Hold(
            number=len(self.holds) + 1,
            amount=amount,
            slices=tuple(slices),
            feature=feature,
            placed_at=now,
            placed_after=self.seq,
            expires_at=now + expires_in,
            idempotency_key=idempotency_key,
        )
        self.holds[hold.number] = hold
        self.remember(idempotency_key, request, hold.number)
        return HoldResult(replace(hold))

    @all_or_nothing
    def capture(
        self,
        *,
        now: datetime,
        number: int,
        amount: int | None = None,
        allow_excess: bool = False,
        idempotency_key: str | None = None,
        priced: bool = False,
    ) -> Result:
        """The hold's first slices are spent, and what lies above it in the ordinary way, in one entry."""
        if amount is not None:
            check_amount(amount, priced=priced)
        request = ("capture", number, amount, allow_excess)
        if replay := self.find_replay(idempotency_key, request):
            return replay
        hold = self.find_open_hold(number, now)
        wanted = hold.amount if amount is None else amount
        if wanted > hold.amount and not allow_excess:
            raise ExceedsHold(held=hold.amount)

        self.release(hold)
        draws = []
        left = hold.captured = min(wanted, hold.amount)
        for slice_ in hold.slices:
            if taken := min(left, slice_.amount):
                draws.append(self.draw(self.grants[slice_.grant_id], -taken))
                left -= taken
        excess = wanted - hold.captured
        owed = 0
        if excess:
            spendable = self.spendable(now, hold.feature)
            if excess > spendable:
                raise InsufficientCredits(required=excess, available=max(0, spendable))
            more, owed = self.burn(excess, now, hold.feature)
            draws += more
        entry = self.append(
            "spend",
            -wanted,
            draws,
            now=now,
            feature=hold.feature,
            idempotency_key=idempotency_key,
            hold_number=number,
        )
        self.close(hold, "captured", at=now)
        self.remember_spend(entry, owed)
        self.remember(idempotency_key, request, entry)
        self.settle_returned(hold, now=now, came_at=now)
        return Result(entry)

    @all_or_nothing
    def void(self, *, now: datetime, number: int, idempotency_key: str | None = None) -> HoldResult:
        """Nothing of the hold is spent."""
        request = ("void", number)
        if replay := self.find_hold_replay(idempotency_key, request, now=now):
            return replay
        hold = self.find_open_hold(number, now)
        self.release(hold)
        self.close(hold, "voided", at=now)
        self.remember(idempotency_key, request, number)
        self.settle_returned(hold, now=now, came_at=now)
        return HoldResult(replace(hold))

    def find_open_hold(self, number: int, now: datetime) -> Hold:
        if number not in self.holds:
            raise HoldNotFound
        self.book_due(now)
        hold = self.holds[number]
        if hold.state != "open":
            raise HoldClosed(number=number, state=hold.state)
        return hold

    def find_hold_replay(self, key: str | None, request: object, *, now: datetime) -> HoldResult | None:
        """The hold as it is now, not as it was then."""
        answer = self.known(key, request)
        return HoldResult(self.hold_now(answer, now=now), replayed=True) if isinstance(answer, int) else None
