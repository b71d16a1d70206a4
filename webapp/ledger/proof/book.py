"""The state of one account while its history is played."""

from bisect import bisect_left, insort
from datetime import datetime

from webapp.ledger.proof.facts import NO_HASH, Account, BurnKey, Entry, Event, Finding, Grant, StoredGrant, burn_key

Draws = tuple[list[int], list[int]]  # the grants, and the credits, signed


class Spend:
    """A spend that some refund is about: what it took, and how much of that came back.

    One that took nothing `is_free` until it was given back.
    """

    __slots__ = ("amounts", "debt", "grants", "is_free", "refunded")

    def __init__(self, grants: list[int], amounts: list[int], debt: int, *, is_free: bool) -> None:
        self.grants = grants
        self.amounts = amounts
        self.debt = debt
        self.is_free = is_free
        self.refunded = 0

    @property
    def left(self) -> int:
        return self.debt - sum(self.amounts) - self.refunded


class Book:
    """Grants, holds and debt of an account, at the point of its history that was reached."""

    def __init__(self, account: Account, *, refunded: frozenset[int] = frozenset()) -> None:
        self.account = account
        self.grants: dict[int, Grant] = {}
        self.holds: dict[int, Event] = {}  # the open ones, by number
        self.findings: list[Finding] = []
        self.seq = 0
        self.balance = 0
        self.debt = 0
        self.last_hold = 0
        self.booked_at: datetime | None = None
        self.head = NO_HASH
        self._refunded = refunded  # the spends that refunds are about: only these are remembered
        self._spends: dict[int, Spend] = {}
        self._open: list[BurnKey] = []  # of grants that have anything free, sorted
        self._repaid: list[int] = []  # the grants that paid debt, sorted

    def add(self, stored: StoredGrant) -> None:
        """The account has this grant; it is empty until its entry is played."""
        self.grants[stored.grant_id] = Grant(stored, paid_first=self.account.paid_first)

    def find(self, invariant: int, seq: int | None, detail: str) -> None:
        self.findings.append(Finding(invariant, self.account.account_id, seq, detail))

    # -- moving credits -----------------------------------------------------------------------------------

    def move(self, grant: Grant, *, remaining: int = 0, held: int = 0) -> None:
        before = grant.remaining - grant.held
        grant.remaining += remaining
        grant.held += held
        after = before + remaining - held
        if before <= 0 < after:
            insort(self._open, grant.key)
        elif after <= 0 < before:
            del self._open[bisect_left(self._open, grant.key)]

    def reserve(self, hold: Event, *, sign: int, came_at: datetime | None = None) -> None:
        """The hold's slices are held (sign 1), or free again (sign -1)."""
        for grant_id, amount in zip(hold.grants, hold.amounts, strict=True):
            if grant := self.grants.get(grant_id):
                self.move(grant, held=sign * amount)
                grant.came_at = came_at or grant.came_at

    def repay(self, grant: Grant, amount: int) -> None:
        """The grant has paid `amount` more of debt; negative: gets it back."""
        before, grant.repaid = grant.repaid, grant.repaid + amount
        if before <= 0 < grant.repaid:
            insort(self._repaid, grant.stored.grant_id)
        elif grant.repaid <= 0 < before:
            self._repaid.remove(grant.stored.grant_id)

    def undo_debt(self, debt: int, amount: int, draws: Draws) -> int:
        """`amount` that had become debt is owed no longer: returns the debt after that, and adds to `draws`.

        What was paid of it meanwhile goes back to the grants that paid, the newest first.
        """
        lowered = min(debt, amount)
        rest = amount - lowered
        while rest and self._repaid:
            grant = self.grants[self._repaid[-1]]
            back = min(grant.repaid, rest)
            self.repay(grant, -back)
            draws[0].append(grant.stored.grant_id)
            draws[1].append(back)
            rest -= back
        return debt - lowered

    # -- burn order ---------------------------------------------------------------------------------------

    def burn(self, amount: int, feature: str | None, at: datetime, order: list[BurnKey] | None = None) -> Draws:
        """The draws that taking `amount` should make; the credits positive."""
        grants: list[int] = []
        amounts: list[int] = []
        for key in self._open if order is None else order:
            if amount <= 0:
                break
            grant = self.grants[key[-1]]
            if grant.pays_for(feature, at):
                free = min(grant.remaining - grant.held, amount)
                grants.append(key[-1])
                amounts.append(free)
                amount -= free
        return grants, amounts

    def other_order(self) -> list[BurnKey]:
        """The owner may have chosen the other order since, and the choice is not part of the history."""
        other = not self.account.paid_first
        return sorted(burn_key(self.grants[key[-1]].stored, paid_first=other) for key in self._open)

    def payable(self, feature: str | None, at: datetime) -> int:
        """What the grants that may pay have free."""
        grants = (self.grants[key[-1]] for key in self._open)
        return sum(grant.free for grant in grants if grant.pays_for(feature, at))

    def expect(self, entry: Entry, invariant: int, draws: Draws, debt: int) -> None:
        if entry.grants != draws[0] or entry.amounts != draws[1]:
            made, wanted = drawn(entry.grants, entry.amounts), drawn(*draws)
            self.find(invariant, entry.seq, f"draws {made}, and should draw {wanted}")
        if entry.debt_after != debt:
            self.find(3, entry.seq, f"leaves a debt of {entry.debt_after}, and should leave {debt}")


def drawn(grants: list[int], amounts: list[int]) -> str:
    return ", ".join(f"{a} of grant {g}" for g, a in zip(grants, amounts, strict=False)) or "nothing"
