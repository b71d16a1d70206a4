"""Clients that write down what they ask of the ledger before they ask, and what it answered afterwards.

As a program: one process for each journal, forked. Each makes random requests on its accounts until standard input
ends. What ended without an answer, because PostgreSQL was killed or the line was cut at the commit, it asks again under
the same key until it is answered. Each answer is one byte on standard output, so that the test sees how far they are.
"""

import json
import os
import random
import select
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, TextIO

from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.database import sqlalchemy_url

PAUSE_SECONDS = 0.02
HANG_UPS = 0.07


@dataclass
class Journal:
    """Lines of JSON; each is on the disk when `write` returns."""

    file: TextIO

    def write(self, **line: Any) -> None:
        self.file.write(json.dumps(line, default=str) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())


@dataclass
class Client:
    """What it knows of its own doing: spends that it may refund, holds that it may end."""

    name: str
    accounts: list[int]
    chance: random.Random
    number: int = 0
    spends: list[tuple[int, int]] = field(default_factory=list)
    holds: list[tuple[int, int]] = field(default_factory=list)

    def requests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """One request after the other, some of which will be refused; each under a key of its own."""
        kinds: list[Callable[[], tuple[str, dict[str, Any]] | None]] = [
            self._grant, self._spend, self._spend, self._spend, self._refund, self._hold, self._hold, self._capture,
            self._void,
        ]  # fmt: skip
        while True:
            request = self.chance.choice(kinds)()
            if request is not None:
                self.number += 1
                function, arguments = request
                yield function, {**arguments, "idempotency_key": f"{self.name}-{self.number}", "actor": self.name}

    def hangs_up(self) -> bool:
        return self.chance.random() < HANG_UPS

    def learn(self, function: str, arguments: dict[str, Any], answer: dict[str, Any]) -> None:
        if function == "spend":
            self.spends.append((arguments["account_id"], answer["seq"]))
        elif function == "place_hold":
            self.holds.append((arguments["account_id"], answer["number"]))

    def _grant(self) -> tuple[str, dict[str, Any]]:
        return "grant", {**self._account(), "amount": self.chance.randint(1, 40), "source": "crash"}

    def _spend(self) -> tuple[str, dict[str, Any]]:
        return "spend", {**self._account(), "amount": self.chance.choice([1, 2, 3, 5, 8, 13, 100_000])}

    def _hold(self) -> tuple[str, dict[str, Any]]:
        return "place_hold", {**self._account(), "amount": self.chance.choice([1, 4, 9, 100_000])}

    def _refund(self) -> tuple[str, dict[str, Any]] | None:
        """Of a spend at random, refunded or not."""
        if not self.spends:
            return None
        account_id, seq = self.chance.choice(self.spends)
        return "refund_spend", {
            "account_id": account_id,
            "seq": seq,
            "amount": self.chance.choice([1, 1, 50]),
            "reason": "crash",
        }

    def _capture(self) -> tuple[str, dict[str, Any]] | None:
        hold = self._some_hold()
        return hold and ("capture_hold", hold)

    def _void(self) -> tuple[str, dict[str, Any]] | None:
        hold = self._some_hold()
        return hold and ("void_hold", hold)

    def _some_hold(self) -> dict[str, Any] | None:
        """A hold at random, ended or not."""
        if not self.holds:
            return None
        account_id, number = self.chance.choice(self.holds[-5:])
        return {"account_id": account_id, "number": number}

    def _account(self) -> dict[str, Any]:
        return {"account_id": self.chance.choice(self.accounts)}


def run(url: str, client: Client, journal: Journal) -> None:
    engine = create_engine(sqlalchemy_url(url), pool_size=1)
    for number, (function, arguments) in enumerate(client.requests()):
        if select.select([sys.stdin], [], [], 0)[0]:
            break
        journal.write(number=number, asked=function, arguments=arguments)
        answer: dict[str, Any] | None = None
        while answer is None:
            try:
                with Session(engine) as session, session.begin():
                    answer = _told(getattr(ledger, function)(session, **arguments))
                    if client.hangs_up():
                        _hang_up_at_the_commit(session)
                        answer = None
            except ledger.LedgerRefusal as refusal:
                answer = {"refused": type(refusal).__name__}
            except DBAPIError as error:
                answer = None
                if not isinstance(error, OperationalError | InterfaceError) and not error.connection_invalidated:
                    raise
                journal.write(number=number, unanswered=str(error.orig))
                Event().wait(PAUSE_SECONDS)
        if "refused" not in answer:
            client.learn(function, arguments, answer)
        journal.write(number=number, answer=answer)
        os.write(sys.stdout.fileno(), b".")
    engine.dispose()


def _hang_up_at_the_commit(session: Session) -> None:
    """PostgreSQL is told to commit, and whether it did is not heard."""
    connection = session.connection().connection.driver_connection
    assert connection is not None
    connection.pgconn.send_query(b"COMMIT")
    connection.pgconn.flush()
    connection.close()
    session.invalidate()


def _told(result: ledger.Written | ledger.WrittenHold) -> dict[str, Any]:
    if isinstance(result, ledger.Written):
        return {"seq": result.entry.seq, "amount": result.entry.amount, "replayed": result.replayed}
    return {"number": result.hold.number, "state": result.hold.state, "replayed": result.replayed}


def main(url: str, folder: Path, accounts: list[list[int]]) -> None:
    children = []
    for number, mine in enumerate(accounts):
        child = os.fork()
        if child == 0:
            with (folder / f"{number}.journal").open("w") as file:
                client = Client(name=f"client{number}", accounts=mine, chance=random.Random(number))
                run(url, client, Journal(file))
            os._exit(0)
        children.append(child)
    sys.exit(any(os.waitpid(child, 0)[1] for child in children))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
