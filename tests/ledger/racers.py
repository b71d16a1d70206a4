"""Processes that call the ledger all at one moment, each call on a connection of its own.

`Racers` is the test's side. The other side is this file as a program: it reads a list of calls as a line of JSON, runs
each in a thread, and answers with a line of outcomes. The starting gate is an advisory lock: all wait for it until the
test lets go of it.
"""

import json
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, is_dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, Self

import psycopg
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.database import sqlalchemy_url

GATE = 7130552
THREADS = 16
PATIENCE_SECONDS = 60.0
SPANS = ("by", "expires_in")
WAITING_AT_THE_GATE = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
WAITING_FOR_A_ROW = (
    "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE NOT granted AND locktype IN ('transactionid', 'tuple') AND datname = current_database()"
)


@dataclass(frozen=True)
class Call:
    """One call of `webapp.ledger`; spans of time are in seconds."""

    function: str
    arguments: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a call returned, as plain data, or the name of its refusal with what that says."""

    refusal: str | None
    data: dict[str, Any]

    @property
    def done(self) -> bool:
        return self.refusal is None


def call(function: str, **arguments: Any) -> Call:
    return Call(function, arguments)


class Racers:
    def __init__(self, *, url: str, watch_url: str, processes: int) -> None:
        self._watcher = psycopg.connect(watch_url, autocommit=True)
        pairs = [socket.socketpair() for _ in range(processes)]
        theirs = [str(theirs.fileno()) for _ours, theirs in pairs]
        self._parent = subprocess.Popen(
            [sys.executable, "-m", __name__, url, *theirs], pass_fds=[int(n) for n in theirs]
        )
        self._lines = []
        for ours, other in pairs:
            other.close()
            ours.settimeout(PATIENCE_SECONDS)
            self._lines.append(ours.makefile("rw"))
            ours.close()  # the file keeps it open

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        for lines in self._lines:
            lines.close()
        self._watcher.close()
        assert self._parent.wait(PATIENCE_SECONDS) == 0

    def at_once(self, calls: Sequence[Call]) -> list[Outcome]:
        """All the calls from one moment on; their outcomes, in order."""
        self._watcher.execute("SELECT pg_advisory_lock(%s)", [GATE])
        self.begin(calls)
        self._until(WAITING_AT_THE_GATE, len(calls), [GATE])
        self._watcher.execute("SELECT pg_advisory_unlock(%s)", [GATE])
        return self.outcomes(len(calls))

    def begin(self, calls: Sequence[Call]) -> None:
        for place, lines in enumerate(self._lines):
            mine = [[one.function, one.arguments] for one in calls[place :: len(self._lines)]]
            assert len(mine) <= THREADS
            lines.write(json.dumps(mine) + "\n")
            lines.flush()

    def outcomes(self, count: int) -> list[Outcome]:
        """The outcomes of what was begun, once it has ended."""
        answers: list[Any] = [None] * count
        for place, lines in enumerate(self._lines):
            answers[place :: len(self._lines)] = json.loads(lines.readline())
        return [_outcome(*answer) for answer in answers]

    def until_waiting(self, count: int = 1) -> None:
        """`count` of them wait for a row that somebody has locked."""
        self._until(WAITING_FOR_A_ROW, count, [])

    def _until(self, query: str, count: int, arguments: list[Any]) -> None:
        deadline = monotonic() + PATIENCE_SECONDS
        while self._watcher.execute(query, arguments).fetchone() != (count,):  # type: ignore[arg-type]
            assert monotonic() < deadline, f"{count} do not wait"


def _outcome(refusal: str | None, data: Any) -> Outcome:
    assert refusal != "", data
    return Outcome(refusal=refusal, data=data if isinstance(data, dict) else {"result": data})


# ---------------------------------------------------------------- the other side


def main(url: str, sockets: Sequence[int]) -> None:
    """One process for each socket, forked while there is neither thread nor connection; importing takes a second."""
    children = []
    for mine in sockets:
        child = os.fork()
        if child == 0:
            for other in set(sockets) - {mine}:
                os.close(other)
            serve(url, socket.socket(fileno=mine))
            os._exit(0)
        children.append(child)
    for mine in sockets:
        os.close(mine)
    sys.exit(any(os.waitpid(child, 0)[1] for child in children))


def serve(url: str, connection: socket.socket) -> None:
    engine = create_engine(sqlalchemy_url(url), pool_size=THREADS)
    with ThreadPoolExecutor(THREADS) as pool, connection.makefile("rw") as lines:
        for line in lines:
            outcomes = list(pool.map(lambda one: run(engine, *one), json.loads(line)))
            lines.write(json.dumps(outcomes, default=str) + "\n")
            lines.flush()
    engine.dispose()


def run(engine: Engine, function: str, arguments: dict[str, Any]) -> tuple[str | None, Any]:
    """(None, result), (name of the refusal, its data) or ("", what went wrong)."""
    given = {name: timedelta(seconds=value) if name in SPANS else value for name, value in arguments.items()}
    try:
        with Session(engine) as session, session.begin():
            session.execute(text("SELECT pg_advisory_xact_lock_shared(:gate)"), {"gate": GATE})
            result = getattr(ledger, function)(session, **given)
    except ledger.LedgerRefusal as refused:
        return type(refused).__name__, refused.data
    except Exception:
        return "", traceback.format_exc()
    return None, asdict(result) if is_dataclass(result) and not isinstance(result, type) else result


if __name__ == "__main__":
    main(sys.argv[1], [int(number) for number in sys.argv[2:]])
