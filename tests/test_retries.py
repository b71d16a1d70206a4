"""What PostgreSQL undid and asks for again is done again: whole, a few times, and never half. All failures are real."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from jobs.attempt import attempt
from tests.conftest import TestServers
from webapp import ledger, outbox
from webapp.api.keys import create_key
from webapp.database import ATTEMPTS, retried, sqlstate, unit_of_work

ADD = text("UPDATE public.counters SET value = value + :by WHERE name = :name")


@pytest.fixture
def counters(fresh_database: TestServers) -> Iterator[psycopg.Connection]:
    """Two rows that everybody may change; the connection is a superuser's."""
    with psycopg.connect(fresh_database.superuser_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.counters (name text PRIMARY KEY, value int NOT NULL)")
        connection.execute("GRANT SELECT, UPDATE ON public.counters TO tallystick_app")
        connection.execute("INSERT INTO public.counters VALUES ('a', 0), ('b', 0)")
        yield connection


def values(connection: psycopg.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT name, value FROM public.counters").fetchall())


def isolate(servers: TestServers, level: str) -> None:
    """Every connection made from now on works at that isolation level."""
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {servers.database} SET default_transaction_isolation = '{level}'")  # type: ignore[arg-type]


class Meeting:
    """Two who lock the same rows in opposite order, and both hold their first when they ask for the second."""

    def __init__(self) -> None:
        self.barrier = Barrier(2)
        self.attempts = 0

    def work(self, session: Session, *, order: str) -> str:
        self.attempts += 1
        first, second = order
        session.execute(ADD, {"name": first, "by": 1})
        if self.barrier.n_waiting or self.attempts <= 2:
            self.barrier.wait(timeout=30)
        session.execute(ADD, {"name": second, "by": 1})
        return order


def test_of_two_in_a_deadlock_both_succeed_and_each_once(fresh_app: Flask, counters: psycopg.Connection) -> None:
    meeting = Meeting()

    def run(order: str) -> str:
        with fresh_app.app_context():
            return retried(lambda session: meeting.work(session, order=order))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, ["ab", "ba"])) == ["ab", "ba"]
    assert meeting.attempts == 3
    assert values(counters) == {"a": 2, "b": 2}
    assert deadlocks(counters) == 1


def deadlocks(connection: psycopg.Connection) -> int:
    connection.execute("SELECT pg_stat_force_next_flush()")
    connection.execute("SELECT pg_stat_clear_snapshot()")
    row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


class Interrupted:
    """Reads, lets somebody else change what was read, then writes: `times` times, later undisturbed."""

    def __init__(self, other: psycopg.Connection, *, times: int) -> None:
        self.other = other
        self.times = times
        self.attempts = 0
        self.seen: list[int] = []

    def __call__(self, session: Session) -> int:
        self.attempts += 1
        outbox.put(session, job="tidy_outbox", key=f"attempt-{self.attempts}", args={})
        value = session.execute(text("SELECT value FROM public.counters WHERE name = 'a'")).scalar_one()
        self.seen.append(value)
        if self.attempts <= self.times:
            self.other.execute("UPDATE public.counters SET value = value + 10 WHERE name = 'a'")
        session.execute(ADD, {"name": "a", "by": 1})
        return int(value) + 1


@pytest.mark.parametrize("times", [1, 2])
def test_a_serialization_failure_is_repeated_with_what_is_true_by_then(
    fresh_app: Flask, fresh_database: TestServers, counters: psycopg.Connection, times: int
) -> None:
    isolate(fresh_database, "repeatable read")
    work = Interrupted(counters, times=times)
    with fresh_app.app_context():
        assert retried(work) == 10 * times + 1
    assert work.seen == [10 * n for n in range(times + 1)]
    assert values(counters)["a"] == 10 * times + 1


def test_what_a_failed_attempt_had_put_in_the_outbox_is_gone(
    fresh_app: Flask, fresh_database: TestServers, counters: psycopg.Connection
) -> None:
    isolate(fresh_database, "repeatable read")
    handed_out: list[tuple[int, str]] = []
    fresh_app.extensions["enqueue"] = handed_out.extend
    with fresh_app.app_context():
        retried(Interrupted(counters, times=1))
    keys = counters.execute("SELECT id, key FROM outbox").fetchall()
    assert [key for _id, key in keys] == ["attempt-2"]
    assert [row_id for row_id, _job in handed_out] == [keys[0][0]]


