"""`python -m bench [--write]`, minutes: the floor, then spends over many accounts, one, HTTP and a long history."""

import argparse
from collections.abc import Callable

from bench import pgbench, report
from bench.accounts import make_accounts, settle
from bench.clients import FLOOR, FLOOR_TABLES, SPEND, http_clients, sql_client
from bench.measure import Round, median_of, new_pool, run_round
from bench.report import Line
from bench.servers import make_key, private_servers, web

CLIENTS = 8
HTTP_CLIENTS = 16
HTTP_PROCESSES = 2
ROUNDS = 3


def main(*, title: str = "make bench", accounts: int = 10_000, entries: int = 1_000_000) -> None:
    options = _options()
    machine = report.machine()
    print(machine, flush=True)
    if report.is_busy():
        print("This machine is busy with other work: what follows is noise.", flush=True)
    lines = measure(accounts=options.accounts or accounts, entries=options.entries or entries, seconds=options.seconds)
    text = f"{machine}\n\n{report.table(lines)}"
    print("\n" + report.table(lines))
    if options.write:
        report.append(title, text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="append the result to docs/benchmarks.md")
    parser.add_argument("--accounts", type=int)
    parser.add_argument("--entries", type=int, help="of the account with the long history")
    parser.add_argument("--seconds", type=float, default=3, help="of each of the three rounds")
    return parser.parse_args()


def measure(*, accounts: int, entries: int, seconds: float) -> list[Line]:
    """All measurements on one PostgreSQL; the rounds of all cases take turns, so that noise hits them alike."""
    with private_servers() as servers, new_pool() as pool:
        print("building accounts …", flush=True)
        import psycopg

        with psycopg.connect(servers.superuser_url) as connection:
            connection.execute(FLOOR_TABLES.format(accounts=accounts).encode())
        many = make_accounts(servers.superuser_url, prefix="many-", accounts=accounts)
        hot = make_accounts(servers.superuser_url, prefix="hot-", accounts=1, credits=10**9)
        long = make_accounts(
            servers.superuser_url, prefix="long-", accounts=1, grants=1_000, credits=10**9, spends=entries
        )
        settle(servers.superuser_url)
        secret = make_key(servers)
        url = servers.database_url

        def by_driver(statement: str, where: tuple[int, int]) -> Callable[[], Round]:
            return lambda: run_round(pool, sql_client, [(url, statement, *where)] * CLIENTS, seconds=seconds)

        def by_pgbench(spend: bool, where: tuple[int, int]) -> Callable[[], Round]:
            return lambda: pgbench.run(
                url, spend=spend, lowest=where[0], highest=where[1], clients=CLIENTS, seconds=seconds
            )

        cases = {
            "floor": by_driver(FLOOR, (1, accounts)),
            "hot floor": by_driver(FLOOR, (1, 1)),
            "many": by_driver(SPEND, many),
            "hot": by_driver(SPEND, hot),
            "long": by_driver(SPEND, long),
        }
        if pgbench.program():
            cases["pgbench floor"] = by_pgbench(False, (1, accounts))
            cases["pgbench hot floor"] = by_pgbench(False, (1, 1))
            cases["pgbench many"] = by_pgbench(True, many)
            cases["pgbench hot"] = by_pgbench(True, hot)
            cases["pgbench long"] = by_pgbench(True, long)
        with web(servers) as port:
            each = (port, secret, "many-", accounts, HTTP_CLIENTS // HTTP_PROCESSES)
            cases["http"] = lambda: run_round(pool, http_clients, [each] * HTTP_PROCESSES, seconds=seconds)
            found: dict[str, list[Round]] = {name: [] for name in cases}
            for number in range(ROUNDS):
                for name, run in cases.items():
                    found[name].append(run())
                    print(f"round {number + 1} {name}: {found[name][-1].per_second:,.0f}/s", flush=True)
    return lines_of({name: median_of(rounds) for name, rounds in found.items()}, accounts=accounts, entries=entries)


def lines_of(found: dict[str, Round], *, accounts: int, entries: int) -> list[Line]:
    lines = _lines_by(found, "", "psycopg", accounts=accounts, entries=entries)
    http = f"`POST /api/v1/spends`, {accounts:,} accounts, granian"
    lines.append(Line(http, HTTP_CLIENTS, found["http"], found["floor"]))
    if "pgbench floor" in found:
        lines += _lines_by(found, "pgbench ", "pgbench", accounts=accounts, entries=entries)
    return lines


def _lines_by(found: dict[str, Round], prefix: str, driver: str, *, accounts: int, entries: int) -> list[Line]:
    floor, hot_floor = found[f"{prefix}floor"], found[f"{prefix}hot floor"]
    hot, history = found[f"{prefix}hot"], f"{entries:,} entries and 1,000 open grants"
    return [
        Line(f"floor: one UPDATE and one INSERT in one statement, {accounts:,} accounts, {driver}", CLIENTS, floor),
        Line(f"`ledger.spend`, {accounts:,} accounts of 5 grants, {driver}", CLIENTS, found[f"{prefix}many"], floor),
        Line(f"floor on one account, {driver}", CLIENTS, hot_floor, floor),
        Line(f"`ledger.spend`, one account of 5 grants, {driver}", CLIENTS, hot, hot_floor, "floor on one account"),
        Line(f"the same with {history}, {driver}", CLIENTS, found[f"{prefix}long"], hot, "line above"),
    ]


if __name__ == "__main__":
    main()
