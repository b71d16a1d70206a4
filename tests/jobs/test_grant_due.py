"""The monthly grants as a job: progress, one line, whatever cuts it off, and what becomes of missed months."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from rq.job import Job
from structlog.testing import capture_logs

from jobs import grant_due as job
from jobs import progress
from jobs.run_periodic import run_periodic
from tests.billing.entitled import take_free
from tests.billing.plans import Member, assert_ledger_sound, book_expired, make_member
from tests.billing.shop import at_once
from tests.conftest import TestServers
from tests.jobs.cutting import killed_at
from webapp import clock, ledger, outbox
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work
from webapp.extensions import db

OUTAGE = timedelta(days=200)


def pass_time(app: Flask, by: timedelta) -> None:
    with app.app_context():
        with unit_of_work() as session:
            ledger.advance_clock(session, by=by)
        clock.follow(db.session(), movable=True, at_once=True)


def let_pass(app: Flask) -> dict[str, int]:
    pass_time(app, OUTAGE)
    with app.app_context():
        return run_periodic("grant_due")


@pytest.fixture
def members(fresh_app: Flask) -> list[Member]:
    """Five people on the free plan who are due their second month."""
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    members = [make_member(fresh_app) for _ in range(5)]
    for member in members:
        take_free(member)
    pass_time(fresh_app, timedelta(days=31))
    return members


def months_of(members: list[Member]) -> list[int]:
    return [len(member.periods()) for member in members]


def test_a_run_goes_chunk_by_chunk_tells_its_progress_and_logs_one_line(
    fresh_app: Flask, members: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(job, "CHUNK", 2)
    monkeypatch.setattr(Job, "save_meta", lambda self: told.append(dict(self.meta["counts"])))
    monkeypatch.setattr(progress, "get_current_job", lambda: Job(connection=fresh_app.extensions["redis"]))
    with fresh_app.app_context(), capture_logs() as logs:
        run_periodic("grant_due")
    assert [counts["periods"] for counts in told] == [2, 4, 5]
    [line] = [log for log in logs if log["event"] == "periodic_job_ran"]
    assert (line["job"], line["n_chunks"], line["n_periods"]) == ("grant_due", 3, 5)
    assert months_of(members) == [2] * 5
    with fresh_app.app_context():
        assert run_periodic("grant_due") == {}


def test_killed_at_any_point_it_goes_on_and_grants_each_month_once(
    fresh_app: Flask, members: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CHUNK", 2)
    month, number, killed = 1, 1, True
    while killed:
        with killed_at(fresh_app, number) as seen, fresh_app.app_context():
            job.grant_due()
        killed = seen[0] >= number
        assert all(len(member.grants()) == len(member.periods()) for member in members)
        with fresh_app.app_context():
            job.grant_due()
        month += 1
        assert months_of(members) == [month] * 5, f"killed at statement {number}"
        pass_time(fresh_app, timedelta(days=31))
        number += 4
    assert number > 20
    book_expired(fresh_app)
    assert_ledger_sound(fresh_app)


def test_two_at_once_share_what_is_due(
    fresh_app: Flask, members: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CHUNK", 1)

    def run() -> None:
        with fresh_app.app_context():
            job.grant_due()

    at_once([run] * 3)
    run()
    assert months_of(members) == [2] * 5
    assert [len(member.grants()) for member in members] == [2] * 5
    assert_ledger_sound(fresh_app)


@pytest.mark.parametrize("at_once_at_most", [4, 5])
def test_mails_of_a_big_chunk_are_left_to_the_sweeper(
    fresh_app: Flask, members: list[Member], monkeypatch: pytest.MonkeyPatch, at_once_at_most: int
) -> None:
    monkeypatch.setattr(outbox, "HANDED_AT_ONCE", at_once_at_most)
    handed: list[tuple[int, str]] = []
    monkeypatch.setitem(fresh_app.extensions, "enqueue", handed.extend)
    with fresh_app.app_context():
        job.grant_due()
        assert len(handed) == (5 if at_once_at_most == 5 else 0)
        handed.clear()
        with unit_of_work() as session:
            outbox.sweep(session)
    assert [name for _, name in handed] == ["send_mail"] * (0 if at_once_at_most == 5 else 5)
    assert months_of(members) == [2] * 5


# ---------------------------------------------------------------- missed months


def test_every_missed_month_is_granted_and_what_is_over_has_expired(
    make_app: Callable[..., Flask], fresh_database: TestServers
) -> None:
    app = make_app(fresh_database)
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    member = make_member(app)
    take_free(member)
    assert let_pass(app)["periods"] == 6
    assert [row.credits for row in member.periods()] == [100] * 7
    assert [left for _, _, left, _ in member.grants()] == [0] * 6 + [100]
    assert_ledger_sound(app)


def test_with_catch_up_latest_only_the_free_month_that_runs_is_granted(
    make_app: Callable[..., Flask], fresh_database: TestServers
) -> None:
    app = make_app(fresh_database, CATCH_UP="latest")
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    member = make_member(app)
    take_free(member)
    assert let_pass(app)["periods"] == 6
    assert [row.credits for row in member.periods()] == [100, 0, 0, 0, 0, 0, 100]
    assert [left for _, _, left, _ in member.grants()] == [0, 100]
    assert let_pass(app)["periods"] == 7
    assert_ledger_sound(app)
