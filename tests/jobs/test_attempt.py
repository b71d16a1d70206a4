"""A job's effect and its "done" are one; failures are counted, and end with a person."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from jobs.attempt import attempt
from webapp import clock, outbox
from webapp.database import unit_of_work
from webapp.outbox import MOST_ATTEMPTS, OutboxRow
from webapp.queue import redis_connection


@pytest.fixture
def row_id(app: Flask, request: pytest.FixtureRequest) -> Iterator[int]:
    with app.app_context(), unit_of_work() as session:
        clock.follow(session, movable=True, at_once=True)  # the test before may have looked at another database's
        key = f"test:{request.node.name}:{clock.now()}"
        number = outbox.put(session, job="nothing", key=key, args={"word": "hazel"})
    yield number
    with app.app_context(), unit_of_work() as session:  # other tests ask whether anything was left undone
        if left := session.get(OutboxRow, number):
            left.done_at = clock.now()


def row(app: Flask, row_id: int) -> OutboxRow:
    with app.app_context(), unit_of_work() as session:
        found = session.get_one(OutboxRow, row_id)
        session.expunge(found)
        return found


def test_a_job_that_ran_is_done_and_runs_no_more(app: Flask, row_id: int) -> None:
    ran: list[str] = []

    def effect(_session: Session, *, word: str) -> None:
        ran.append(word)

    with app.app_context():
        attempt(row_id, effect)
        attempt(row_id, effect)
    assert ran == ["hazel"]
    assert row(app, row_id).done_at is not None


def test_nothing_of_a_failed_effect_is_written_and_it_is_due_again_later(app: Flask, row_id: int) -> None:
    def effect(session: Session, *, word: str) -> None:
        outbox.put(session, job="nothing", key=f"side effect of {row_id}", args={})
        raise RuntimeError(f"no {word}\x00")

    with app.app_context():
        attempt(row_id, effect)
        with unit_of_work() as session:
            assert session.query(OutboxRow).filter_by(key=f"side effect of {row_id}").count() == 0
    failed = row(app, row_id)
    assert (failed.attempts, failed.done_at, failed.parked_at) == (1, None, None)
    assert failed.last_error == "RuntimeError: no hazel"
    assert timedelta(seconds=20) < failed.due_at - clock.now() <= timedelta(seconds=30)


def test_after_the_last_attempt_it_is_parked_and_somebody_is_told(app: Flask, row_id: int) -> None:
    told: list[Any] = []

    def effect(_session: Session, *, word: str) -> None:
        raise RuntimeError(word)

    def give_up(_session: Session, *, reason: str, word: str) -> None:
        told.append((reason, word))

    with app.app_context():
        for _ in range(MOST_ATTEMPTS + 2):
            attempt(row_id, effect, give_up)
    parked = row(app, row_id)
    assert parked.attempts == MOST_ATTEMPTS
    assert parked.parked_at is not None
    assert told == [("RuntimeError: hazel", "hazel")]
    with app.app_context(), unit_of_work() as session:
        outbox.replay(session, row_id=row_id)
    assert row(app, row_id).parked_at is None


def test_a_job_whose_process_is_killed_each_time_is_parked_in_the_end(app: Flask, row_id: int) -> None:
    began: list[int] = []
    told: list[Any] = []

    class Killed(BaseException):
        """Ends the process without another word."""

    def effect(_session: Session, *, word: str) -> None:
        began.append(1)
        raise Killed

    def give_up(_session: Session, *, reason: str, word: str) -> None:
        told.append((reason, word))

    with app.app_context():
        for number in range(MOST_ATTEMPTS):
            with pytest.raises(Killed):
                attempt(row_id, effect, give_up)
            killed = row(app, row_id)
            assert (killed.attempts, killed.parked_at) == (number + 1, None)
        assert timedelta(minutes=55) < killed.due_at - clock.now() <= timedelta(hours=1)
        for _ in range(2):
            attempt(row_id, effect, give_up)
    parked = row(app, row_id)
    assert parked.parked_at is not None
    assert len(began) == MOST_ATTEMPTS
    assert told == [(parked.last_error, "hazel")]
    assert "killed" in (parked.last_error or "")
    with app.app_context():
        with unit_of_work() as session:
            outbox.replay(session, row_id=row_id)
        attempt(row_id, lambda _session, *, word: None)
    assert row(app, row_id).done_at is not None


def test_a_job_that_somebody_else_is_doing_counts_no_attempt(app: Flask, row_id: int) -> None:
    def effect(_session: Session, *, word: str) -> None:
        for _ in range(MOST_ATTEMPTS + 1):
            attempt(row_id, effect)

    with app.app_context():
        attempt(row_id, effect)
    done = row(app, row_id)
    assert (done.attempts, done.parked_at) == (1, None)
    assert done.done_at is not None


def test_two_workers_do_not_do_the_same_job_at_once(app: Flask, row_id: int) -> None:
    ran: list[int] = []

    def effect(_session: Session, *, word: str) -> None:
        ran.append(1)
        attempt(row_id, effect)  # somebody else, meanwhile

    with app.app_context():
        attempt(row_id, effect)
    assert ran == [1]


def test_the_sweeper_hands_out_what_is_due_once_each_half_minute(app: Flask, row_id: int) -> None:
    with app.app_context():
        redis_connection().delete("rq:queue:default")
        with unit_of_work() as session:
            session.get_one(OutboxRow, row_id).due_at = clock.now() - timedelta(days=3650)
        with unit_of_work() as session:
            assert outbox.sweep(session, limit=1) == 1
        assert redis_connection().llen("rq:queue:default") == 1
    assert row(app, row_id).due_at > clock.now()


def test_what_was_done_long_ago_is_dropped_and_nothing_else(app: Flask, row_id: int) -> None:
    with app.app_context():
        with unit_of_work() as session:
            kept = outbox.put(session, job="nothing", key=f"kept beside {row_id}", args={})
            session.get_one(OutboxRow, kept).created_at = clock.now() - timedelta(days=1000)
            session.get_one(OutboxRow, row_id).done_at = clock.now() - timedelta(days=91)
        with unit_of_work() as session:
            outbox.drop_done(session, older_than=timedelta(days=90), limit=10_000)
        with unit_of_work() as session:
            assert session.get(OutboxRow, row_id) is None
            session.delete(session.get_one(OutboxRow, kept))
