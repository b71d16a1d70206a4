"""One account in the model and in PostgreSQL, asked the same and compared."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from tests.ledger import model
from tests.ledger.database_account import DatabaseAccount, entry_of, grant_of, hold_of
from webapp import ledger
from webapp.ledger.verify import verify

ENTRIES = text("SELECT * FROM ledger.entries_v WHERE account_id = :account_id AND seq > :seq ORDER BY seq")
GRANTS = text("SELECT * FROM ledger.grants_v WHERE account_id = :account_id ORDER BY grant_id")
HOLDS = text("SELECT * FROM ledger.holds_v WHERE account_id = :account_id ORDER BY number")
VIOLATIONS = text("SELECT invariant, detail FROM ledger.violations_v WHERE account_id = :account_id")


class Both:
    def __init__(self, engine: Engine, *, now: datetime, overdraft_limit: int, spend_order: str) -> None:
        attributes = {"overdraft_limit": overdraft_limit, "spend_order": spend_order}
        self.engine = engine
        self.model = model.Account(**attributes)  # type: ignore[arg-type]
        self.database = DatabaseAccount(engine, now=now, **attributes)  # type: ignore[arg-type]
        self.settled_at = now
        self.versions: dict[str, tuple[int, ...]] = {}
        self.known = 0  # entries that were found to be the same; nobody changes one

    def do(self, operation: str, *, now: datetime, **arguments: Any) -> Any:
        """Ask both; they answer alike or refuse alike, and are alike afterwards."""
        with self.compared(now):
            answers = [self._ask(account, operation, now=now, **arguments) for account in (self.model, self.database)]
            assert answers[0] == answers[1], f"{operation}({arguments})"
        return answers[0]

    def _ask(self, account: Any, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(account, operation)(**arguments)
        except model.Refused as refused:
            return (type(refused).__name__, vars(refused))

    @contextmanager
    def compared(self, now: datetime) -> Iterator[None]:
        """Whatever is done to both meanwhile, they are alike afterwards; what was written is proved too."""
        before = self.model.copy()
        yield
        with self.database.at(now) as session:
            self.compare(session, now)
        if self.model.after_due(now) == self.model:
            self.settled_at = now
        if self.model != before:
            self.prove()

    def compare(self, session: Session, now: datetime) -> None:
        """All that is stored, and what is said of now."""
        account_id = {"account_id": self.database.account_id}
        entries = session.execute(ENTRIES, {**account_id, "seq": self.known})
        assert [entry_of(row) for row in entries] == self.model.entries[self.known :]
        assert {row.grant_id: grant_of(row) for row in session.execute(GRANTS, account_id)} == self.model.grants
        holds = {row.number: hold_of(row) for row in session.execute(HOLDS, account_id)}
        assert holds == self.model.holds
        assert [places(hold) for hold in holds.values()] == [places(hold) for hold in self.model.holds.values()]
        self.known = len(self.model.entries)
        self.compare_figures(session, now)

    def compare_figures(self, session: Session, now: datetime) -> None:
        seen = ledger.balance(session, account_id=self.database.account_id)
        expected = self.model.after_due(now)
        assert seen.balance == expected.booked_balance
        assert seen.available == self.model.available_in_all(now)
        assert seen.held == sum(grant.held for grant in expected.grants.values())
        assert seen.debt == expected.debt
        assert seen.seq == self.model.seq
        # Whoever waits for a new version misses no change of these.
        figures = (seen.balance, seen.held, seen.available, seen.debt, seen.seq)
        assert self.versions.setdefault(seen.version, figures) == figures

    def wait(self, now: datetime) -> None:
        """Nothing was written, so only what is said of now may differ."""
        with self.database.at(now) as session:
            self.compare_figures(session, now)

    def prove(self) -> None:
        """No violation and nothing for the proof to find, as of the last moment when nothing was due."""
        with self.database.at(self.settled_at) as session:
            assert list(session.execute(VIOLATIONS, {"account_id": self.database.account_id})) == []
        with self.engine.connect() as connection:
            report = verify(connection, account_ids=[self.database.account_id], now=self.settled_at)
        assert report.findings == []
        assert report.entries == len(self.model.entries)

    def look(self, moment: datetime, *, now: datetime, feature: str | None) -> None:
        """What both say of a past moment, and of now."""
        assert self.database.balance_at(moment, now=now) == self.model.balance_at(moment)
        assert self.database.state_at(moment, now=now) == self.model.state_at(moment, now=now)
        room = self.model.available(now, feature) + self.model.overdraft_limit
        assert self.database.available(now, feature) == max(0, room)
        for number in self.model.holds:
            assert self.database.get_hold(now=now, number=number) == self.model.get_hold(now=now, number=number)


def places(hold: model.Hold) -> tuple[int, int | None]:
    """Between which entries it was placed and closed; not part of its equality, for not every reader is told."""
    return hold.placed_after, hold.closed_after


class Effects:
    """How often what was asked had an effect, was refused, or changed nothing."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def count(self, what: str, answer: Any) -> None:
        self.counts[what, effect_of(answer)] += 1

    def effective(self) -> set[str]:
        return {what for what, effect in self.counts if effect == "effect"}

    def table(self) -> str:
        lines = [f"{'':32}{'effect':>9}{'refused':>9}{'nothing':>9}"]
        for what in sorted({what for what, _ in self.counts}):
            figures = "".join(f"{self.counts[what, effect]:9}" for effect in ("effect", "refused", "nothing"))
            lines.append(f"{what:32}{figures}")
        return "\n".join(lines)


def effect_of(answer: Any) -> str:
    if isinstance(answer, tuple):
        return "refused"
    if answer is None or answer is False or answer == 0:
        return "nothing"
    return "effect"


def same_again(answer: Any) -> Any:
    """What a replay must answer."""
    return replace(answer, replayed=True)
