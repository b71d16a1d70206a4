"""What the model's account says of itself. Nothing here changes it, and nothing that is due escapes it."""

from datetime import datetime

from tests.ledger.model_holds import Holds
from tests.ledger.model_words import GrantAt, Hold, HoldNotFound, State


class Reads(Holds):
    def balance(self, now: datetime) -> int:
        """Credits of the account, without what has expired, swept or not."""
        return self.after_due(now).booked_balance

    def held(self, now: datetime) -> int:
        return sum(g.held for g in self.after_due(now).grants.values())

    def available(self, now: datetime, feature: str | None = None) -> int:
        """Credits that could pay for the feature (None: for nothing in particular), without the overdraft's room."""
        return self.after_due(now).spendable(now, feature) - self.overdraft_limit

    def available_in_all(self, now: datetime) -> int:
        """Credits that could be spent now on something that no grant excludes."""
        after = self.after_due(now)
        return max(0, sum(g.free for g in after.grants.values() if g.is_live(now)) - after.debt)

    def get_hold(self, *, now: datetime, number: int) -> Hold:
        if number not in self.holds:
            raise HoldNotFound
        return self.hold_now(number, now=now)

    def balance_at(self, moment: datetime) -> int:
        """The balance as of a moment that is not later than now."""
        return sum(e.amount for e in self.after_due(moment).entries if e.occurred_at <= moment)

    def state_at(self, moment: datetime, *, now: datetime) -> State:
        """The account as of the end of a moment: what had occurred, whenever it was booked, if it is by now."""
        account = self.after_due(now)
        occurred = [e for e in account.entries if e.occurred_at <= moment]
        on_hold = [h for h in account.holds.values() if h.is_open_at(moment)]
        frozen = {f.grant_id for f in account.freezes if f.is_on_at(moment)}
        remaining: dict[int, int] = {}
        held: dict[int, int] = {}
        for draw in (draw for entry in occurred for draw in entry.draws):
            remaining[draw.grant_id] = remaining.get(draw.grant_id, 0) + draw.amount
        for slice_ in (slice_ for hold in on_hold for slice_ in hold.slices):
            held[slice_.grant_id] = held.get(slice_.grant_id, 0) + slice_.amount
        grants = {
            grant_id: GrantAt(remaining=left, held=held.get(grant_id, 0), frozen=grant_id in frozen)
            for grant_id, left in sorted(remaining.items())
            if left or account.entries[grant_id - 1] in occurred
        }
        balance = sum(e.amount for e in occurred)
        waiting = sum(
            seen.remaining - seen.held
            for grant_id, seen in grants.items()
            if seen.frozen or account.grants[grant_id].effective_at > moment
        )
        return State(
            balance=balance,
            held=sum(held.values()),
            available=max(0, balance - sum(held.values()) - waiting),
            debt=sum(remaining.values()) - balance,
            grants=grants,
            holds=tuple(h.number for h in on_hold),
        )
