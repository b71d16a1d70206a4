"""The figures that accounts and grants keep, beside those that their history leads to."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from webapp.ledger.proof.book import Book
from webapp.ledger.proof.facts import Grant

# The sweep runs each minute; what it has left for so long was forgotten.
OVERDUE = timedelta(hours=1)


class Difference(NamedTuple):
    """A figure that is not what the history leads to. `grant_id` is None for a figure of the account itself.

    `mendable` says whether storing `recomputed` in its place would make it right.
    """

    invariant: int
    figure: str
    stored: Any
    recomputed: Any
    grant_id: int | None = None
    mendable: bool = True

    def __str__(self) -> str:
        name = self.figure if self.grant_id is None else f"grant {self.grant_id}: {self.figure}"
        return f"{name} is {_shown(self.stored)}, and by the history {_shown(self.recomputed)}"


def compare(book: Book, *, now: datetime | None = None) -> list[Difference]:
    """Each figure of the account and of its grants that differs from what its whole history led to.

    With `now`, what is forgotten is a difference too: grants that start later and holds or grants that are overdue.
    """
    account = book.account
    found = [
        Difference(1, "balance", account.balance, book.balance),
        Difference(1, "held", account.held, sum(grant.held for grant in book.grants.values())),
        Difference(3, "debt", account.debt, book.debt),
        Difference(4, "seq", account.seq, book.seq),
        Difference(4, "head", account.head, book.head),
        Difference(4, "booked_at", account.booked_at, book.booked_at or account.booked_at),
        Difference(9, "holds", account.holds, book.last_hold),
    ]
    found = [each for each in found if each.stored != each.recomputed]
    found += _of_time(book, now)
    for grant in book.grants.values():
        found += _of_grant(grant, book.seq)
    return found


def _of_time(book: Book, now: datetime | None) -> Iterator[Difference]:
    """The sweep looks at an account when it is due: too early does no harm, too late does."""
    account = book.account
    due_at = _earliest(_due(book, now))
    if due_at is not None and (account.due_at is None or account.due_at > due_at):
        yield Difference(11, "due_at", account.due_at, due_at)
    elif due_at is not None and now is not None and due_at < now - OVERDUE:
        yield Difference(11, "due_at", account.due_at, "booked long ago", mendable=False)
    waiting = any(
        grant.remaining > 0 and (grant.freezes > 0 or (now is not None and grant.stored.effective_at > now))
        for grant in book.grants.values()
    )
    if waiting and not account.waiting:
        yield Difference(11, "waiting", False, True)


def _due(book: Book, now: datetime | None) -> Iterator[datetime | None]:
    for grant in book.grants.values():
        if grant.free > 0:
            yield grant.stored.expires_at
        if now is not None and grant.remaining > 0 and grant.stored.effective_at > now:
            yield grant.stored.effective_at
    for hold in book.holds.values():
        if hold.state == "open":
            yield hold.expires_at


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _of_grant(grant: Grant, seq: int) -> Iterator[Difference]:
    stored = grant.stored
    is_open, is_frozen = grant.remaining > 0, grant.freezes > 0
    if (
        (stored.remaining, stored.held, stored.repaid, stored.expired)
        != (grant.remaining, grant.held, grant.repaid, grant.expired)
        or (stored.revoked_taken, stored.revoked_as_debt) != (grant.revoked_taken, grant.revoked_as_debt)
        or (stored.open, stored.frozen, stored.burn_rank) != (is_open, is_frozen, grant.burn_rank)
    ):
        for invariant, figure, recomputed in (
            (2, "remaining", grant.remaining),
            (2, "held", grant.held),
            (10, "repaid", grant.repaid),
            (10, "expired", grant.expired),
            (8, "revoked_taken", grant.revoked_taken),
            (8, "revoked_as_debt", grant.revoked_as_debt),
            (2, "open", is_open),
            (5, "frozen", is_frozen),
            (5, "burn_rank", grant.burn_rank),
        ):
            if getattr(stored, figure) != recomputed:
                yield Difference(invariant, figure, getattr(stored, figure), recomputed, stored.grant_id)
    if stored.grant_id > seq:
        yield Difference(2, "its entry", "missing", "there", stored.grant_id, mendable=False)
    reached = grant.revoked_taken + grant.revoked_as_debt
    # What a revoke could not reach while a hold had it reserved is reached when the hold ends.
    forgotten = reached < stored.revoked and not grant.held and (grant.free > 0 or grant.spent > 0)
    if not reached <= stored.revoked <= stored.amount or forgotten:
        yield Difference(8, "revoked", stored.revoked, reached, stored.grant_id, mendable=False)


def _shown(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
