"""Double entry: each entry has its two sides, and what the house accounts say is what the accounts have."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import create_engine

from tests.conftest import TestServers
from tests.ledger import full_history
from tests.ledger.conftest import new_clocked_database
from tests.ledger.database_account import DatabaseAccount
from webapp.database import sqlalchemy_url


@pytest.fixture(scope="module")
def servers(server_addresses: object) -> TestServers:
    """A database of their own: the trial balance is about all accounts."""
    return new_clocked_database(server_addresses)


@pytest.fixture(scope="module")
def account(servers: TestServers) -> Iterator[DatabaseAccount]:
    engine = create_engine(sqlalchemy_url(servers.database_url))
    yield full_history.live(engine)
    engine.dispose()


def trial_balance(account: DatabaseAccount) -> dict[str, int]:
    return {row[0]: int(row[1]) for row in account.read("SELECT ledger_account, balance FROM ledger.trial_balance_v")}


def test_what_came_in_by_each_house_account_is_where_it_went(account: DatabaseAccount) -> None:
    assert trial_balance(account) == {
        "sales": -100,
        "promotions": -(50 + 30 + 60 + 7),
        "rollover": -10,  # of what had become breakage
        "usage": 15 + 40 - 10 + 3,  # a capture is a spend
        "breakage": 22,
        "refunds": 48,
        "grants": sum(grant.remaining for grant in account.grants.values()),
        "debt": 0,
    }


def test_the_trial_balance_is_zero_whatever_happens(account: DatabaseAccount) -> None:
    assert sum(trial_balance(account).values()) == 0
    now = full_history.END
    account.set_overdraft_limit(now=now, limit=500)
    account.spend(now=now, amount=450)
    assert trial_balance(account)["debt"] < 0
    assert sum(trial_balance(account).values()) == 0
    account.void(now=now, number=full_history.OPEN)
    account.grant(now=now, amount=1000)
    assert trial_balance(account)["debt"] == 0
    assert sum(trial_balance(account).values()) == 0


def test_each_entry_has_two_sides(account: DatabaseAccount) -> None:
    rows = account.read(
        "SELECT seq, count(*), sum(amount) FROM ledger.postings_v WHERE account_id = :account_id GROUP BY 1"
    )
    assert len(rows) == len(account.entries)
    assert {(row[1], int(row[2])) for row in rows} == {(2, 0)}


def test_the_trial_balance_shows_credits_that_came_from_nowhere(account: DatabaseAccount, servers: TestServers) -> None:
    with psycopg.connect(servers.superuser_url, autocommit=True) as superuser:
        superuser.execute("UPDATE ledger.grants SET remaining = remaining + 5, open = true WHERE grant_id = 10")
        assert sum(trial_balance(account).values()) == 5
        superuser.execute(
            "UPDATE ledger.grants SET remaining = remaining - 5, open = remaining > 5 WHERE grant_id = 10"
        )
    assert sum(trial_balance(account).values()) == 0


def test_an_empty_ledger_is_in_balance(fresh_database: TestServers) -> None:
    with psycopg.connect(fresh_database.database_url) as connection:
        rows = connection.execute("SELECT ledger_account, balance FROM ledger.trial_balance_v").fetchall()
    assert rows == [("grants", 0), ("debt", 0)]
