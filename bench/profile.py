"""`python -m bench.profile`: processor time of one call, in the server's process alone, and of a request in the web's.

Rates on a busy machine say more about the machine; processor time of a process does not count what others use.
"""

import argparse
import cProfile
import os
import pstats
import random
import time
from pathlib import Path
from uuid import uuid4

import psycopg

from bench.accounts import make_accounts, settle
from bench.batches import FLOOR_MANY, SIZE, SPEND_MANY, floor_arguments, spend_arguments
from bench.clients import FLOOR, FLOOR_TABLES, SPEND
from bench.requests import FEATURE
from bench.servers import environment_of, make_key, private_servers

_TICK = os.sysconf("SC_CLK_TCK")
_BINDINGS = {"account": "%(account)s::bigint", "amount": "%(amount)s::bigint", "key": "%(key)s::text"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=8_000)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--only-request", action="store_true", help="leave the statements out")
    options = parser.parse_args()
    with private_servers() as servers:
        with psycopg.connect(servers.superuser_url) as connection:
            connection.execute(FLOOR_TABLES.format(accounts=10_000).encode())
        many = make_accounts(servers.superuser_url, prefix="many-", accounts=10_000)
        hot = make_accounts(servers.superuser_url, prefix="hot-", accounts=1, credits=10**9)
        long = make_accounts(
            servers.superuser_url, prefix="long-", accounts=1, grants=1_000, credits=10**9, spends=options.entries
        )
        settle(servers.superuser_url)
        if options.only_request:
            profile_request(servers)
            return
        url, calls = servers.database_url, options.calls
        for name, statement, where in (
            ("floor", FLOOR, (1, 10_000)),
            ("spend, many accounts", SPEND, many),
            ("spend, one account", SPEND, hot),
            ("spend, one account with a long history", SPEND, long),
        ):
            print(f"{name:45} {backend_microseconds(url, statement, where, calls=calls):8.0f} µs", flush=True)
        for name, spends in (("floor, batches of 1,000", False), ("spend_many, batches of 1,000", True)):
            print(f"{name:45} {batch_microseconds(url, spends, many):8.1f} µs a spend", flush=True)
        profile_request(servers)


def batch_microseconds(url: str, spends: bool, where: tuple[int, int], *, batches: int = 40) -> float:
    """The same for each spend of a batch."""
    query, arguments = (SPEND_MANY, spend_arguments) if spends else (FLOOR_MANY, floor_arguments)
    name = uuid4().hex
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        cursor = connection.cursor()

        def call(number: int) -> None:
            ids = random.sample(range(where[0], where[1] + 1), SIZE)
            keys = [f"{name}-{number}-{place}" for place in range(SIZE)]
            cursor.execute(query.encode(), arguments(ids, [1] * SIZE, keys))

        for number in range(8):
            call(number)
        before = _ticks(connection.info.backend_pid)
        for number in range(8, 8 + batches):
            call(number)
        return (_ticks(connection.info.backend_pid) - before) / _TICK / batches / SIZE * 1e6


def backend_microseconds(url: str, statement: str, where: tuple[int, int], *, calls: int) -> float:
    """Processor time that the server's process for one connection spends on a call."""
    lowest, highest = where
    query, name = statement.format(**_BINDINGS).encode(), uuid4().hex
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        cursor = connection.cursor()

        def call(number: int) -> None:
            account = lowest + number * 7919 % (highest - lowest + 1)
            cursor.execute(query, {"account": account, "amount": 1 + number % 5, "key": f"{name}-{number}"})

        for number in range(500):
            call(number)
        before = _ticks(connection.info.backend_pid)
        for number in range(500, 500 + calls):
            call(number)
        return (_ticks(connection.info.backend_pid) - before) / _TICK / calls * 1e6


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def profile_request(servers: object, *, requests: int = 1_500) -> None:
    """Processor time of one POST /api/v1/spends in the web's own process, and where it goes."""
    import structlog

    from bench.servers import Servers
    from webapp import create_app
    from webapp.config import Settings

    assert isinstance(servers, Servers)
    secret = make_key(servers)
    app = create_app(Settings.from_environment(environment_of(servers, port=8000)))
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(open(os.devnull, "w")))  # noqa: SIM115
    from werkzeug.test import EnvironBuilder, run_wsgi_app

    def ask(number: int) -> None:
        body = {"account": f"many-{1 + number % 200}", "feature": FEATURE, "quantity": 1}
        headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": f"{uuid4().hex}"}
        environ = EnvironBuilder("/api/v1/spends", method="POST", json=body, headers=headers).get_environ()
        environs.append(environ)

    environs: list[dict[str, object]] = []
    for number in range(2 * requests + 100):
        ask(number)

    def serve(count: int) -> None:
        for _ in range(count):
            content, status, _headers = run_wsgi_app(app.wsgi_app, environs.pop())
            b"".join(content)
            assert status.startswith("201"), status

    serve(100)
    before = time.process_time()
    serve(requests)
    each = (time.process_time() - before) / requests * 1e6
    print(f"{'POST /api/v1/spends, the web process alone':45} {each:8.0f} µs", flush=True)
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(serve, requests)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
