"""What the benchmarks put into the tables is what the ledger would have written, but for the hashes."""

import time
from datetime import timedelta

import psycopg
from flask import Flask

from bench.accounts import make_accounts, make_old_holds
from bench.batches import FLOOR_MANY, SPEND_MANY, floor_arguments, spend_arguments
from bench.bulk import build_history, sweep
from bench.clients import FLOOR, FLOOR_TABLES, SPEND
from bench.holds import hold_client
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


def test_a_batch_and_its_floor_write_the_same_rows(fresh_database: TestServers) -> None:
    lowest, highest = make_accounts(fresh_database.superuser_url, prefix="b-", accounts=4, grants=2, credits=100)
    ids, amounts, keys = list(range(lowest, highest + 1)), [1, 2, 3, 4], ["a", "b", "c", "d"]
    with psycopg.connect(fresh_database.superuser_url, autocommit=True) as connection:
        connection.execute(FLOOR_TABLES.format(accounts=highest).encode())
    with psycopg.connect(fresh_database.database_url, autocommit=True) as connection:
        floor = connection.execute(FLOOR_MANY.encode(), floor_arguments(ids, amounts, keys)).fetchall()
        spent = connection.execute(SPEND_MANY.encode(), spend_arguments(ids, amounts, keys)).fetchall()
        balances = connection.execute("SELECT balance FROM ledger.accounts_v ORDER BY account_id").fetchall()
    assert len(floor) == len(spent) == 4
    assert balances == [(199,), (198,), (197,), (196,)]


def test_holds_of_a_benchmark_can_be_placed_and_captured(fresh_database: TestServers) -> None:
    where = make_accounts(fresh_database.superuser_url, prefix="b-", accounts=2, credits=1_000)
    make_old_holds(fresh_database.superuser_url, where=where, each=3)
    now = time.time()
    assert hold_client(fresh_database.database_url, True, *where, now, now + 0.2)
    with psycopg.connect(fresh_database.database_url, autocommit=True) as connection:
        query = "SELECT DISTINCT state FROM ledger.holds_v WHERE number > 3"
        assert connection.execute(query).fetchall() == [("captured",)]


def test_a_benchmark_sweeps_until_nothing_is_due(fresh_app: Flask, fresh_database: TestServers) -> None:
    make_accounts(
        fresh_database.superuser_url, prefix="due-", accounts=3, grants=1, credits=5, expires_in=timedelta(hours=-1)
    )
    run = sweep(fresh_app)
    assert len(run.chunks) == 1
    assert 0 < run.worked < run.seconds
    with psycopg.connect(fresh_database.database_url, autocommit=True) as connection:
        assert connection.execute("SELECT sum(balance) FROM ledger.accounts_v").fetchone() == (0,)


def test_the_history_that_is_proven_has_true_hashes(fresh_database: TestServers) -> None:
    build_history(fresh_database.database_url, entries=200)
    with psycopg.connect(fresh_database.database_url, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM ledger.entries_v").fetchone() == (200,)
        assert connection.execute("SELECT * FROM ledger.violations_v").fetchall() == []
