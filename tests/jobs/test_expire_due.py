"""The sweep as a job: whatever its runs are cut into, each expiry is booked once."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from rq.job import Job
from structlog.testing import capture_logs

from jobs import expire_due as job
from jobs import progress
from jobs.run_periodic import run_periodic
from tests.billing.shop import at_once
from tests.conftest import TestServers
from tests.jobs.cutting import killed_at
from webapp import ledger
from webapp.database import unit_of_work


@pytest.fixture
def due_ids(fresh_app: Flask, fresh_database: TestServers) -> list[int]:
    """Five accounts, each with one grant that has just expired."""
    with fresh_app.app_context(), unit_of_work() as session:
        expires_at = ledger.now(session) + timedelta(hours=1)
        ids = [ledger.open_account(session, external_id=f"due-{uuid4()}")[0].account_id for _ in range(5)]
        items = [
            ledger.GrantItem(account_id=one, amount=3, source="s", actor="test", expires_at=expires_at) for one in ids
        ]
        ledger.grant_many(session, items=items)
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("SELECT ledger.advance_clock('2 hours')")
    return ids


def run(app: Flask) -> list[Any]:
    with app.app_context(), capture_logs() as logs:
        run_periodic("expire_due")
    return [log for log in logs if log["event"] == "periodic_job_ran" and log["log_level"] == "info"]


def expired_of(app: Flask, ids: list[int]) -> list[int]:
    """How many expiries are booked of each account."""
    with app.app_context(), unit_of_work() as session:
        return [len(ledger.entries(session, account_id=one, kinds=["expire"]).entries) for one in ids]


@pytest.mark.usefixtures("due_ids")
def test_the_sweep_goes_chunk_by_chunk_and_says_once_what_it_booked(
    fresh_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CHUNK", 2)
    [line] = run(fresh_app)
    assert (line["n_chunks"], line["n_accounts"], line["n_entries"]) == (3, 5, 5)
    assert run(fresh_app) == []


def test_a_sweep_that_was_cut_off_is_finished_by_the_next(
    fresh_app: Flask, due_ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CHUNK", 2)
    with fresh_app.app_context():
        assert job.expire_chunk() == {"accounts": 2, "entries": 2}
    [line] = run(fresh_app)
    assert line["n_entries"] == 3
    with fresh_app.app_context(), unit_of_work() as session:
        assert [ledger.balance(session, account_id=one).balance for one in due_ids] == [0] * 5


@pytest.mark.usefixtures("due_ids")
def test_its_progress_is_told_after_each_chunk(fresh_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(job, "CHUNK", 2)
    monkeypatch.setattr(Job, "save_meta", lambda self: told.append(dict(self.meta["counts"])))
    monkeypatch.setattr(progress, "get_current_job", lambda: Job(connection=fresh_app.extensions["redis"]))
    run(fresh_app)
    assert [counts["accounts"] for counts in told] == [2, 4, 5]


@pytest.mark.parametrize("number", range(1, 8))
def test_killed_at_any_point_it_goes_on_and_books_each_expiry_once(
    fresh_app: Flask, due_ids: list[int], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(job, "CHUNK", 2)
    with killed_at(fresh_app, number), fresh_app.app_context():
        job.expire_due()
    run(fresh_app)
    assert expired_of(fresh_app, due_ids) == [1] * 5


def test_two_at_once_share_the_accounts(fresh_app: Flask, due_ids: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "CHUNK", 1)

    def sweep() -> None:
        with fresh_app.app_context():
            job.expire_due()

    at_once([sweep] * 3)
    sweep()
    assert expired_of(fresh_app, due_ids) == [1] * 5


def test_the_sweep_lapses_holds_whose_deadline_has_passed(fresh_app: Flask, fresh_database: TestServers) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        account_id = ledger.open_account(session, external_id=f"held-{uuid4()}")[0].account_id
        ledger.grant(session, account_id=account_id, amount=10, source="s", actor="test")
        ledger.place_hold(session, account_id=account_id, amount=4, idempotency_key="h", actor="test")
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("SELECT ledger.advance_clock('20 minutes')")
        [line] = run(fresh_app)
        assert line["n_accounts"] == 1
        assert owner.execute("SELECT state FROM ledger.holds WHERE account_id = %s", [account_id]).fetchall() == [
            ("lapsed",)
        ]
    with fresh_app.app_context(), unit_of_work() as session:
        found = ledger.balance(session, account_id=account_id)
        assert (found.balance, found.held, found.available) == (10, 0, 10)
    assert run(fresh_app) == []
