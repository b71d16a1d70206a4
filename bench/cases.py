"""What is measured in rounds: each case with what it is compared with."""

from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.pool import Pool

from bench import pgbench, plain
from bench.accounts import make_accounts, make_old_holds, settle
from bench.batches import SIZE, batch_client, face_client, shares
from bench.clients import FLOOR, SPEND, sql_client
from bench.holds import hold_client
from bench.measure import Round, run_round
from bench.requests import BATCH, batch_clients, spend_clients
from bench.servers import Servers

CLIENTS = 8
HTTP_CLIENTS = 16
HTTP_PROCESSES = 2
BATCH_CLIENTS = 4
WIDE_ACCOUNTS = 100
WIDE_GRANTS = 10_000
HELD_BEFORE = 2

Range = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Case:
    """`run` measures one round of it; `floor` names the case that it is compared with."""

    name: str
    what: str
    run: Callable[[], Round]
    clients: int = CLIENTS
    floor: str = ""
    compared: str = "floor"


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """The ids, from and to, of the accounts that the cases use."""

    floor: Range
    many: Range
    hot: Range
    long: Range
    few: Range
    wide: Range


def build_accounts(servers: Servers, *, accounts: int, entries: int, wide_grants: int) -> Accounts:
    url = servers.superuser_url
    built = Accounts(
        floor=(1, accounts),
        many=make_accounts(url, prefix="many-", accounts=accounts),
        hot=make_accounts(url, prefix="hot-", accounts=1, credits=10**9),
        long=make_accounts(url, prefix="long-", accounts=1, grants=1_000, credits=10**9, spends=entries),
        few=make_accounts(url, prefix="few-", accounts=WIDE_ACCOUNTS),
        wide=make_accounts(url, prefix="wide-", accounts=WIDE_ACCOUNTS, grants=wide_grants),
    )
    make_old_holds(url, where=built.many, each=HELD_BEFORE)
    settle(url)
    return built


def sql_cases(
    pool: Pool, servers: Servers, built: Accounts, *, seconds: float, entries: int, wide_grants: int
) -> list[Case]:
    """The floor and single calls by the driver, batches, and the same single calls by pgbench when it is there."""
    url = servers.database_url
    accounts = f"{built.many[1] - built.many[0] + 1:,} accounts"

    def by_driver(statement: str, where: Range) -> Callable[[], Round]:
        return lambda: run_round(pool, sql_client, [(url, statement, *where)] * CLIENTS, seconds=seconds)

    def by_pgbench(spend: bool, where: Range) -> Callable[[], Round]:
        return lambda: pgbench.run(
            url, spend=spend, lowest=where[0], highest=where[1], clients=CLIENTS, seconds=seconds
        )

    def holding(capture: bool) -> Callable[[], Round]:
        return lambda: run_round(pool, hold_client, [(url, capture, *built.many)] * CLIENTS, seconds=seconds)

    cases = _single_calls("", "psycopg", by_driver(FLOOR, built.floor), by_driver(FLOOR, (1, 1)),
                          by_driver(SPEND, built.many), by_driver(SPEND, built.hot), by_driver(SPEND, built.long),
                          accounts=accounts, entries=entries)  # fmt: skip
    cases += [
        Case(
            name="few",
            what=f"`ledger.spend`, {WIDE_ACCOUNTS} accounts of 5 grants, psycopg",
            run=by_driver(SPEND, built.few),
            floor="floor",
        ),
        Case(
            name="wide",
            what=f"the same with {wide_grants:,} open grants each, psycopg",
            run=by_driver(SPEND, built.wide),
            floor="few",
            compared="line above",
        ),
        Case(
            name="place",
            what=f"`ledger.place_hold`, {accounts}, psycopg",
            run=holding(capture=False),
            floor="floor",
        ),
        Case(
            name="capture",
            what=f"`ledger.place_hold` and `ledger.capture_hold`, {accounts}, psycopg",
            run=holding(capture=True),
            floor="floor",
        ),
    ]
    cases += _batches(pool, url, built, seconds=seconds, accounts=accounts)
    if pgbench.program():
        cases += _single_calls("pgbench ", "pgbench", by_pgbench(False, built.floor), by_pgbench(False, (1, 1)),
                               by_pgbench(True, built.many), by_pgbench(True, built.hot), by_pgbench(True, built.long),
                               accounts=accounts, entries=entries)  # fmt: skip
    return cases


