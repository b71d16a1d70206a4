"""One key is one intent, however often and however simultaneously it arrives."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from tests.api.conftest import Caller, assert_problem
from tests.conftest import TestServers
from webapp import clock
from webapp.api import spends


def test_every_write_needs_a_key(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    spend = {"account": name, "amount": 1, "description": "x"}
    for method, path, body in (
        ("PUT", f"/accounts/{name}", {}),
        ("POST", "/spends", spend),
        ("POST", "/grants", {"account": name, "amount": 1, "reason": "x"}),
        ("POST", f"/spends/{name}:1/refund", {"reason": "x"}),
    ):
        for given in (None, "", "   "):
            answer = caller.call(method, path, body, headers={"Idempotency-Key": given})
            assert_problem(answer, 400, "invalid_request", field="Idempotency-Key")
    assert caller.balance(name) == 10


@pytest.mark.parametrize("key", ["x" * 256, "a\x01b", "a\x7fb", "a\x00b", "a\tb"])
def test_a_key_that_is_too_long_or_not_printable_is_refused(caller: Caller, key: str) -> None:
    name = caller.new_account(credits=10)
    assert_problem(caller.spend(name, 1, key=key), 400, "invalid_request", field="Idempotency-Key")


@pytest.mark.parametrize("key", ["x", "x" * 255, "order 7 / line:2 %00", "'; DROP TABLE", "{}", "schlüssel"])
def test_any_printable_key_does(caller: Caller, key: str) -> None:
    name = caller.new_account(credits=10)
    assert caller.spend(name, 1, key=key).get_json()["idempotency_key"] == key


def test_a_replay_answers_like_the_first_time_whatever_happened_since(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    first = caller.spend(name, 10, key="k", metadata={"b": 1, "a": 2})
    caller.post(f"/spends/{name}:2/refund", {"reason": "x"})
    again = caller.spend(name, 10, key="k", metadata={"a": 2, "b": 1})
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert caller.balance(name) == 10


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 2},
        {"description": "Other"},
        {"partial": True},
        {"reference": "r"},
        {"metadata": {"a": 1}},
        {"occurred_at": "now"},
    ],
)
def test_the_key_with_another_request_is_refused(caller: Caller, change: dict[str, object]) -> None:
    name = caller.new_account(credits=10)
    caller.spend(name, 1, key="k")
    if "occurred_at" in change:
        change = {"occurred_at": (clock.now() - timedelta(minutes=1)).isoformat()}
    body = {"account": name, "amount": 1, "description": "Test", **change}
    assert_problem(caller.post("/spends", body, key="k"), 422, "idempotency_key_reused")
    assert caller.balance(name) == 9


def test_the_key_of_a_spend_names_no_grant_and_no_refund(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    caller.spend(name, 1, key="k")
    grant = {"account": name, "amount": 1, "reason": "x"}
    assert_problem(caller.post("/grants", grant, key="k"), 422, "idempotency_key_reused")
    refund = caller.post(f"/spends/{name}:2/refund", {"amount": 1, "reason": "x"}, key="k")
    assert_problem(refund, 422, "idempotency_key_reused")


def test_the_same_key_on_another_account_is_unrelated(caller: Caller) -> None:
    one, other = caller.new_account(credits=10), caller.new_account(credits=10)
    assert caller.spend(one, 1, key="k").status_code == 201
    answer = caller.spend(other, 2, key="k")
    assert answer.status_code == 201
    assert "Idempotent-Replayed" not in answer.headers


def test_twenty_simultaneous_first_requests_are_one_entry_and_answer_alike(app: Flask, secret: str) -> None:
    name = Caller(app.test_client(), secret).new_account(credits=100)

    def spend(_number: int) -> tuple[int, bytes, str | None]:
        answer = Caller(app.test_client(), secret).spend(name, 7, key="one")
        return answer.status_code, answer.data, answer.headers.get("Idempotent-Replayed")

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(spend, range(20)))
    assert {(status, body) for status, body, _ in answers} == {(201, answers[0][1])}
    assert sorted(str(replayed) for _, _, replayed in answers) == ["None"] + ["true"] * 19
    assert Caller(app.test_client(), secret).balance(name) == 93


def test_simultaneous_spends_never_take_more_than_there_is(app: Flask, secret: str) -> None:
    name = Caller(app.test_client(), secret).new_account(credits=100)
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: Caller(app.test_client(), secret).spend(name, 10).status_code, range(30)))
    assert sorted(answers) == [201] * 10 + [402] * 20
    assert Caller(app.test_client(), secret).balance(name) == 0


def test_a_replay_survives_the_end_of_its_feature_and_the_age_of_its_usage(
    caller: Caller, app: Flask, superuser_connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    feature = f"gone-{uuid4().hex[:8]}"
    superuser_connection.execute(
        "INSERT INTO features (key, name, description, unit, position) VALUES (%s, 'Gone', '', 'x', 99)", [feature]
    )
    superuser_connection.execute(
        "INSERT INTO rates (version, feature, credits_per_unit) SELECT max(version), %s, 3 FROM rate_cards", [feature]
    )
    name = caller.new_account(credits=100)
    yesterday = (clock.now() - timedelta(days=1)).isoformat()
    body = {"account": name, "feature": feature, "occurred_at": yesterday}
    first = caller.post("/spends", body, key="k")
    assert first.status_code == 201, first.text
    superuser_connection.execute("DELETE FROM rates WHERE feature = %s", [feature])
    app.extensions["api_kept"].forget()  # as the next process does, which never knew it
    monkeypatch.setattr(spends, "OLDEST_USAGE", timedelta(hours=1))
    again = caller.post("/spends", body, key="k")
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (201, first.data, "true")
    assert_problem(caller.post("/spends", {**body, "quantity": 2}, key="k"), 422, "idempotency_key_reused")
    assert_problem(caller.post("/spends", body, key="new"), 400, "invalid_request", field="feature")
    assert caller.balance(name) == 97


def test_waiting_too_long_for_another_request_says_that_it_is_in_progress(
    caller: Caller, app: Flask, servers: TestServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webapp.extensions import db

    name = caller.new_account(credits=10)
    with app.app_context(), db.engine.connect() as connection:
        timeout = connection.execute(text("SHOW lock_timeout")).scalar_one()
    assert timeout == "5s"
    with psycopg.connect(servers.superuser_url) as blocker, psycopg.connect(servers.superuser_url) as other:
        blocker.execute("SELECT 1 FROM ledger.accounts WHERE external_id = %s FOR UPDATE", [name])
        with shorter_lock_timeout(app):
            answer = caller.spend(name, 1, key="k")
        other.rollback()
    problem = assert_problem(answer, 409, "in_progress")
    assert answer.headers["Retry-After"] == "1"
    assert problem["detail"]
    assert caller.spend(name, 1, key="k").status_code == 201


def shorter_lock_timeout(app: Flask) -> "LockTimeout":
    return LockTimeout(app)


class LockTimeout:
    """Connections of the application give up on locks at once: the rule without the wait."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def _set(self, value: str) -> None:
        from sqlalchemy import event

        from webapp.extensions import db

        with self.app.app_context():
            engine = db.engine

        def change(connection: psycopg.Connection, *_: object) -> None:
            autocommit, connection.autocommit = connection.autocommit, True
            connection.execute(f"SET lock_timeout = '{value}'")
            connection.autocommit = autocommit

        self.change = change
        event.listen(engine, "checkout", change)
        self.engine = engine

    def __enter__(self) -> None:
        self._set("50ms")

    def __exit__(self, *_: object) -> None:
        from sqlalchemy import event

        event.remove(self.engine, "checkout", self.change)
        self.engine.dispose()


def test_two_keys_of_one_operator_share_one_history(caller: Caller, caller_with: Callable[..., Caller]) -> None:
    name = caller.new_account(credits=10)
    first = caller.spend(name, 1, key="k")
    again = caller_with().spend(name, 1, key="k")
    assert (again.data, again.headers["Idempotent-Replayed"]) == (first.data, "true")