def test_repetition_is_bounded_and_raises_the_last_error(
    fresh_app: Flask, fresh_database: TestServers, counters: psycopg.Connection
) -> None:
    isolate(fresh_database, "repeatable read")
    work = Interrupted(counters, times=100)
    with fresh_app.app_context(), pytest.raises(DBAPIError) as raised:
        retried(work)
    assert sqlstate(raised.value) == "40001"
    assert work.attempts == ATTEMPTS
    assert values(counters)["a"] == 10 * ATTEMPTS
    assert counters.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


def test_a_failure_at_the_commit_is_repeated_too(
    fresh_app: Flask, fresh_database: TestServers, counters: psycopg.Connection
) -> None:
    """Each reads both rows and changes the one that the other read: no order of the two explains that."""
    isolate(fresh_database, "serializable")
    attempts = 0

    def work(session: Session) -> None:
        nonlocal attempts
        attempts += 1
        session.execute(text("SELECT sum(value) FROM public.counters"))
        session.execute(ADD, {"name": "a", "by": 1})
        if attempts == 1:
            with psycopg.connect(fresh_database.database_url) as other:
                other.execute("SELECT sum(value) FROM public.counters")
                other.execute("UPDATE public.counters SET value = value + 1 WHERE name = 'b'")

    with fresh_app.app_context():
        retried(work)
    assert attempts == 2
    assert values(counters) == {"a": 1, "b": 1}


def test_a_refusal_and_any_other_error_are_not_repeated(fresh_app: Flask) -> None:
    attempts = 0

    def work(session: Session) -> None:
        nonlocal attempts
        attempts += 1
        ledger.get_account(session, account_id=0)

    with fresh_app.app_context():
        with pytest.raises(ledger.AccountNotFound):
            retried(work)
        with pytest.raises(DBAPIError):
            retried(lambda session: session.execute(text("SELECT 1 / 0")))
    assert attempts == 1


def test_a_job_in_a_deadlock_is_done_within_its_one_attempt(fresh_app: Flask, counters: psycopg.Connection) -> None:
    meeting = Meeting()
    with fresh_app.app_context(), unit_of_work() as session:
        ids = [outbox.put(session, job="tidy_outbox", key=order, args={"order": order}) for order in ("ab", "ba")]

    def run(row_id: int) -> None:
        with fresh_app.app_context():
            attempt(row_id, meeting.work)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, ids))
    rows = counters.execute("SELECT attempts, last_error, done_at IS NOT NULL FROM outbox").fetchall()
    assert rows == [(1, None, True)] * 2
    assert values(counters) == {"a": 2, "b": 2}
    assert meeting.attempts == 3


def test_a_spend_by_api_that_lost_a_deadlock_is_done_once(
    fresh_app: Flask, fresh_database: TestServers, counters: psycopg.Connection
) -> None:
    """Somebody holds the grant and asks for the account, which the spend holds while it asks for the grant."""
    name = f"retry-{uuid4()}"
    with fresh_app.app_context(), unit_of_work() as session:
        account, _ = ledger.open_account(session, external_id=name)
        ledger.grant(session, account_id=account.account_id, amount=10, source="test", actor="test")
        _key, secret = create_key(session, name="test", scopes=["credits:spend"], sandbox=True)

    def spend() -> Any:
        headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "k"}
        body = {"account": name, "amount": 3, "description": "x"}
        return fresh_app.test_client().post("/api/v1/spends", json=body, headers=headers)

    with psycopg.connect(fresh_database.superuser_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SET deadlock_timeout = '20s'")  # so that the spend is who finds out
        other.execute("SELECT FROM ledger.grants WHERE account_id = %s FOR UPDATE", [account.account_id])
        spending = pool.submit(spend)
        until(lambda: is_anybody_waiting(counters))
        other.execute("SELECT FROM ledger.accounts WHERE account_id = %s FOR UPDATE", [account.account_id])
        other.rollback()
        answer = spending.result(timeout=30)
    assert (answer.status_code, answer.json["balance_after"]) == (201, 7)
    assert "Idempotent-Replayed" not in answer.headers
    assert deadlocks(counters) == 1


def is_anybody_waiting(connection: psycopg.Connection) -> bool:
    return connection.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None


def until(happened: Callable[[], bool]) -> None:
    deadline = monotonic() + 30
    while not happened():
        assert monotonic() < deadline
