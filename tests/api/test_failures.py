"""When something of ours is away: the caller learns what to do, and a retry with the same key is safe."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError

from tests.api.conftest import Caller, assert_problem
from tests.conftest import TestServers
from webapp.api import endpoint, spends
from webapp.api.front import PlainSpends
from webapp.database import ATTEMPTS


def test_a_database_that_is_away_is_a_503_with_retry_after(
    make_app: Callable[..., Flask], servers: TestServers, secret: str
) -> None:
    away = make_app(servers, DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    answer = Caller(away.test_client(), secret).spend("a", 1)
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_connections_that_died_are_replaced_and_the_spend_is_done_once(
    caller: Caller, app: Flask, servers: TestServers, superuser_connection: psycopg.Connection
) -> None:
    name = caller.new_account(credits=10)
    caller.spend(name, 1)
    superuser_connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND usename = 'tallystick_app'"
    )
    assert caller.spend(name, 1, key="k").status_code == 201
    assert caller.balance(name) == 8


class Fails:
    """Raises the given SQLSTATEs, one a call, then does the work."""

    def __init__(self, work: Callable[..., Any], *errors: type[psycopg.Error]) -> None:
        self.work = work
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        if self.errors:
            error = self.errors.pop(0)()
            raise DBAPIError.instance("SELECT", {}, error, psycopg.Error)
        return self.work(*arguments, **named)


@pytest.mark.parametrize("error", [psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected])
def test_what_the_database_asks_to_repeat_is_repeated_whole(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, error: type[psycopg.Error]
) -> None:
    name = caller.new_account(credits=10)
    fails = Fails(spends.ledger.spend, error, error)
    monkeypatch.setattr(spends.ledger, "spend", fails)
    assert caller.spend(name, 1).status_code == 201
    assert fails.calls == 3
    assert caller.balance(name) == 9


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (psycopg.errors.DeadlockDetected, 409, "in_progress"),
        (psycopg.errors.LockNotAvailable, 409, "in_progress"),
        (psycopg.errors.QueryCanceled, 503, "unavailable"),
        (psycopg.errors.AdminShutdown, 503, "unavailable"),
        (psycopg.errors.TooManyConnections, 503, "unavailable"),
    ],
)
def test_repetition_is_bounded_and_its_end_is_a_problem(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, error: type[psycopg.Error], status: int, code: str
) -> None:
    name = caller.new_account(credits=10)
    fails = Fails(spends.ledger.spend, *[error] * 50)
    monkeypatch.setattr(spends.ledger, "spend", fails)
    answer = caller.spend(name, 1, key="k")
    assert_problem(answer, status, code)
    assert "Retry-After" in answer.headers
    assert fails.calls <= ATTEMPTS
    monkeypatch.undo()
    assert caller.spend(name, 1, key="k").status_code == 201


def test_a_bug_of_ours_is_a_problem_without_its_insides(
    make_app: Callable[..., Flask], servers: TestServers, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(servers)
    app.testing = False
    caller = Caller(app.test_client(), secret)
    name = caller.new_account(credits=10)

    def break_down(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret insides")

    monkeypatch.setattr(spends.ledger, "spend", break_down)
    problem = assert_problem(caller.spend(name, 1), 500, "internal_error")
    assert "secret" not in str(problem)


def test_a_spend_sends_postgresql_no_begin_and_no_commit(
    caller: Caller, superuser_connection: psycopg.Connection
) -> None:
    name = caller.new_account(credits=100)
    caller.spend(name, 1)
    commits = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND usename = 'tallystick_app'"
    caller.spend(name, 1)
    last = [row[0] for row in superuser_connection.execute(commits).fetchall()]
    assert any("ledger.spend" in query for query in last), last


@pytest.mark.parametrize("what", ["spend", "batch", "hold", "capture", "void", "grant", "refund"])
def test_who_is_killed_between_the_commit_and_the_answer_is_answered_alike_when_asked_again(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    name = caller.new_account(credits=100)
    hold = caller.hold(name, 30).get_json()["id"]
    spend = caller.spend(name, 10).get_json()["id"]
    one = {"account": name, "amount": 7, "description": "x"}
    path, body = {
        "spend": ("/spends", one),
        "batch": ("/spends/batch", {"items": [{**one, "idempotency_key": "k"}]}),
        "hold": ("/holds", one),
        "capture": (f"/holds/{hold}/capture", {"amount": 20}),
        "void": (f"/holds/{hold}/void", None),
        "grant": ("/grants", {"account": name, "amount": 7, "reason": "x"}),
        "refund": (f"/spends/{spend}/refund", {"amount": 4, "reason": "x"}),
    }[what]

    class Killed(BaseException):
        """The process ends here."""

    def die(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(endpoint, "_response", die)
    monkeypatch.setattr(PlainSpends, "_answer", die)
    with pytest.raises(Killed):
        caller.post(path, body, key="k")
    monkeypatch.undo()
    before = caller.get(f"/accounts/{name}").get_json()
    again = caller.post(path, body, key="k")
    assert again.status_code in (200, 201)
    if what == "batch":
        assert again.get_json()["results"][0]["replayed"] is True
    else:
        assert again.headers["Idempotent-Replayed"] == "true"
    assert caller.get(f"/accounts/{name}").get_json() == before
