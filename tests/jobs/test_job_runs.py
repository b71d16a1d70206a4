"""What periodic jobs did is kept, and can be asked for."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from rq.job import Job
from sqlalchemy import select
from structlog.testing import capture_logs

from jobs import progress, run_periodic, tidy_job_runs
from jobs.schedule import Periodic
from webapp import clock
from webapp.database import unit_of_work
from webapp.job_runs import JobRun, begin_run, end_run


def counts_two() -> None:
    progress.count(rows=1, chunks=0)
    progress.count(rows=1)


def fails() -> None:
    progress.count(rows=3)
    raise ValueError("no such\x00 thing")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (Periodic(job=counts_two, every_seconds=60), Periodic(job=fails, every_seconds=60))
    monkeypatch.setattr(run_periodic, "SCHEDULE", rows)


def runs(app: Flask, name: str) -> list[JobRun]:
    with app.app_context(), unit_of_work() as session:
        found = list(session.scalars(select(JobRun).where(JobRun.name == name).order_by(JobRun.id)))
        session.expunge_all()
    return found


@pytest.mark.usefixtures("table")
def test_a_run_is_kept_with_its_counts_and_logged_in_one_line(fresh_app: Flask) -> None:
    with fresh_app.app_context(), capture_logs() as logs:
        assert run_periodic.run_periodic("counts_two") == {"rows": 2}
    [run] = runs(fresh_app, "counts_two")
    assert (run.outcome, run.counts, run.error) == ("done", {"rows": 2}, None)
    assert run.took is not None
    [line] = [log for log in logs if log.get("job") == "counts_two"]
    assert (line["event"], line["n_rows"]) == ("periodic_job_ran", 2)


@pytest.mark.usefixtures("table")
def test_a_run_that_failed_is_kept_with_the_reason_and_what_it_did_before(fresh_app: Flask) -> None:
    with fresh_app.app_context(), pytest.raises(ValueError, match="no such"):
        run_periodic.run_periodic("fails")
    [run] = runs(fresh_app, "fails")
    assert (run.outcome, run.counts, run.error) == ("failed", {"rows": 3}, "ValueError: no such thing")


@pytest.mark.usefixtures("table")
def test_a_job_is_due_when_it_never_ran_or_its_interval_is_over(fresh_app: Flask) -> None:
    with fresh_app.app_context():
        assert [one.name for one in run_periodic.due_jobs()] == ["counts_two", "fails"]
        run_periodic.run_periodic("counts_two")
        assert [one.name for one in run_periodic.due_jobs()] == ["fails"]
        with unit_of_work() as session:
            row = session.scalars(select(JobRun)).one()
            row.started_at -= timedelta(seconds=61)
        assert [one.name for one in run_periodic.due_jobs()] == ["counts_two", "fails"]


def test_progress_is_told_in_the_metadata_of_the_job(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    job = Job(id="x", connection=app.extensions["redis"])
    monkeypatch.setattr(Job, "save_meta", lambda self: told.append(self.meta["counts"]))
    monkeypatch.setattr(progress, "get_current_job", lambda: job)
    with progress.counting():
        counts_two()
    assert told == [{"rows": 1}, {"rows": 2}]


def test_old_runs_are_dropped_idle_ones_sooner_and_never_the_last(
    fresh_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidy_job_runs, "CHUNK", 2)
    with fresh_app.app_context():
        with unit_of_work() as session:
            for days, rows in ((200, 1), (100, 1), (89, 1), (3, 0), (2, 0), (0, 0)):
                run_id = begin_run(session, name="idle")
                end_run(session, run_id=run_id, counts={"rows": rows} if rows else {})
                session.get_one(JobRun, run_id).started_at = clock.now() - timedelta(days=days)
            session.get_one(JobRun, begin_run(session, name="killed")).started_at -= timedelta(days=500)
        tidy_job_runs.tidy_job_runs()
    left = [(clock.now() - run.started_at).days for run in runs(fresh_app, "idle")]
    assert left == [89, 0]
    assert len(runs(fresh_app, "killed")) == 1


@pytest.mark.usefixtures("table")
def test_all_that_is_due_runs_once_whatever_fails(fresh_app: Flask) -> None:
    runner = fresh_app.test_cli_runner()
    ran = runner.invoke(args=["jobs", "once"])
    assert ran.exit_code == 1
    assert "counts_two: 2 rows.\n" in ran.output
    assert "fails: failed: ValueError: no such" in ran.output
    assert "No job is due." in runner.invoke(args=["jobs", "once"]).output


def test_the_commands_say_what_ran_and_what_is_next(fresh_app: Flask) -> None:
    runner = fresh_app.test_cli_runner()
    assert "never" in runner.invoke(args=["jobs", "list"]).output
    ran = runner.invoke(args=["jobs", "run", "tidy_outbox"])
    assert ran.output == "tidy_outbox: nothing to do.\n"
    [line] = [row for row in runner.invoke(args=["jobs", "list"]).output.splitlines() if row.startswith("tidy_outbox")]
    assert "never" not in line
    assert line.endswith("nothing to do")
    unknown = runner.invoke(args=["jobs", "run", "nonsense"])
    assert unknown.exit_code == 1
    assert "There is no job 'nonsense'" in unknown.output


def test_the_list_fits_a_terminal_of_eighty_columns(fresh_app: Flask) -> None:
    runner = fresh_app.test_cli_runner()
    with fresh_app.app_context(), unit_of_work() as session:
        for name, counts, error in (
            ("verify_ledger", {"grants": 1_234_567, "entries": 12_345_678, "accounts": 123_456}, None),
            ("reconcile_stripe", {}, "PaymentsUnavailable: list checkout sessions: " + "no route to that host, " * 5),
            ("tidy_outbox", {}, None),
        ):
            end_run(session, run_id=begin_run(session, name=name), counts=counts, error=error)
        begin_run(session, name="seal_ledger")
    lines = runner.invoke(args=["jobs", "list"]).output.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["job", "every", "last", "run", "(UTC)", "took", "next", "outcome"]
    by_name = {line.split()[0]: line for line in lines if not line.startswith(" ")}
    assert by_name["verify_ledger"].split()[1] == "1d"
    assert re.search(r" \d+\.\d s +in (1 d|23 h) ", by_name["verify_ledger"])
    assert by_name["tidy_outbox"].endswith("nothing to do")
    assert " never " in by_name["expire_due"]
    assert " now " in by_name["expire_due"]
    words = "".join("".join(lines).split())  # what is too long for its column goes on below itself
    for told in ("12,345,678entries,123,456accounts", "failed:PaymentsUnavailable:list", "running,orkilled"):
        assert told in words
