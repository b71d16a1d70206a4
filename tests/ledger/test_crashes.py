"""PostgreSQL is killed under load, again and again: what was acknowledged is there once, what was refused is not."""

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.database import sqlalchemy_url
from webapp.embedded.servers import Servers, ensure_servers
from webapp.ledger.verify import verify

KILLS = 3
CLIENTS = 4
ANSWERS_BETWEEN_KILLS = 120
WRITTEN_DOWN = "SELECT account_id, idempotency_key, kind, seq, amount, hold_number FROM ledger.entries_v"
HOLDS = "SELECT account_id, number, idempotency_key, state, closing_key FROM ledger.holds"


@pytest.fixture
def servers(grow: Callable[[Path], None]) -> Iterator[Servers]:
    """A PostgreSQL that nobody else uses, as durable as in production."""
    folder = Path(tempfile.mkdtemp(prefix="tallystick-crash-"))
    grow(folder)
    with ensure_servers(folder, redis=False) as servers:
        yield servers
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def accounts(servers: Servers) -> list[list[int]]:
    """For each client two accounts of its own, and one that all share."""
    engine = create_engine(sqlalchemy_url(servers.database_url))
    ids = []
    with Session(engine) as session, session.begin():
        for number in range(2 * CLIENTS + 1):
            account, _ = ledger.open_account(session, external_id=f"crash-{number}")
            ledger.grant(session, account_id=account.account_id, amount=200, source="crash", actor="test")
            ids.append(account.account_id)
    engine.dispose()
    return [[ids[-1], *ids[2 * n : 2 * n + 2]] for n in range(CLIENTS)]


def kill_at_once(servers: Servers) -> None:
    """`kill -9` of PostgreSQL: the server, and every process of it."""
    (server,) = (psutil.Process(pid) for pid in servers.pids())
    server.suspend()  # so that it starts no process while we look
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=30)


def test_what_was_acknowledged_is_there_once_and_what_was_refused_is_not(
    servers: Servers, accounts: list[list[int]], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.ledger.crash_client", servers.database_url, str(tmp_path)]
    with subprocess.Popen([*command, json.dumps(accounts)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as clients:
        assert clients.stdin is not None
        assert clients.stdout is not None
        for _ in range(KILLS):
            # A little more each time, so that kills do not always meet the same moment.
            wait_for_answers(clients, ANSWERS_BETWEEN_KILLS + random.randrange(20))
            kill_at_once(servers)
            servers.revive()
        wait_for_answers(clients, ANSWERS_BETWEEN_KILLS)
        clients.stdin.close()
        assert clients.wait(60) == 0
    requests = [request for journal in sorted(tmp_path.glob("*.journal")) for request in read(journal)]
    assert sum(request["unanswered"] > 0 for request in requests) >= KILLS
    assert any(request["answer"].get("replayed") for request in requests)
    assert_books_say_what_was_answered(servers, requests)
    with psycopg.connect(servers.superuser_url) as superuser:
        assert superuser.execute("SELECT * FROM ledger.violations_v").fetchall() == []
    engine = create_engine(sqlalchemy_url(servers.owner_url))
    with engine.connect() as connection:
        assert verify(connection).findings == []
    engine.dispose()


def wait_for_answers(clients: subprocess.Popen[bytes], count: int) -> None:
    assert clients.stdout is not None
    while count > 0:
        got = clients.stdout.read1(count)  # type: ignore[attr-defined]
        assert got, "the clients have ended"
        count -= len(got)


def read(journal: Path) -> list[dict[str, Any]]:
    """The requests of one client, each with its answer and how often there was none."""
    requests: dict[int, dict[str, Any]] = {}
    for text in journal.read_text().splitlines():
        line = json.loads(text)
        if "asked" in line:
            requests[line["number"]] = {**line, "unanswered": 0, "answer": None}
        elif "unanswered" in line:
            requests[line["number"]]["unanswered"] += 1
        else:
            requests[line["number"]]["answer"] = line["answer"]
    assert all(request["answer"] for request in requests.values())
    return list(requests.values())


def assert_books_say_what_was_answered(servers: Servers, requests: list[dict[str, Any]]) -> None:
    """Each key that was acknowledged stands for one thing, and no other key stands there at all."""
    acknowledged = [request for request in requests if "refused" not in request["answer"]]
    refused = Counter(request["answer"]["refused"] for request in requests if "refused" in request["answer"])
    assert set(refused) == {"InsufficientCredits", "ExceedsSpend", "HoldClosed"}
    said: Counter[tuple[Any, ...]] = Counter()
    for request in acknowledged:
        given, answer = request["arguments"], request["answer"]
        name = (given["account_id"], given["idempotency_key"])
        if request["asked"] == "place_hold":
            said["held", *name, answer["number"]] += 1
        elif request["asked"] == "void_hold":
            said["voided", *name, given["number"]] += 1
        else:
            kind = {"refund_spend": "refund", "capture_hold": "spend"}.get(request["asked"], request["asked"])
            said[kind, *name, answer["seq"], answer["amount"], given.get("number")] += 1
    kinds = {kind for kind, *_ in said}
    assert kinds == {"grant", "spend", "refund", "held", "voided"}
    assert written(servers) == said


def written(servers: Servers) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    with psycopg.connect(servers.superuser_url, row_factory=dict_row) as connection:
        for entry in connection.execute(WRITTEN_DOWN):
            if entry["idempotency_key"] is not None:
                name = (entry["account_id"], entry["idempotency_key"])
                found[entry["kind"], *name, entry["seq"], entry["amount"], entry["hold_number"]] += 1
        for hold in connection.execute(HOLDS):
            found["held", hold["account_id"], hold["idempotency_key"], hold["number"]] += 1
            if hold["state"] == "voided":
                found["voided", hold["account_id"], hold["closing_key"], hold["number"]] += 1
    return found
