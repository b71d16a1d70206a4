"""`python -m bench [--write] [--full]`, minutes: the floor, then spends, holds, batches, HTTP, expiry and the proof."""

import argparse

import psycopg

from bench import plain, report
from bench.bulk import expiry, verification
from bench.cases import WIDE_GRANTS, Case, build_accounts, http_cases, sql_cases
from bench.clients import FLOOR_TABLES
from bench.granting import granting
from bench.measure import Round, median_of, new_pool
from bench.report import Line
from bench.scans import sequential_scans
from bench.servers import Servers, make_key, private_servers, web
from bench.usage import usage

ROUNDS = 3
SHORT, FULL = 100_000, 1_000_000


def main(*, title: str = "make bench", accounts: int = 10_000, entries: int = 1_000_000, full: bool = False) -> None:
    options = _options()
    machine = report.machine()
    print(machine, flush=True)
    if report.is_busy():
        print("This machine is busy with other work: what follows is noise.", flush=True)
    if options.http:
        lines = through_http(accounts=options.accounts or accounts, seconds=options.seconds)
        report.tell("python -m bench --http", machine, report.table(lines), write=options.write)
        return
    bulk = options.bulk or (FULL if full or options.full else SHORT)
    lines, note = measure(
        accounts=options.accounts or accounts,
        entries=options.entries or entries,
        wide_grants=options.wide_grants,
        bulk=bulk,
        seconds=options.seconds,
    )
    report.tell(title, machine, f"{report.table(lines)}\n\n{note}", write=options.write)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="append the result to docs/benchmarks.md")
    parser.add_argument(
        "--full", action="store_true", help=f"expire and grant {FULL:,} times, and prove {FULL:,} entries"
    )
    parser.add_argument("--http", action="store_true", help="only what goes through HTTP, and its floors")
    parser.add_argument("--accounts", type=int)
    parser.add_argument("--entries", type=int, help="of the account with the long history")
    parser.add_argument("--wide-grants", type=int, default=WIDE_GRANTS, help="of each account with very many grants")
    parser.add_argument(
        "--bulk",
        type=int,
        help="how many grants expire, how many accounts are granted a month, how many entries are proven",
    )
    parser.add_argument("--seconds", type=float, default=3, help="of each of the three rounds")
    return parser.parse_args()


def measure(*, accounts: int, entries: int, wide_grants: int, bulk: int, seconds: float) -> tuple[list[Line], str]:
    """All lines, and what is to be said of the plans. The rounds of all cases take turns: noise hits them alike."""
    print("proving …", flush=True)
    with private_servers() as servers:
        proof = verification(servers, entries=bulk)
    with private_servers() as servers, new_pool() as pool:
        print("building accounts …", flush=True)
        with psycopg.connect(servers.superuser_url) as connection:
            connection.execute(FLOOR_TABLES.format(accounts=accounts).encode())
            connection.execute(plain.TABLES.format(prefix="many-", accounts=accounts).encode())
        built = build_accounts(servers, accounts=accounts, entries=entries, wide_grants=wide_grants)
        before = _scans(servers)
        cases = sql_cases(pool, servers, built, seconds=seconds, entries=entries, wide_grants=wide_grants)
        secret = make_key(servers)
        with web(servers) as port, web(servers, app=plain.SERVED) as plain_port:
            cases += http_cases(
                pool, port=port, plain_port=plain_port, secret=secret, accounts=accounts, seconds=seconds
            )
            found = _rounds(cases)
            print("queueing usage …", flush=True)
            alike = found["batch python"]
            queued = usage(pool, servers, port=port, secret=secret, accounts=accounts, seconds=seconds, floor=alike)
        note = note_on_scans(before, _scans(servers), servers=servers)
        print("expiring …", flush=True)
        expired = expiry(pool, servers, built.many, grants=bulk, seconds=seconds)
        print("granting …", flush=True)
        granted = granting(pool, servers, built.many, accounts=bulk, seconds=seconds)
    return [*lines_of(cases, found), *queued, *expired, *granted, *proof], note


def through_http(*, accounts: int, seconds: float) -> list[Line]:
    """Spends and batches of them through HTTP, the plain endpoint, and the floors of all."""
    with private_servers() as servers, new_pool() as pool:
        with psycopg.connect(servers.superuser_url) as connection:
            connection.execute(FLOOR_TABLES.format(accounts=accounts).encode())
            connection.execute(plain.TABLES.format(prefix="many-", accounts=accounts).encode())
        built = build_accounts(servers, accounts=accounts, entries=1_000, wide_grants=1)
        cases = sql_cases(pool, servers, built, seconds=seconds, entries=1_000, wide_grants=1)
        floors = [case for case in cases if case.name in ("floor", "batch floor")]
        secret = make_key(servers)
        with web(servers) as port, web(servers, app=plain.SERVED) as plain_port:
            own = http_cases(pool, port=port, plain_port=plain_port, secret=secret, accounts=accounts, seconds=seconds)
            return lines_of([*floors, *own], _rounds([*floors, *own]))


def _rounds(cases: list[Case]) -> dict[str, Round]:
    found: dict[str, list[Round]] = {case.name: [] for case in cases}
    for number in range(ROUNDS):
        for case in cases:
            found[case.name].append(case.run())
            print(f"round {number + 1} {case.name}: {found[case.name][-1].per_second:,.0f}/s", flush=True)
    return {name: median_of(rounds) for name, rounds in found.items()}


def lines_of(cases: list[Case], found: dict[str, Round]) -> list[Line]:
    return [
        Line(case.what, case.clients, found[case.name], found[case.floor] if case.floor else None, case.compared)
        for case in cases
    ]


def _scans(servers: Servers) -> dict[str, int]:
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        return sequential_scans(connection)


def note_on_scans(before: dict[str, int], after: dict[str, int], *, servers: Servers) -> str:
    """Says whether any call of the rounds read a whole table."""
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM ledger.entries").fetchone()
    assert row is not None
    grown = [f"{table} {after[table] - before[table]}" for table in after if after[table] > before[table]]
    return (
        f"Sequential scans of the ledger's tables while the rounds ran, {row[0]:,} entries in the end:"
        f" {', '.join(grown) or 'none'}."
    )


if __name__ == "__main__":
    main()
