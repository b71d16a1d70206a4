"""What the benchmarks put into the tables is what the ledger would have written, but for the hashes."""

import psycopg

from bench.accounts import make_accounts
from bench.clients import FLOOR, FLOOR_TABLES, SPEND
from tests.conftest import TestServers

BINDINGS = {"account": "%(account)s::bigint", "amount": "%(amount)s::bigint", "key": "%(key)s::text"}


def test_accounts_made_for_a_benchmark_break_no_invariant_and_can_spend(fresh_database: TestServers) -> None:
    lowest, highest = make_accounts(
        fresh_database.superuser_url, prefix="b-", accounts=3, grants=2, credits=100, spends=5
    )
    assert highest - lowest == 2
    with psycopg.connect(fresh_database.database_url, autocommit=True) as connection:
        given = {"account": lowest, "amount": 150, "key": "k"}
        row = connection.execute(SPEND.format(**BINDINGS).encode(), given).fetchone()
        assert row is not None
        assert row[0] is False
        balances = connection.execute("SELECT balance, seq FROM ledger.accounts_v ORDER BY account_id").fetchall()
        assert balances == [(50, 8), (200, 7), (200, 7)]
        broken = connection.execute("SELECT DISTINCT detail FROM ledger.violations_v").fetchall()
    assert all("hash" in detail for (detail,) in broken), broken


def test_the_floor_is_one_update_and_one_insert(fresh_database: TestServers) -> None:
    with psycopg.connect(fresh_database.superuser_url, autocommit=True) as connection:
        connection.execute(FLOOR_TABLES.format(accounts=2).encode())
    with psycopg.connect(fresh_database.database_url, autocommit=True) as connection:
        for number in (1, 2):
            row = connection.execute(
                FLOOR.format(**BINDINGS).encode(), {"account": 1, "amount": 5, "key": f"k{number}"}
            ).fetchone()
            assert row == (number,)
