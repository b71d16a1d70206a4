"""An account's history played again by the plain rules, in Python, entry by entry.

It trusts nothing that the SQL computed: remainders, debts, balances and the burn order of every spend are
worked out anew from the entries and from what each grant was when it was made.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from webapp.ledger.facts import AccountFacts, EntryFacts, Finding, GrantFacts

NEVER = datetime.max.replace(tzinfo=UTC)

BurnKey = tuple[int, bool, datetime, bool, datetime, int]


@dataclass
class Replay:
    """The state of one account while its entries are played in order."""

    account: AccountFacts
    grants: dict[int, GrantFacts] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    seq: int = 0
    balance: int = 0
    debt: int = 0
    booked_at: datetime | None = None
    head: bytes = bytes(32)
    _open: list[BurnKey] = field(default_factory=list)
    _spent: dict[int, int] = field(default_factory=dict)  # seq of a spend → credits not refunded yet
    _drawn: dict[int, int] = field(default_factory=dict)  # of spends that made debt: seq → what grants paid of it

    def play(self, entry: EntryFacts) -> None:
        """Check one entry against the state that the entries before it left, and take it over."""
        self._check_chain_of_numbers(entry)
        checks = {
            "grant": self._check_grant,
            "purchase": self._check_grant,
            "spend": self._check_spend,
            "refund": self._check_refund,
            "expire": self._check_expire,
            "revoke": self._check_revoke,
            "restore": self._check_restore,
        }
        if known := checks.get(entry.kind):
            known(entry)
        else:
            self._find(3, entry, f"unknown kind {entry.kind!r}")
        self._apply(entry)

    def finish(self) -> list[Finding]:
        """Compare where the entries led with what the account and its grants say; return all findings."""
        account = self.account
        if account.balance != self.balance:
            self._find(1, None, f"balance is {account.balance}, its entries add up to {self.balance}")
        left = sum(g.remaining for g in self.grants.values())
        if account.balance != left - account.debt:
            self._find(1, None, f"balance is {account.balance}, its grants less its debt {left - account.debt}")
        if account.debt != self.debt:
            self._find(3, None, f"debt is {account.debt}, its entries lead to {self.debt}")
        if account.seq != self.seq:
            self._find(4, None, f"seq is {account.seq}, its last entry is {self.seq}")
        if account.head != self.head:
            self._find(4, None, f"the head of its hash chain is not the hash of entry {self.seq}")
        held = sum(g.stored_held for g in self.grants.values())
        if account.held != held:
            self._find(1, None, f"held is {account.held}, its grants hold {held}")
        # A refund undoes a spend's debt first, so what is left of it above its draws is debt still.
        made = sum(max(0, self._spent[seq] - drawn) for seq, drawn in self._drawn.items())
        owed = made + sum(g.stored_revoked_as_debt - g.stored_repaid for g in self.grants.values())
        if account.debt != owed:
            self._find(10, None, f"debt is {account.debt}, what made debt less what repaid it is {owed}")
        for grant in self.grants.values():
            self._compare(grant)
        return self.findings

    def _compare(self, grant: GrantFacts) -> None:
        name = f"grant {grant.grant_id}"
        if grant.stored_remaining != grant.remaining:
            told, seen = grant.stored_remaining, grant.remaining
            self._find(2, None, f"{name} has remaining {told}, its draws add up to {seen}")
        if not 0 <= grant.stored_held <= grant.stored_remaining <= grant.amount:
            self._find(2, None, f"{name} breaks 0 ≤ held ≤ remaining ≤ amount")
        if grant.grant_id > self.seq:
            self._find(2, None, f"{name} was made by no entry")
        expires_at = grant.expires_at if grant.stored_remaining > grant.stored_held else None
        if expires_at and (self.account.due_at is None or self.account.due_at > expires_at):
            self._find(11, None, f"{name} expires at {expires_at} and the sweep would not know")
        if grant.stored_expired != grant.expired:
            told, seen = grant.stored_expired, grant.expired
            self._find(10, None, f"{name} says that {told} expired, its entries say {seen}")
        told, seen = grant.stored_revoked_taken, grant.revoked_taken
        if told != seen:
            self._find(8, None, f"{name} says that {told} were revoked from it, its entries say {seen}")
        told, seen = grant.stored_revoked_as_debt, grant.revoked_as_debt
        if told != seen:
            self._find(8, None, f"{name} says that {told} were revoked as debt, its entries say {seen}")
        if not grant.revoked_taken + grant.revoked_as_debt <= grant.stored_revoked <= grant.amount:
            self._find(8, None, f"{name} says that {grant.stored_revoked} of {grant.amount} were revoked")

    # -- one kind of entry each ---------------------------------------------------------------------------

    def _check_chain_of_numbers(self, entry: EntryFacts) -> None:
        if entry.seq != self.seq + 1:
            self._find(4, entry, f"entry {self.seq + 1} is missing before it")
        if entry.balance_after != self.balance + entry.amount:
            self._find(4, entry, f"balance_after is {entry.balance_after}, not {self.balance + entry.amount}")
        if self.booked_at is not None and entry.booked_at < self.booked_at:
            self._find(4, entry, "booked_at goes back")
        if not entry.hash_holds:
            self._find(4, entry, "its hash is not that of its content after the entry before it")
        drawn = sum(amount for _, amount in entry.draws)
        if entry.amount != drawn - (entry.debt_after - self.debt):
            self._find(3, entry, f"amount is {entry.amount}, its draws and its debt say otherwise")

    def _check_grant(self, entry: EntryFacts) -> None:
        grant = self.grants.get(entry.seq)
        if grant is None or grant.amount != entry.amount:
            self._find(2, entry, "the grant that it made is missing or has another amount")
            return
        known = {grant.terms}
        if grant.effective_at == entry.booked_at:
            known.add(grant.terms_from_the_start)
        if entry.terms not in known or grant.stored_terms != entry.terms:
            self._find(4, entry, "the terms of the grant that it made were changed afterwards")
        pays_nothing = grant.expires_at is not None and grant.expires_at <= entry.booked_at
        repaid = 0 if pays_nothing else min(entry.amount, self.debt)
        wanted = ((entry.seq, entry.amount),) + (((entry.seq, -repaid),) if repaid else ())
        if entry.draws != wanted or entry.debt_after != self.debt - repaid:
            self._find(3, entry, "a grant must pay debt first and keep the rest")

    def _check_spend(self, entry: EntryFacts) -> None:
        self._spent[entry.seq] = -entry.amount
        if entry.debt_after != self.debt:
            self._drawn[entry.seq] = -sum(amount for _, amount in entry.draws)
        if entry.amount >= 0 or entry.debt_after < self.debt:
            self._find(3, entry, "a spend must take credits")
        if entry.draws == self._in_burn_order(entry, self._open):
            return
        # The owner may have chosen the other order since, and the choice is not part of the history.
        other = sorted(self._burn_key(self.grants[key[-1]], other_order=True) for key in self._open)
        if entry.draws != self._in_burn_order(entry, other):
            self._find(5, entry, f"drew {entry.draws}, not {self._in_burn_order(entry, self._open)}")

    def _check_refund(self, entry: EntryFacts) -> None:
        left = self._spent.get(entry.about_seq or 0)
        if left is None:
            self._find(3, entry, "refunds no spend")
        elif not 0 < entry.amount <= left:
            self._find(3, entry, f"refunds {entry.amount} of a spend with {left} left")
        else:
            self._spent[entry.about_seq or 0] = left - entry.amount
        self._check_gives_back(entry)
        self._check_settles(entry)

    def _check_settles(self, entry: EntryFacts) -> None:
        """What a refund takes again, it had just returned to a grant whose revoke had made debt of it."""
        before: tuple[int, int] = (0, 0)
        for grant_id, amount in entry.draws:
            grant = self.grants.get(grant_id)
            if amount <= 0 and grant is not None:
                if grant_id != before[0] or -amount != min(before[1], grant.revoked_as_debt):
                    self._find(8, entry, f"takes {-amount} from grant {grant_id}, which no revoke had made debt")
                grant.revoked_taken -= amount
                grant.revoked_as_debt += amount
            before = (grant_id, amount)

    def _check_expire(self, entry: EntryFacts) -> None:
        if len(entry.draws) != 1:
            self._find(6, entry, f"touches {len(entry.draws)} grants")
        for grant_id, amount in entry.draws:
            grant = self.grants.get(grant_id)
            if grant is None or grant.expires_at is None or entry.booked_at < grant.expires_at:
                self._find(6, entry, f"grant {grant_id} had not expired")
            elif entry.occurred_at not in (grant.expires_at, entry.booked_at):
                self._find(6, entry, "counts from a moment that is neither the expiry nor the booking")
            elif amount >= 0 or amount != entry.amount:
                self._find(6, entry, "must take what expired, and nothing else")
            if grant is not None:
                grant.expired -= amount

    def _check_revoke(self, entry: EntryFacts) -> None:
        if entry.amount >= 0 or entry.debt_after < self.debt or len(entry.draws) > 1:
            self._find(8, entry, "a revoke takes from one grant and makes debt of the rest")
        if any(grant_id != entry.about_seq or amount >= 0 for grant_id, amount in entry.draws):
            self._find(8, entry, f"takes from another grant than {entry.about_seq}")
        self._count_revoked(entry)

    def _check_restore(self, entry: EntryFacts) -> None:
        self._check_gives_back(entry)
        if any(amount <= 0 for _, amount in entry.draws):
            self._find(3, entry, "a restore must take nothing")
        self._count_revoked(entry)

    def _count_revoked(self, entry: EntryFacts) -> None:
        """A restore undoes the debt of revokes first."""
        grant = self.grants.get(entry.about_seq or 0)
        if grant is None:
            self._find(8, entry, "is about no grant")
            return
        owed = entry.debt_after - self.debt if entry.amount < 0 else -min(entry.amount, grant.revoked_as_debt)
        grant.revoked_as_debt += owed
        grant.revoked_taken -= entry.amount + owed
        if min(grant.revoked_as_debt, grant.revoked_taken) < 0:
            self._find(8, entry, f"leaves less than nothing of grant {grant.grant_id} revoked")
        elif (revoked := grant.revoked_as_debt + grant.revoked_taken) > grant.amount:
            self._find(8, entry, f"leaves {revoked} of {grant.amount} revoked")

    def _check_gives_back(self, entry: EntryFacts) -> None:
        if entry.amount <= 0 or entry.debt_after > self.debt:
            self._find(3, entry, f"a {entry.kind} must give credits back")

    # -- burn order ---------------------------------------------------------------------------------------

    def _in_burn_order(self, entry: EntryFacts, order: Iterable[BurnKey]) -> tuple[tuple[int, int], ...]:
        """The draws that this spend should have made, were the open grants burnt in this order.

        A grant that is frozen now may have been frozen then: it is drawn if the entry drew it.
        """
        wanted = -entry.amount
        drawn = {grant_id for grant_id, _ in entry.draws}
        draws = []
        for key in order:
            if wanted <= 0:
                break
            grant = self.grants[key[-1]]
            if not grant.pays_for(entry.feature, entry.booked_at):
                continue
            if grant.frozen and grant.grant_id not in drawn:
                continue
            amount = min(wanted, grant.remaining)
            draws.append((grant.grant_id, -amount))
            wanted -= amount
        return tuple(draws)

    def _burn_key(self, grant: GrantFacts, *, other_order: bool = False) -> BurnKey:
        comes_later = grant.is_paid != (self.account.paid_first != other_order)
        return (
            grant.priority,
            grant.expires_at is None,
            grant.expires_at or NEVER,
            comes_later,
            grant.effective_at,
            grant.grant_id,
        )

    # -- state --------------------------------------------------------------------------------------------

    def _apply(self, entry: EntryFacts) -> None:
        for grant_id, amount in entry.draws:
            grant = self.grants.get(grant_id)
            if grant is None or grant_id > entry.seq:
                self._find(2, entry, f"draws grant {grant_id}, which did not exist")
                continue
            before, grant.remaining = grant.remaining, grant.remaining + amount
            if not 0 <= grant.remaining <= grant.amount:
                self._find(2, entry, f"leaves grant {grant_id} with {grant.remaining} of {grant.amount}")
            self._move(grant, before)
        self.seq = entry.seq
        self.balance = entry.balance_after
        self.debt = entry.debt_after
        self.booked_at = entry.booked_at
        self.head = entry.hash

    def _move(self, grant: GrantFacts, before: int) -> None:
        key = self._burn_key(grant)
        if before <= 0 < grant.remaining:
            insort(self._open, key)
        elif before > 0 >= grant.remaining:
            del self._open[bisect_left(self._open, key)]

    def _find(self, invariant: int, entry: EntryFacts | None, detail: str) -> None:
        seq = entry.seq if entry else None
        self.findings.append(Finding(invariant, self.account.account_id, seq, detail))
