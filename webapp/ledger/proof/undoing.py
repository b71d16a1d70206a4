"""Checking what gives credits back or takes them back: refunds, revokes, restores, expiries."""

from webapp.ledger.proof.book import Book, Draws, Spend
from webapp.ledger.proof.facts import Entry


class Undoing(Book):
    def check_refund(self, entry: Entry) -> None:
        spend = self._spends.get(entry.about_seq or 0)
        if spend is None:
            self.find(3, entry.seq, "refunds no spend")
        elif not (0 < entry.amount <= spend.left or (entry.amount == 0 and spend.is_free)):
            self.find(3, entry.seq, f"refunds {entry.amount} of a spend with {spend.left} left")
        else:
            spend.is_free = False
            draws, debt = self._refund(spend, entry.amount)
            self.expect(entry, 3, draws, debt)

    def _refund(self, spend: Spend, amount: int) -> tuple[Draws, int]:
        """What became debt was taken last and comes back first; then the slices in reverse.

        Of a slice, what a revoke had made debt of is taken again at once, and is owed no longer.
        """
        draws: Draws = ([], [])
        debt, skip = self.debt, spend.refunded
        spend.refunded += amount
        slices = [(None, spend.debt), *((g, -a) for g, a in zip(spend.grants[::-1], spend.amounts[::-1], strict=True))]
        for grant_id, slice_ in slices:
            give = min(slice_ - min(skip, slice_), amount)
            skip -= min(skip, slice_)
            amount -= give
            if give <= 0:
                continue
            settled = give
            if grant_id is not None:
                settled = self._settle(grant_id, give, draws)
            if settled:
                debt = self.undo_debt(debt, settled, draws)
        return draws, debt

    def _settle(self, grant_id: int, give: int, draws: Draws) -> int:
        grant = self.grants.get(grant_id)
        settled = min(grant.revoked_as_debt, give) if grant else 0
        if grant:
            grant.revoked_taken += settled
            grant.revoked_as_debt -= settled
        draws[0].append(grant_id)
        draws[1].append(give)
        if settled:
            draws[0].append(grant_id)
            draws[1].append(-settled)
        return settled

    def check_revoke(self, entry: Entry) -> None:
        """What is free is taken, what was spent becomes debt; what is held stays until its hold has closed."""
        grant = self.grants.get(entry.about_seq or 0)
        if grant is None or entry.amount >= 0:
            self.find(8, entry.seq, "a revoke takes from one grant and makes debt of the rest")
            return
        taken = min(-entry.amount, max(grant.free, 0))
        owed = -entry.amount - taken
        if owed > grant.spent:
            self.find(8, entry.seq, f"makes debt of {owed}, and {grant.spent} were spent")
        grant_id = grant.stored.grant_id
        self.expect(entry, 8, ([grant_id], [-taken]) if taken else ([], []), self.debt + owed)
        grant.revoked_taken += taken
        grant.revoked_as_debt += owed
        revoked = grant.revoked_taken + grant.revoked_as_debt
        if revoked > grant.stored.amount:
            self.find(8, entry.seq, f"leaves {revoked} of {grant.stored.amount} revoked")

    def check_restore(self, entry: Entry) -> None:
        """Undoes the debt that revokes made first, then what they took."""
        grant = self.grants.get(entry.about_seq or 0)
        if grant is None or entry.amount <= 0:
            self.find(8, entry.seq, "a restore gives back to one grant")
            return
        owed = min(entry.amount, grant.revoked_as_debt)
        taken = entry.amount - owed
        if taken > grant.revoked_taken:
            self.find(8, entry.seq, f"restores {entry.amount}, and less had been revoked")
        grant.revoked_as_debt -= owed
        grant.revoked_taken -= taken
        draws: Draws = ([], [])
        debt = self.undo_debt(self.debt, owed, draws)
        if taken:
            draws[0].append(grant.stored.grant_id)
            draws[1].append(taken)
        self.expect(entry, 8, draws, debt)

    def check_expire(self, entry: Entry) -> None:
        """One grant loses what no hold has reserved, at the moment of its expiry or when the credits came, if later."""
        if len(entry.grants) != 1:
            self.find(6, entry.seq, f"touches {len(entry.grants)} grants")
            return
        grant = self.grants.get(entry.grants[0])
        if grant is None or grant.stored.expires_at is None or entry.booked_at < grant.stored.expires_at:
            self.find(6, entry.seq, f"grant {entry.grants[0]} had not expired")
            return
        if -entry.amount != grant.free:
            self.find(6, entry.seq, f"takes {-entry.amount}, and {grant.free} had expired unheld")
        self.expect(entry, 6, (entry.grants, [entry.amount]), self.debt)
        moment = max(grant.stored.expires_at, grant.came_at or grant.stored.expires_at)
        if entry.occurred_at != moment:
            self.find(6, entry.seq, f"counts from {entry.occurred_at}, and the credits left at {moment}")
        grant.expired -= entry.amount
