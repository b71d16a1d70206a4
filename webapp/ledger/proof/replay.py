"""An account's history played again, entry by entry, in Python.

Whatever has no entry (a hold placed, voided or lapsed, a grant frozen) happens between the entries where it says.
"""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

from webapp.ledger.fingerprints import fingerprint_of_grant
from webapp.ledger.proof.facts import Account, Entry, Event, Finding, Grant, StoredGrant
from webapp.ledger.proof.figures import compare
from webapp.ledger.proof.spending import Spending, is_paired
from webapp.ledger.proof.undoing import Undoing


class Replay(Spending, Undoing):
    """Checks each entry and event against the state that those before it left, and takes it over."""

    def __init__(self, account: Account, *, refunded: frozenset[int] = frozenset()) -> None:
        super().__init__(account, refunded=refunded)
        self._checks: dict[str, Callable[[Entry], None]] = {
            "grant": self._check_grant,
            "purchase": self._check_grant,
            "spend": self.check_spend,
            "refund": self.check_refund,
            "expire": self.check_expire,
            "revoke": self.check_revoke,
            "restore": self.check_restore,
        }

    def play(self, entry: Entry) -> None:
        """The next entry; every event that happened before it has been given to `happen`."""
        if not is_paired(entry):
            self.find(3, entry.seq, "its draws are no pairs of a grant and an amount")
            entry = entry._replace(grants=[], amounts=[])
        self._check_chain(entry)
        check = self._checks.get(entry.kind)
        if check is None:
            self.find(3, entry.seq, f"unknown kind {entry.kind!r}")
        else:
            check(entry)
        self._take_over(entry)

    def happen(self, event: Event) -> None:
        """The next thing without an entry."""
        if event.kind == "placed":
            self.place(event)
        elif event.kind == "closed":
            self.close(event)
        elif grant := self.grants.get(event.grants[0]):
            grant.freezes += 1 if event.kind == "frozen" else -1
        else:
            self.find(2, None, f"freeze {event.number} is of no grant")

    def finish(self, *, now: datetime | None = None) -> list[Finding]:
        """Compare where the history led with what the account and its grants say; returns all findings.

        With `now`, what should have been booked by then and was not is a finding as well.
        """
        for number, hold in self.holds.items():
            if hold.state != "open":
                self.find(9, None, f"hold {number} is {hold.state}, and nothing in the history says how")
        if self.balance != sum(grant.remaining for grant in self.grants.values()) - self.debt:
            self.find(1, None, f"balance is {self.balance}, and its grants less its debt are something else")
        for difference in compare(self, now=now):
            self.find(difference.invariant, None, str(difference))
        return self.findings

    # -- what all entries have in common --------------------------------------------------------------------

    def _check_chain(self, entry: Entry) -> None:
        seq = entry.seq
        if seq != self.seq + 1:
            self.find(4, seq, f"entry {self.seq + 1} is missing before it")
        if entry.balance_after != self.balance + entry.amount:
            self.find(4, seq, f"balance_after is {entry.balance_after}, not {self.balance + entry.amount}")
        if self.booked_at is not None and entry.booked_at < self.booked_at:
            self.find(4, seq, "booked_at goes back")
        if entry.occurred_at > entry.booked_at:
            self.find(4, seq, "counts from a moment after it was written")
        if sha256(self.head + entry.content).digest() != entry.hash:
            self.find(4, seq, "its hash is not that of its content after the entry before it")
        if entry.amount != sum(entry.amounts) - entry.debt_after + self.debt:
            self.find(3, seq, f"amount is {entry.amount}, its draws and its debt say otherwise")

    def _take_over(self, entry: Entry) -> None:
        for grant_id, amount in zip(entry.grants, entry.amounts, strict=True):
            grant = self.grants.get(grant_id)
            if grant is None or grant_id > entry.seq:
                self.find(2, entry.seq, f"draws grant {grant_id}, which did not exist")
                continue
            self.move(grant, remaining=amount)
            if not 0 <= grant.held <= grant.remaining <= grant.stored.amount:
                self.find(2, entry.seq, f"leaves grant {grant_id} with {grant.remaining}, of them {grant.held} held")
            if amount > 0:
                grant.came_at = entry.occurred_at if grant_id == entry.seq else entry.booked_at
        self.seq = entry.seq
        self.balance = entry.balance_after
        self.debt = entry.debt_after
        self.booked_at = entry.booked_at
        self.head = entry.hash

    # -- grants ---------------------------------------------------------------------------------------------

    def _check_grant(self, entry: Entry) -> None:
        grant = self.grants.get(entry.seq)
        if grant is None or grant.stored.amount != entry.amount:
            self.find(2, entry.seq, "the grant that it made is missing or has another amount")
            return
        if not _has_terms(grant.stored, entry):
            self.find(4, entry.seq, "the terms of the grant that it made were changed afterwards")
        if (grant.stored.source == "purchase") != (entry.kind == "purchase"):
            self.find(4, entry.seq, f"is a {entry.kind}, and made a grant from {grant.stored.source}")
        expires_at = grant.stored.expires_at
        repaid = 0 if expires_at is not None and expires_at <= entry.booked_at else min(entry.amount, self.debt)
        draws = ([entry.seq], [entry.amount])
        if repaid:
            draws = ([entry.seq, entry.seq], [entry.amount, -repaid])
            self.repay(grant, repaid)
        self.expect(entry, 3, draws, self.debt - repaid)
        if entry.about_seq is not None:
            self._check_rollover(grant, entry, entry.about_seq)

    def _check_rollover(self, grant: Grant, entry: Entry, about_seq: int) -> None:
        old = self.grants.get(about_seq)
        if old is None or old.stored.expires_at != entry.occurred_at:
            self.find(10, entry.seq, f"carries on grant {about_seq}, which did not expire then")
        elif entry.amount > old.expired:
            self.find(10, entry.seq, f"carries on {entry.amount} of grant {about_seq}, of which {old.expired} expired")


def _has_terms(grant: StoredGrant, entry: Entry) -> bool:
    """Whether the grant still says what the hash in its entry covers."""
    if grant.fingerprint != entry.terms:
        return False
    starts: list[datetime | None] = [grant.effective_at]
    if grant.effective_at == entry.occurred_at:
        starts.insert(0, None)  # it started when it came, and nobody had to say so
    return any(_terms(grant, start) == entry.terms for start in starts)


def _terms(grant: StoredGrant, effective_at: datetime | None) -> bytes:
    return fingerprint_of_grant(
        source=grant.source,
        amount=grant.amount,
        expires_at=grant.expires_at,
        priority=grant.priority,
        effective_at=effective_at,
        features=grant.features,
        cost_minor=grant.cost_minor,
        cost_currency=grant.cost_currency,
        source_key=grant.source_key,
        description=grant.description,
    )
