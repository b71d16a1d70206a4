"""`flask ledger verify`: what it says and how it exits."""

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import psycopg
import pytest
from click.testing import Result
from flask import Flask

from tests.conftest import TestServers
from webapp import ledger
from webapp.database import unit_of_work
from webapp.ledger.proof import parallel, ranges, reading

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
    assert result.output == "every invariant holds: 1 account, 1 grant, 2 entries, 0 seals\n"


def test_one_account_can_be_verified_alone(run: Run, external_id: str) -> None:
    assert run("--account", external_id).output == "every invariant holds: 1 account, 1 grant, 2 entries, 0 seals\n"


def test_an_unknown_account_is_a_usage_error(run: Run, external_id: str) -> None:
    result = run("--account", "nobody")
    assert result.exit_code == 2
    assert "there is no account 'nobody'" in result.output


def test_a_lie_exits_with_1_and_names_account_and_entry(run: Run, tampered: int, external_id: str) -> None:
    result = run()
    assert result.exit_code == 1
    assert f"invariant 4: account {tampered} ({external_id}) entry 2: " in result.output
    assert "every invariant holds" not in result.output


def test_the_report_can_be_read_by_a_program(run: Run, tampered: int, external_id: str) -> None:
    report = json.loads(run("--json").output)
    assert (report["holds"], report["accounts"], report["entries"]) == (False, 1, 2)
    assert (report["seals"], report["sealed_heads"], report["unknown_seal_keys"]) == (0, 0, [])
    assert report["seconds"] > 0
    assert {(f["account_id"], f["account"], f["seq"]) for f in report["findings"]} == {(tampered, external_id, 2)}
    assert {"invariant", "detail"} <= set(report["findings"][0])


def test_progress_is_shown_when_asked_for_and_not_in_the_report(run: Run, external_id: str) -> None:
    result = run("--json", "--progress")
    assert json.loads(result.stdout)["holds"] is True
    assert "entries" in result.stderr
    assert run("--no-progress").stderr == ""


def test_what_should_have_been_booked_long_ago_is_a_lie(run: Run, external_id: str, fresh_app: Flask) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        account = ledger.find_account(session, external_id=external_id)
        soon = ledger.now(session) + timedelta(seconds=1)
        ledger.grant(session, account_id=account.account_id, amount=1, source="test", actor="test", expires_at=soon)
        ledger.advance_clock(session, by=timedelta(hours=2))
    result = run()
    assert result.exit_code == 1
    assert "invariant 11" in result.output
    with fresh_app.app_context(), unit_of_work() as session:
        ledger.expire_account(session, account_id=account.account_id)
    assert run().exit_code == 0


def test_several_processes_find_what_one_finds(
    external_id: str, fresh_database: TestServers, tampered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = parallel.verify_all(fresh_database.owner_url, jobs=1)
    monkeypatch.setattr(parallel, "ENTRIES_WORTH_A_PROCESS", 1)
    done: list[int] = []
    together = parallel.verify_all(fresh_database.owner_url, jobs=2, progress=done.append)
    assert together == alone
    assert not alone.holds
    assert sum(done) == parallel.count_entries(fresh_database.owner_url)


def test_every_account_is_in_exactly_one_range(
    external_id: str, fresh_app: Flask, fresh_database: TestServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        for n in range(7):
            ledger.open_account(session, external_id=f"more-{n}")
    monkeypatch.setattr(ranges, "ACCOUNTS", 3)
    monkeypatch.setattr(ranges, "ENTRIES", 2)
    with parallel.connect(fresh_database.owner_url) as connection:
        found = [within for within, _ in ranges.ranges(connection)]
        rows = connection.execute("SELECT account_id FROM ledger.accounts_v").fetchall()
    assert found[0][0] == 0
    assert found[-1][1] == 2**63 - 1
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(found))
    assert len(found) > 3
    assert len(rows) == 8


def test_a_long_history_is_read_in_pieces(
    external_id: str, fresh_database: TestServers, tampered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = parallel.verify_all(fresh_database.owner_url, jobs=1)
    monkeypatch.setattr(reading, "SMALL", 0)
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 1)
    assert parallel.verify_all(fresh_database.owner_url, jobs=1) == whole
