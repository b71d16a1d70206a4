"""`flask ledger verify`: what it says and how it exits."""

import json
from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest
from click.testing import Result
from flask import Flask

from tests.conftest import TestServers
from webapp import ledger
from webapp.database import unit_of_work

Run = Callable[..., Result]


@pytest.fixture
def external_id(fresh_app: Flask) -> str:
    """An account with two entries, in a database of its own."""
    name = f"proven-{uuid4()}"
    with fresh_app.app_context(), unit_of_work() as session:
        account, _ = ledger.open_account(session, external_id=name)
        ids = {"account_id": account.account_id, "actor": "test"}
        ledger.grant(session, amount=10, source="test", **ids)  # type: ignore[arg-type]
        ledger.spend(session, amount=3, idempotency_key="k", **ids)  # type: ignore[arg-type]
    return name


@pytest.fixture
def run(fresh_app: Flask) -> Run:
    return lambda *arguments: fresh_app.test_cli_runner().invoke(args=["ledger", "verify", *arguments])


@pytest.fixture
def tampered(external_id: str, fresh_database: TestServers) -> int:
    """The account's id, after its spend was made smaller."""
    with psycopg.connect(fresh_database.superuser_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        row = connection.execute(
            "UPDATE ledger.entries e SET amount = -2 FROM ledger.accounts a"
            " WHERE a.account_id = e.account_id AND external_id = %s AND e.seq = 2 RETURNING a.account_id",
            [external_id],
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_an_honest_ledger_exits_with_0_and_says_what_was_counted(run: Run, external_id: str) -> None:
    result = run()
    assert result.exit_code == 0
    assert result.output == "every invariant holds: 1 account, 1 grant, 2 entries\n"


def test_one_account_can_be_verified_alone(run: Run, external_id: str) -> None:
    assert run("--account", external_id).output == "every invariant holds: 1 account, 1 grant, 2 entries\n"


def test_an_unknown_account_is_a_usage_error(run: Run, external_id: str) -> None:
    result = run("--account", "nobody")
    assert result.exit_code == 2
    assert "there is no account 'nobody'" in result.output


def test_a_lie_exits_with_1_and_names_account_and_entry(run: Run, tampered: int) -> None:
    result = run()
    assert result.exit_code == 1
    assert f"invariant 4: account {tampered} entry 2: " in result.output
    assert "every invariant holds" not in result.output


def test_the_report_can_be_read_by_a_program(run: Run, tampered: int) -> None:
    report = json.loads(run("--json").output)
    assert (report["holds"], report["accounts"], report["entries"]) == (False, 1, 2)
    assert {(f["account_id"], f["seq"]) for f in report["findings"]} >= {(tampered, 2)}
