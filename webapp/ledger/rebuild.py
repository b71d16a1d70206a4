"""Working out every figure that accounts and grants keep from entries, draws, holds and freezes, and storing it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Placeholder

from webapp.ledger.proof.facts import Finding
from webapp.ledger.proof.figures import Difference, compare
from webapp.ledger.proof.ranges import ranges
from webapp.ledger.proof.reading import History, Range
from webapp.ledger.proof.replay import Replay


@dataclass(frozen=True)
class Rebuilt:
    """What an account's figures should be. `findings`: its history is not right itself, and nothing follows from it."""

    account_id: int
    differences: list[Difference]
    findings: list[Finding] = field(default_factory=list)
    written: bool = False

    @property
    def is_right(self) -> bool:
        """Whether the figures are now what the history leads to."""
        return not self.findings and all(self.written and each.mendable for each in self.differences)


def rebuild(
    connection: Connection[Any], *, account_id: int | None = None, now: datetime, write: bool = False
) -> Iterator[Rebuilt]:
    """Every account (or that one) whose figures are not what its history leads to.

    With `write` those figures are stored, each account in a database transaction of its own under the account's lock,
    worked out again after the lock; `connection` must belong to the owner then. An account whose history contradicts
    itself is told with its findings and left as it is: what follows from a lie is no better than what was there.
    `connection` must be in autocommit mode. No entry, hold or freeze is ever changed.
    """
    within = [(account_id, account_id)] if account_id is not None else (found for found, _ in ranges(connection))
    for each in within:
        for found in _look(connection, each, now):
            yield _mend(connection, found.account_id, now) if write and not found.findings else found


def _look(connection: Connection[Any], within: Range, now: datetime) -> list[Rebuilt]:
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        replays = History(connection, within).play()
    looked = [_rebuilt(replay, now) for replay in replays.values()]
    return [found for found in looked if found.differences or found.findings]


def _rebuilt(replay: Replay, now: datetime) -> Rebuilt:
    return Rebuilt(replay.account.account_id, compare(replay, now=now), list(replay.findings))


def _mend(connection: Connection[Any], account_id: int, now: datetime) -> Rebuilt:
    with connection.transaction():
        connection.execute("SELECT 1 FROM ledger.accounts WHERE account_id = %s FOR NO KEY UPDATE", [account_id])
        found = _rebuilt(History(connection, (account_id, account_id)).play()[account_id], now)
        if found.findings:
            return found
        _store(connection, account_id, None, found.differences)
        for grant_id in sorted({each.grant_id for each in found.differences if each.grant_id is not None}):
            _store(connection, account_id, grant_id, found.differences)
    return Rebuilt(account_id, found.differences, written=True)


def _store(connection: Connection[Any], account_id: int, grant_id: int | None, found: list[Difference]) -> None:
    figures = {each.figure: each.recomputed for each in found if each.grant_id == grant_id and each.mendable}
    changes: list[Composable] = [SQL("{} = {}").format(Identifier(name), Placeholder(name)) for name in figures]
    query = SQL("UPDATE ledger.grants SET {} WHERE account_id = %(account_id)s AND grant_id = %(grant_id)s")
    if grant_id is None:
        changes.append(SQL("version = version + 1"))  # for whoever shows the account, whatever of it was wrong
        query = SQL("UPDATE ledger.accounts SET {} WHERE account_id = %(account_id)s")
    if changes:
        ids = {"account_id": account_id, "grant_id": grant_id}
        connection.execute(query.format(SQL(", ").join(changes)), {**figures, **ids})
