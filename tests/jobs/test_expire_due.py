"""The sweep as a job: whatever its runs are cut into, each expiry is booked once."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from structlog.testing import capture_logs

from jobs import expire_due as job
from jobs.run_periodic import run_periodic
from tests.conftest import TestServers
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
        assert job.expire_chunk() == 2
    [line] = run(fresh_app)
    assert line["n_entries"] == 3
    with fresh_app.app_context(), unit_of_work() as session:
        assert [ledger.balance(session, account_id=one).balance for one in due_ids] == [0] * 5
