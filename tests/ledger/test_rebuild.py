"""`flask ledger rebuild`: every cached figure can be lost, and comes back from the history."""

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import Engine, create_engine

from tests.conftest import TestServers
from tests.ledger import full_history
from tests.ledger.damage import past_every_guard
from tests.ledger.database_account import DatabaseAccount
from tests.ledger.full_history import BOUGHT, END, GIVEN, OPEN, REPAYING
from webapp.database import sqlalchemy_url
from webapp.ledger.rebuild import Rebuilt, rebuild
from webapp.ledger.verify import verify


@pytest.fixture(scope="module")
def account(clocked_servers: TestServers, clocked_engine: Engine) -> Iterator[DatabaseAccount]:
    account = full_history.live(clocked_engine)
    with past_every_guard(clocked_servers, account_id=account.account_id):
        yield account


def rebuilt(servers: TestServers, account: DatabaseAccount, *, write: bool = False) -> list[Rebuilt]:
    with psycopg.connect(servers.owner_url, autocommit=True) as owner:
        return list(rebuild(owner, account_id=account.account_id, now=END, write=write))


def damage(servers: TestServers, account: DatabaseAccount, table: str, change: str, where: str = "true") -> None:
    with psycopg.connect(servers.superuser_url, autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        changed = superuser.execute(
            f"UPDATE ledger.{table} SET {change} WHERE account_id = {account.account_id} AND {where}".encode()
        )
        assert changed.rowcount == 1


def findings(account: DatabaseAccount) -> list[str]:
    with account.engine.connect() as connection:
        return [each.detail for each in verify(connection, account_ids=[account.account_id]).findings]


def test_an_honest_account_has_no_differences(clocked_servers: TestServers, account: DatabaseAccount) -> None:
    assert rebuilt(clocked_servers, account) == []


FIGURES = [
    ("balance", None, "balance + 1"),
    ("held", None, "held + 1"),
    ("debt", None, "debt + 1"),
    ("seq", None, "seq - 1"),
    ("head", None, "sha256('')"),
    ("holds", None, "holds - 1"),
    ("booked_at", None, "booked_at + interval '1 day'"),
    ("due_at", None, "null"),
    ("due_at", None, "due_at + interval '1 day'"),
    ("waiting", None, "false"),
    ("remaining", REPAYING, "remaining + 1"),
    ("held", BOUGHT, "held - 1"),
    ("repaid", REPAYING, "repaid - 1"),
    ("expired", BOUGHT, "expired + 1"),
    ("revoked_taken", BOUGHT, "1"),
    ("revoked_as_debt", BOUGHT, "0"),
    ("frozen", GIVEN, "false"),
    ("burn_rank", GIVEN, "1 - burn_rank"),
]


@pytest.mark.parametrize(("figure", "grant_id", "wrong"), FIGURES)
def test_each_damaged_figure_is_named_and_mended(
    clocked_servers: TestServers, account: DatabaseAccount, figure: str, grant_id: int | None, wrong: str
) -> None:
    table, where = ("accounts", "true") if grant_id is None else ("grants", f"grant_id = {grant_id}")
    before = account.read(f"SELECT {figure} FROM ledger.{table}_v WHERE account_id = :account_id AND {where}")
    damage(clocked_servers, account, table, f"{figure} = {wrong}", where)
    assert findings(account) != []

    (shown,) = rebuilt(clocked_servers, account)
    assert [(each.figure, each.grant_id) for each in shown.differences] == [(figure, grant_id)]
    assert not shown.is_right
    (mended,) = rebuilt(clocked_servers, account, write=True)
    assert (mended.differences, mended.is_right) == (shown.differences, True)

    assert findings(account) == []
    assert rebuilt(clocked_servers, account) == []
    after = account.read(f"SELECT {figure} FROM ledger.{table}_v WHERE account_id = :account_id AND {where}")
    assert after == before


def test_all_figures_at_once_are_mended(clocked_servers: TestServers, account: DatabaseAccount) -> None:
    version = account.read("SELECT version FROM ledger.accounts_v WHERE account_id = :account_id")[0][0]
    for figure, grant_id, wrong in FIGURES:
        table, where = ("accounts", "true") if grant_id is None else ("grants", f"grant_id = {grant_id}")
        damage(clocked_servers, account, table, f"{figure} = {wrong}", where)
    (mended,) = rebuilt(clocked_servers, account, write=True)
    assert len(mended.differences) == len({(figure, grant_id) for figure, grant_id, _ in FIGURES})
    assert findings(account) == []
    after = account.read("SELECT version FROM ledger.accounts_v WHERE account_id = :account_id")[0][0]
    assert after == version + 1, "whoever shows the account must notice"


def test_nothing_is_rebuilt_from_a_history_that_contradicts_itself(
    clocked_servers: TestServers, account: DatabaseAccount
) -> None:
    damage(clocked_servers, account, "holds", "drawn_amounts = '{29}'", f"number = {OPEN}")
    for write in (False, True):
        (shown,) = rebuilt(clocked_servers, account, write=write)
        assert (bool(shown.findings), shown.written, shown.is_right) == (True, False, False)
    damage(clocked_servers, account, "holds", "drawn_amounts = '{30}'", f"number = {OPEN}")
    assert rebuilt(clocked_servers, account) == []


def test_a_rebuild_waits_for_whoever_writes_to_the_account(
    clocked_servers: TestServers, account: DatabaseAccount
) -> None:
    damage(clocked_servers, account, "accounts", "balance = balance + 1")
    with psycopg.connect(clocked_servers.owner_url) as other:
        other.execute("SELECT 1 FROM ledger.accounts WHERE account_id = %s FOR UPDATE", [account.account_id])
        options = "-c lock_timeout=1ms"
        with psycopg.connect(clocked_servers.owner_url, autocommit=True, options=options) as owner:
            asked = rebuild(owner, account_id=account.account_id, now=END, write=True)
            with pytest.raises(psycopg.errors.LockNotAvailable):
                next(asked)
    (mended,) = rebuilt(clocked_servers, account, write=True)
    assert mended.is_right


# -- the command ----------------------------------------------------------------------------------------------


@pytest.fixture
def run(fresh_app: Flask) -> Callable[..., Result]:
    return lambda *arguments: fresh_app.test_cli_runner().invoke(args=["ledger", "rebuild", *arguments])


@pytest.fixture
def simple(fresh_database: TestServers) -> DatabaseAccount:
    engine = create_engine(sqlalchemy_url(fresh_database.database_url))
    account = DatabaseAccount(engine, now=END)
    account.grant(now=END, amount=10)
    account.spend(now=END, amount=3)
    engine.dispose()
    return account


def test_the_command_shows_differences_exits_with_1_and_mends_with_write(
    run: Callable[..., Result], simple: DatabaseAccount, fresh_database: TestServers
) -> None:
    clean = run()
    assert (clean.exit_code, clean.output) == (0, "every figure is what the history leads to\n")
    damage(fresh_database, simple, "accounts", "balance = 8")
    damage(fresh_database, simple, "grants", "remaining = 8")
    shown = run()
    assert shown.exit_code == 1
    assert f"account {simple.account_id}: balance is 8, and by the history 7" in shown.output
    assert f"account {simple.account_id}: grant 1: remaining is 8, and by the history 7" in shown.output
    assert run("--account", simple.external_id).exit_code == 1
    report = json.loads(run("--json").output)
    assert (report["account_id"], report["written"]) == (simple.account_id, False)
    assert report["differences"][0] == {
        "figure": "balance",
        "grant_id": None,
        "stored": 8,
        "recomputed": 7,
        "mendable": True,
    }
    mended = run("--write")
    assert mended.exit_code == 0
    assert "all are right now" in mended.output
    assert run().exit_code == 0


def test_an_unknown_account_is_a_usage_error(run: Callable[..., Result], simple: DatabaseAccount) -> None:
    assert run("--account", "nobody").exit_code == 2