def _single_calls(
    prefix: str,
    driver: str,
    floor: Callable[[], Round],
    hot_floor: Callable[[], Round],
    many: Callable[[], Round],
    hot: Callable[[], Round],
    long: Callable[[], Round],
    *,
    accounts: str,
    entries: int,
) -> list[Case]:
    one = "floor on one account"
    return [
        Case(
            name=f"{prefix}floor",
            what=f"floor: one UPDATE and one INSERT in one statement, {accounts}, {driver}",
            run=floor,
        ),
        Case(
            name=f"{prefix}many",
            what=f"`ledger.spend`, {accounts} of 5 grants, {driver}",
            run=many,
            floor=f"{prefix}floor",
        ),
        Case(name=f"{prefix}hot floor", what=f"{one}, {driver}", run=hot_floor, floor=f"{prefix}floor"),
        Case(
            name=f"{prefix}hot",
            what=f"`ledger.spend`, one account of 5 grants, {driver}",
            run=hot,
            floor=f"{prefix}hot floor",
            compared=one,
        ),
        Case(
            name=f"{prefix}long",
            what=f"the same with {entries:,} entries and 1,000 open grants, {driver}",
            run=long,
            floor=f"{prefix}hot",
            compared="line above",
        ),
    ]


def _batches(pool: Pool, url: str, built: Accounts, *, seconds: float, accounts: str) -> list[Case]:
    """Spends by the thousand, each client on accounts of its own; per second are spends, latencies are of batches."""
    size = min(SIZE, (built.many[1] - built.many[0] + 1) // CLIENTS)

    def spends(batches: Round) -> Round:
        return Round(batches.per_second * size, batches.p50_ms, batches.p99_ms)

    def rounds(spend: bool, where: Range, *, apart: bool = True) -> Callable[[], Round]:
        parts = shares(where, CLIENTS) if apart else [where] * CLIENTS
        each = [(url, spend, size, *part) for part in parts]
        return lambda: spends(run_round(pool, batch_client, each, seconds=seconds))

    through_python = [(url, size, *part) for part in shares(built.many, CLIENTS)]
    return [
        Case(
            name="batch floor",
            what=f"floor: one UPDATE and one INSERT of {size:,} rows each in one statement, {accounts}, psycopg",
            run=rounds(False, built.floor),
        ),
        Case(
            name="batch",
            what=f"`ledger.spend_many` of {size:,}, {accounts}, psycopg; spends a second",
            run=rounds(True, built.many),
            floor="batch floor",
            compared="batched floor",
        ),
        Case(
            name="batch together",
            what="the same, all clients on the same accounts, so that batches wait for each other",
            run=rounds(True, built.many, apart=False),
            floor="batch floor",
            compared="batched floor",
        ),
        Case(
            name="batch python",
            what="the same through `webapp.ledger.spend_many`, entries as objects, accounts apart",
            run=lambda: spends(run_round(pool, face_client, through_python, seconds=seconds)),
            floor="batch floor",
            compared="batched floor",
        ),
    ]


def http_cases(pool: Pool, *, port: int, plain_port: int, secret: str, accounts: int, seconds: float) -> list[Case]:
    """The plain endpoint of bench.plain, single spends by the rate card, and batches of them."""

    def spends(port: int, secret: str, plain: bool) -> Callable[[], Round]:
        each = (port, secret, plain, "many-", accounts, HTTP_CLIENTS // HTTP_PROCESSES)
        return lambda: run_round(pool, spend_clients, [each] * HTTP_PROCESSES, seconds=seconds)

    def batches() -> Round:
        each = (port, secret, "many-", accounts)
        found = run_round(pool, batch_clients, [each] * BATCH_CLIENTS, seconds=seconds)
        return Round(found.per_second * min(BATCH, accounts), found.p50_ms, found.p99_ms)

    return [
        Case(
            name="http plain",
            what="a plain endpoint: SELECT the balance, UPDATE it, INSERT a line, commit; SQLAlchemy, Flask, granian",
            run=spends(plain_port, plain.SECRET, True),
            clients=HTTP_CLIENTS,
            floor="floor",
        ),
        Case(
            name="http",
            what=f"`POST /api/v1/spends` of a feature, {accounts:,} accounts, granian",
            run=spends(port, secret, False),
            clients=HTTP_CLIENTS,
            floor="http plain",
            compared="plain endpoint",
        ),
        Case(
            name="http batch",
            what=f"`POST /api/v1/spends/batch` of {BATCH:,}; spends a second, latencies of batches",
            run=batches,
            clients=BATCH_CLIENTS,
            floor="batch floor",
            compared="batched floor",
        ),
    ]
