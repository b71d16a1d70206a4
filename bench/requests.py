"""Clients of the API: single spends and batches of a thousand, each client over a connection that it keeps."""

import random
import socket
import threading
import time
from collections.abc import Callable
from uuid import uuid4

from bench.measure import Clock

BATCH = 1_000
FEATURE = "api-call"

# What to send next, by a name that is used once.
Make = Callable[[random.Random, str], bytes]


def spend_clients(
    port: int, secret: str, plain: bool, prefix: str, accounts: int, threads: int, begin: float, end: float
) -> bytes:
    """`threads` clients that spend on random accounts: by the rate card, or at the `plain` endpoint an amount."""

    def make(chance: random.Random, name: str) -> bytes:
        account, amount = f"{prefix}{chance.randint(1, accounts)}", chance.randint(1, 5)
        if plain:
            body = f'{{"account":"{account}","amount":{amount},"description":"bench"}}'
        else:
            body = f'{{"account":"{account}","feature":"{FEATURE}","quantity":{amount}}}'
        return _post("/api/v1/spends", body.encode(), secret, f"Idempotency-Key: {name}\r\n")

    return _clients(port, make, threads, 201, begin, end)


def batch_clients(port: int, secret: str, prefix: str, accounts: int, begin: float, end: float) -> bytes:
    """One client that sends batches of spends on random accounts, each account once in a batch."""
    every = [f"{prefix}{number}" for number in range(1, accounts + 1)]

    def make(chance: random.Random, name: str) -> bytes:
        items = (
            f'{{"account":"{account}","feature":"{FEATURE}","quantity":{chance.randint(1, 5)},'
            f'"idempotency_key":"{name}-{place}"}}'
            for place, account in enumerate(chance.sample(every, min(BATCH, accounts)))
        )
        return _post("/api/v1/spends/batch", f'{{"items":[{",".join(items)}]}}'.encode(), secret, "")

    return _clients(port, make, 1, 200, begin, end)


def _post(path: str, body: bytes, secret: str, headers: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n{headers}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _clients(port: int, make: Make, threads: int, status: int, begin: float, end: float) -> bytes:
    clocks = [Clock(begin, end) for _ in range(threads)]
    running = [threading.Thread(target=_client, args=(port, make, status, clock)) for clock in clocks]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return b"".join(clock.seen.tobytes() for clock in clocks)


def _client(port: int, make: Make, expected: int, clock: Clock) -> None:
    """Bare sockets: a client library would take the processor from the server that it measures."""
    chance = random.Random()
    name = uuid4().hex
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = 0
        while clock.goes_on():
            number += 1
            request = make(chance, f"{name}-{number}")
            started = time.time()
            connection.sendall(request)
            status = read_answer(connection)
            assert status == expected, status
            clock.note(started)


def read_answer(connection: socket.socket) -> int:
    """The status of the next answer, read whole."""
    received = connection.recv(65_536)
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    lowered = head.lower()
    start = lowered.index(b"content-length:") + 15
    length = int(lowered[start:].split(b"\r\n", 1)[0])
    missing = length - len(body)
    while missing > 0:
        missing -= len(connection.recv(1 << 20))
    return int(head[9:12])
