"""Queued usage: how fast it is accepted through HTTP, and how fast workers charge what was accepted."""

import json
import random
import socket
import time
from multiprocessing.pool import Pool
from uuid import uuid4

from bench.measure import Clock, Round, run_round
from bench.report import Line
from bench.requests import read_answer
from bench.servers import Servers

SIZE = 1_000
CLIENTS = 2
WORKERS = 2


def usage(
    pool: Pool, servers: Servers, *, port: int, secret: str, accounts: int, seconds: float, floor: Round | None = None
) -> list[Line]:
    """Lines about `POST /api/v1/usage` in batches of 1,000, and about the workers that charge what came of it."""
    batches = run_round(pool, accept_client, [(port, secret, "many-", accounts)] * CLIENTS, seconds=seconds)
    accepted = Round(batches.per_second * SIZE, batches.p50_ms, batches.p99_ms)
    began = time.time()
    charged = sum(pool.starmap(charge_client, [(servers.database_url,)] * WORKERS, chunksize=1))
    taken = time.time() - began
    what = (
        f"charging {charged:,} of these events as workers do, by {WORKERS} processes, entries of {accounts:,} accounts"
    )
    return [
        Line(f"`POST /api/v1/usage` of {SIZE:,}, granian; events a second, latencies of batches", CLIENTS, accepted),
        Line(what, WORKERS, Round(charged / taken, 0, 0), floor, "batches through Python"),
    ]


def accept_client(port: int, secret: str, prefix: str, accounts: int, begin: float, end: float) -> bytes:
    """Tells of usage on random accounts, a batch a call."""
    clock = Clock(begin, end)
    chance = random.Random()
    name = uuid4().hex
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = 0
        while clock.goes_on():
            number += 1
            items = [
                {
                    "account": f"{prefix}{chance.randint(1, accounts)}", "amount": chance.randint(1, 5),
                    "description": "bench", "idempotency_key": f"{name}-{number}-{place}",
                }
                for place in range(SIZE)
            ]  # fmt: skip
            body = json.dumps({"items": items}).encode()
            head = (
                f"POST /api/v1/usage HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode()
            started = time.time()
            connection.sendall(head + body)
            status = read_answer(connection)
            assert status == 202, status
            clock.note(started)
    return clock.seen.tobytes()


def charge_client(url: str) -> int:
    """Charges until nothing waits; returns how many events."""
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    from webapp.database import sqlalchemy_url
    from webapp.usage.charging import charge_next

    charged = 0
    engine = create_engine(sqlalchemy_url(url))
    with Session(engine) as session:
        while (done := charge_next(session, plans_of=lambda _session, account_ids: {})) is not None:
            session.commit()
            charged += done["charged"]
        session.rollback()
    engine.dispose()
    return charged
