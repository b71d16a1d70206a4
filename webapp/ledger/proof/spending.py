"""Checking what takes credits: spends, holds, captures."""

from datetime import timedelta

from webapp.ledger.proof.book import Book, Draws, Spend, drawn
from webapp.ledger.proof.facts import Entry, Event

SHORTEST_HOLD, LONGEST_HOLD = timedelta(seconds=1), timedelta(hours=24)


class Spending(Book):
    def check_spend(self, entry: Entry) -> None:
        if entry.amount > 0 or entry.debt_after < self.debt or (entry.amounts and max(entry.amounts) >= 0):
            self.find(3, entry.seq, "a spend must take credits")  # or nothing, where its price came to nothing
        if entry.hold_number is not None:
            self._check_capture(entry, entry.hold_number)
        elif not self._burns(entry.grants, entry.amounts, -entry.amount, entry):
            self._find_order(entry, self._expected(-entry.amount, entry))
        if entry.seq in self._refunded:
            self._spends[entry.seq] = Spend(
                entry.grants, entry.amounts, sum(entry.amounts) - entry.amount, is_free=entry.amount == 0
            )

    def _burns(self, grants: list[int], amounts: list[int], wanted: int, entry: Entry) -> bool:
        """Whether these draws are what taking `wanted` in burn order makes, in the one order or in the other."""
        if self._is(self.burn(wanted, entry.feature, entry.booked_at), grants, amounts):
            return True
        other = self.burn(wanted, entry.feature, entry.booked_at, self.other_order())
        return self._is(other, grants, amounts)

    def _is(self, expected: Draws, grants: list[int], amounts: list[int]) -> bool:
        return expected[0] == grants and expected[1] == [-amount for amount in amounts]

    def _expected(self, wanted: int, entry: Entry) -> Draws:
        grants, amounts = self.burn(wanted, entry.feature, entry.booked_at)
        return grants, [-amount for amount in amounts]

    def _find_order(self, entry: Entry, expected: Draws) -> None:
        made, wanted = drawn(entry.grants, entry.amounts), drawn(*expected)
        self.find(5, entry.seq, f"draws {made}, and in burn order should draw {wanted}")

    # -- holds --------------------------------------------------------------------------------------------

    def _check_capture(self, entry: Entry, number: int) -> None:
        """First the slices of the hold, whatever became of their grants; then the excess in burn order."""
        hold = self.holds.pop(number, None)
        if hold is None:
            self.find(9, entry.seq, f"captures hold {number}, which was not open")
            return
        took = min(hold.amount, -entry.amount)
        if (hold.state, hold.captured, hold.closed_after) != ("captured", took, entry.seq):
            self.find(9, entry.seq, f"captures {took} of hold {number}, which says {hold.captured}, {hold.state}")
        if not hold.at <= entry.booked_at < (hold.expires_at or hold.at):
            self.find(9, entry.seq, f"captures hold {number} at a moment when it was not open")
        if entry.feature != hold.feature:
            self.find(9, entry.seq, f"captures hold {number} for another feature")
        grants, amounts = first_slices(hold, took)
        count, excess = len(grants), -entry.amount - took
        if entry.grants[:count] != grants or entry.amounts[:count] != [-amount for amount in amounts]:
            self.find(9, entry.seq, f"draws other slices than those of hold {number}")
        elif not self._burns(entry.grants[count:], entry.amounts[count:], excess, entry):
            expected = self._expected(excess, entry)
            self._find_order(entry, (grants + expected[0], [-amount for amount in amounts] + expected[1]))
        self.reserve(hold, sign=-1, came_at=entry.booked_at)

    def place(self, hold: Event) -> None:
        """A hold pins exact slices in burn order, of what is there after all debt."""
        name, at = f"hold {hold.number}", hold.at
        if hold.number != self.last_hold + 1:
            self.find(9, None, f"hold {self.last_hold + 1} is missing before {name}")
        self.last_hold = hold.number
        if not is_paired(hold):
            self.find(9, None, f"the slices of {name} are no pairs of a grant and an amount")
            hold = hold._replace(grants=[], amounts=[])
        expected = self.burn(hold.amount, hold.feature, at)
        if expected != (hold.grants, hold.amounts) or sum(hold.amounts) != hold.amount:
            if self.burn(hold.amount, hold.feature, at, self.other_order()) != (hold.grants, hold.amounts):
                made, wanted = drawn(hold.grants, hold.amounts), drawn(*expected)
                self.find(5, None, f"{name} of {hold.amount} pins {made}, and in burn order should pin {wanted}")
            elif sum(hold.amounts) != hold.amount:
                self.find(5, None, f"{name} of {hold.amount} pins {sum(hold.amounts)}")
        if self.debt and hold.amount and hold.amount > self.payable(hold.feature, at) - self.debt:
            self.find(5, None, f"{name} pins credits that the account owes")
        if hold.expires_at is None or not SHORTEST_HOLD <= hold.expires_at - at <= LONGEST_HOLD:
            self.find(9, None, f"{name} lasts from {at} to {hold.expires_at}")
        self.holds[hold.number] = hold
        self.reserve(hold, sign=1)

    def close(self, closed: Event) -> None:
        """A hold was voided or has lapsed: all its slices are free again."""
        name, hold = f"hold {closed.number}", self.holds.pop(closed.number, None)
        if hold is None or hold.expires_at is None:
            self.find(9, None, f"{name} was closed and not open")
            return
        if closed.captured:
            self.find(9, None, f"{name} was {closed.state}, and says that {closed.captured} of it were captured")
        in_time = hold.at <= closed.at < hold.expires_at
        if not (in_time if closed.state == "voided" else closed.at == hold.expires_at):
            self.find(9, None, f"{name} of {hold.at} to {hold.expires_at} was {closed.state} at {closed.at}")
        self.reserve(hold, sign=-1, came_at=closed.at)


def is_paired(moved: Entry | Event) -> bool:
    """Whether each of its grants has its amount."""
    return len(moved.grants) == len(moved.amounts) and None not in moved.amounts


def first_slices(hold: Event, amount: int) -> Draws:
    """The slices of the hold that capturing `amount` of it takes, the credits positive."""
    grants: list[int] = []
    amounts: list[int] = []
    for grant_id, held in zip(hold.grants, hold.amounts, strict=True):
        if amount <= 0:
            break
        grants.append(grant_id)
        amounts.append(min(held, amount))
        amount -= held
    return grants, amounts
