"""How the model's account spends credits and gets them back."""

from datetime import datetime

from tests.ledger.model_book import all_or_nothing, check_amount
from tests.ledger.model_grants import Grants
from tests.ledger.model_words import (
    NEVER,
    Draw,
    Entry,
    EntryNotFound,
    ExceedsSpend,
    Grant,
    InsufficientCredits,
    InvalidRequest,
    Result,
    Spend,
)


class Spends(Grants):
    def candidates(self, now: datetime, feature: str | None) -> list[Grant]:
        """The grants that may pay for the feature now, in burn order, when all that is due is booked."""
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

    @all_or_nothing
    def spend(
        self,
        *,
        now: datetime,
        amount: int,
        feature: str | None = None,
        partial: bool = False,
        idempotency_key: str | None = None,
        occurred_at: datetime | None = None,
        priced: bool = False,
    ) -> Result:
        check_amount(amount, priced=priced)
        request = ("spend", amount, feature, partial, occurred_at)
        if replay := self.find_replay(idempotency_key, request):
            return replay
        if occurred_at is not None and occurred_at > now:
            raise InvalidRequest
        self.book_due(now)
        spendable = self.spendable(now, feature)
        taken = min(amount, spendable) if partial else amount
        if amount == 0:
            taken = 0
        elif taken > spendable or taken <= 0:
            raise InsufficientCredits(required=amount, available=max(0, spendable))

        draws, owed = self.burn(taken, now, feature)
        entry = self.append(
            "spend",
            -taken,
            draws,
            now=now,
            occurred_at=occurred_at,
            feature=feature,
            idempotency_key=idempotency_key,
        )
        self.remember_spend(entry, owed)
        self.remember(idempotency_key, request, entry)
        return Result(entry)

    def spendable(self, now: datetime, feature: str | None) -> int:
        """What the candidates have free, less the debt, plus the overdraft limit."""
        return sum(g.free for g in self.candidates(now, feature)) - self.debt + self.overdraft_limit

    def burn(self, amount: int, now: datetime, feature: str | None) -> tuple[list[Draw], int]:
        """Take `amount` in burn order; what is missing becomes debt. Return the draws and that debt."""
        draws: list[Draw] = []
        wanted = amount
        for grant in self.candidates(now, feature):
            if wanted == 0:
                break
            slice_ = min(wanted, grant.free)
            draws.append(self.draw(grant, -slice_))
            wanted -= slice_
        self.debt += wanted
        return draws, wanted

    def remember_spend(self, entry: Entry, owed: int) -> None:
        slices = [(d.grant_id, -d.amount) for d in entry.draws]
        self.spends[entry.seq] = Spend(slices, owed, is_free=entry.amount == 0)

    # -- refund ---------------------------------------------------------------------------------------------

    @all_or_nothing
    def refund(
        self, *, now: datetime, spend_seq: int, amount: int | None = None, idempotency_key: str | None = None
    ) -> Result:
        if amount is not None:
            check_amount(amount)
        request = ("refund", spend_seq, amount)
        if replay := self.find_replay(idempotency_key, request):
            return replay
        spend = self.spends.get(spend_seq)
        if spend is None:
            raise EntryNotFound
        wanted = spend.left if amount is None else amount
        if wanted > spend.left or (wanted == 0 and not spend.is_free):
            raise ExceedsSpend
        spend.is_free = False

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
            about_seq=spend_seq,
            feature=self.entries[spend_seq - 1].feature,
            idempotency_key=idempotency_key,
        )
        self.remember(idempotency_key, request, entry)
        self.book_returned(now)
        return Result(entry)

    def give_back(self, grant: Grant, amount: int) -> list[Draw]:
        """A spent slice returns to its grant; what of it a revoke had made debt of is revoked at once instead."""
        settled = min(amount, grant.revoked_as_debt)
        grant.revoked_as_debt -= settled
        grant.revoked_taken += settled
        draws = [self.draw(grant, amount)]
        if settled:
            draws += [self.draw(grant, -settled), *self.undo_debt(settled)]
        return draws
