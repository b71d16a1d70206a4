"""`python -m bench.processor`: processor time that each kind of process takes for one request, clients included.

On two cores 1,500 requests a second leave 1.33 ms for each, all processes together. Unlike rates, these figures move
little with what else the machine does; so compare them before and after a change.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from multiprocessing.pool import Pool

import psutil
import psycopg

from bench import plain
from bench.accounts import make_accounts, settle
from bench.cases import BATCH_CLIENTS, HTTP_PROCESSES
from bench.measure import new_pool
from bench.requests import BATCH, batch_clients, spend_clients
from bench.servers import Servers, make_key, private_servers, web

ACCOUNTS = 10_000
KINDS = ("web", "postgres", "redis", "clients")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=4, help="at once; few, since others may work here too")
    options = parser.parse_args()
    with private_servers() as servers, new_pool() as pool:
        with psycopg.connect(servers.superuser_url) as connection:
            connection.execute(plain.TABLES.format(prefix="many-", accounts=ACCOUNTS).encode())
        make_accounts(servers.superuser_url, prefix="many-", accounts=ACCOUNTS, credits=10**6)
        settle(servers.superuser_url)
        secret = make_key(servers)
        print(f"{'µs of processor':30}" + "".join(f"{kind:>10}" for kind in (*KINDS, "all", "ms")), flush=True)
        threads = max(1, options.clients // HTTP_PROCESSES)
        with web(servers) as port, web(servers, app=plain.SERVED) as plain_port:
            spends = [(port, secret, False, "many-", ACCOUNTS, threads)] * HTTP_PROCESSES
            plainly = [(plain_port, plain.SECRET, True, "many-", ACCOUNTS, threads)] * HTTP_PROCESSES
            batches = [(port, secret, "many-", ACCOUNTS)] * min(BATCH_CLIENTS, options.clients)
            for number in range(options.rounds + 1):
                seconds = options.seconds if number else 1.5  # the first warms up
                for what, client, each, size in (
                    ("a plain endpoint", spend_clients, plainly, 1),
                    ("POST /api/v1/spends", spend_clients, spends, 1),
                    ("POST /api/v1/spends/batch", batch_clients, batches, BATCH),
                ):
                    line = _measured(pool, servers, client, each, seconds=seconds, size=size)
                    if number:
                        print(f"{what:30}" + "".join(f"{figure:>10.1f}" for figure in line), flush=True)


def _measured(
    pool: Pool,
    servers: Servers,
    client: Callable[..., bytes],
    each: list[tuple[object, ...]],
    *,
    seconds: float,
    size: int,
) -> list[float]:
    """Microseconds a spend by kind and in sum, and the mean latency in ms."""
    before = _times(servers)
    begin = time.time()
    answers = pool.starmap(client, [(*one, begin, begin + seconds) for one in each], chunksize=1)
    after = _times(servers)
    spends = sum(len(answer) // 8 for answer in answers) * size
    used = [(after[kind] - before[kind]) / spends * 1e6 for kind in KINDS]
    return [*used, sum(used), (time.time() - begin) * sum(1 for _ in each) / spends * 1000]


def _times(servers: Servers) -> dict[str, float]:
    """Seconds of processor that the processes of each kind have used so far."""
    found = dict.fromkeys(KINDS, 0.0)
    for kind, process in _processes(servers):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        found[kind] += times.user + times.system + times.children_user + times.children_system
    return found


def _processes(servers: Servers) -> Iterator[tuple[str, psutil.Process]]:
    assert servers.postgres is not None
    assert servers.redis is not None
    for process in psutil.Process(os.getpid()).children(recursive=True):
        command = " ".join(process.cmdline())
        if "granian" in command:
            yield "web", process
        elif "redis" in command:
            yield "redis", process
        elif "postgres" in command:
            yield "postgres", process
        else:
            yield "clients", process


if __name__ == "__main__":
    main()
