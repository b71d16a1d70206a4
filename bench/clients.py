"""One client each: the floor, a spend by psycopg, a spend through HTTP."""

import json
import random
import socket
import threading
import time
from uuid import uuid4

import psycopg

from bench.measure import Clock

FLOOR_TABLES = """
CREATE SCHEMA bench;
CREATE TABLE bench.accounts (account_id bigint PRIMARY KEY, balance bigint NOT NULL, seq bigint NOT NULL)
    WITH (fillfactor = 70);
CREATE TABLE bench.entries (account_id bigint, seq bigint, amount bigint NOT NULL, balance_after bigint NOT NULL,
    idempotency_key text NOT NULL, booked_at timestamptz NOT NULL, PRIMARY KEY (account_id, seq));
INSERT INTO bench.accounts SELECT n, 5000, 0 FROM generate_series(1, {accounts}) n;
GRANT USAGE ON SCHEMA bench TO tallystick_app;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA bench TO tallystick_app;
"""
FLOOR = (
    "WITH a AS (UPDATE bench.accounts SET balance = balance - {amount}, seq = seq + 1 WHERE account_id = {account}"
    " RETURNING account_id, seq, balance)"
    " INSERT INTO bench.entries SELECT account_id, seq, -{amount}::bigint, balance, {key}, clock_timestamp() FROM a"
    " RETURNING seq"
)
SPEND = (
    "SELECT replayed, (entry).* FROM ledger.spend({account}, {amount}, {key}, '\\x00', 'bench', 'api-call',"
    " {amount}, false, '', NULL, '{{}}', NULL, NULL)"
)
_BINDINGS = {"account": "%(account)s::bigint", "amount": "%(amount)s::bigint", "key": "%(key)s::text"}


def sql_client(url: str, statement: str, lowest: int, highest: int, begin: float, end: float) -> bytes:
    """Calls `statement` on random accounts, each call a database transaction of its own."""
    clock = Clock(begin, end)
    chance = random.Random()
    name = uuid4().hex
    query = statement.format(**_BINDINGS).encode()
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        cursor = connection.cursor()
        number = 0
        while clock.goes_on():
            number += 1
            given = {
                "account": chance.randint(lowest, highest),
                "amount": chance.randint(1, 5),
                "key": f"{name}-{number}",
            }
            started = time.time()
            cursor.execute(query, given)
            cursor.fetchone()
            clock.note(started)
    return clock.seen.tobytes()


def http_clients(port: int, secret: str, prefix: str, accounts: int, threads: int, begin: float, end: float) -> bytes:
    """`threads` clients, each with a connection that it keeps, spending on random accounts through the API."""
    clocks = [Clock(begin, end) for _ in range(threads)]
    running = [threading.Thread(target=_http_client, args=(port, secret, prefix, accounts, clock)) for clock in clocks]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return b"".join(clock.seen.tobytes() for clock in clocks)


def _http_client(port: int, secret: str, prefix: str, accounts: int, clock: Clock) -> None:
    """Bare sockets: a client library would take the processor from the server that it measures."""
    chance = random.Random()
    name = uuid4().hex
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = 0
        while clock.goes_on():
            number += 1
            body = json.dumps(
                {
                    "account": f"{prefix}{chance.randint(1, accounts)}",
                    "amount": chance.randint(1, 5),
                    "description": "bench",
                }
            ).encode()
            head = (
                f"POST /api/v1/spends HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n"
                f"Idempotency-Key: {name}-{number}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            ).encode()
            started = time.time()
            connection.sendall(head + body)
            status = _read_answer(connection)
            assert status == 201, status
            clock.note(started)


def _read_answer(connection: socket.socket) -> int:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    lowered = head.lower()
    start = lowered.index(b"content-length:") + 15
    length = int(lowered[start:].split(b"\r\n", 1)[0])
    while len(body) < length:
        body += connection.recv(65_536)
    return int(head[9:12])
