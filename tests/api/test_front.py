"""Plain spends are answered before Flask has seen them, and nobody can tell: neither from answers nor from figures."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from flask import Flask, request_started
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from tests.api.conftest import Caller, assert_problem, make_secret, statements_of
from webapp import maintenance
from webapp.api.rate_limit import RateLimit
from webapp.metrics import REQUESTS

FEATURE = "api-call"
PLAIN, THROUGH_FLASK = "application/json", "application/json;charset=UTF-8"


@contextmanager
def seen_by_flask(app: Flask) -> Iterator[list[None]]:
    """Grows by one for each request that Flask handles."""
    seen: list[None] = []

    def note(*_: Any, **__: Any) -> None:
        seen.append(None)

    with request_started.connected_to(note, app):
        yield seen


def spend(caller: Caller, account: str, *, key: str | None = None, flask: bool = False, **more: Any) -> TestResponse:
    """One of our feature, in front of Flask or, for the way its content type is written, through it."""
    body = {"account": account, "feature": FEATURE, **more}
    return caller.post("/spends", body, key=key, content_type=THROUGH_FLASK if flask else PLAIN)


@pytest.fixture
def account(caller: Caller) -> str:
    """With 100 credits; its id, the key and the price are known to this process."""
    name = caller.new_account(credits=100)
    assert spend(caller, name).status_code == 201
    return name


def test_a_plain_spend_is_answered_before_flask_has_seen_it_like_one_through_flask(
    app: Flask, caller: Caller, account: str
) -> None:
    with seen_by_flask(app) as seen:
        plain = spend(caller, account, quantity=2, reference="r", metadata={"a": 1})
        assert seen == []
        other = spend(caller, account, quantity=2, reference="r", metadata={"a": 1}, flask=True)
        assert len(seen) == 1
    assert plain.status == other.status == "201 CREATED"
    own = {"X-Request-Id", "RateLimit-Remaining", "RateLimit-Reset", "Content-Length"}
    assert {name for name, _ in plain.headers} == {name for name, _ in other.headers}
    assert [one for one in plain.headers if one[0] not in own] == [one for one in other.headers if one[0] not in own]
    assert plain.headers["X-Request-Id"] != other.headers["X-Request-Id"]
    told, told_by_flask = plain.get_json(), other.get_json()
    assert list(told) == list(told_by_flask)
    differs = {"id", "seq", "balance_after", "idempotency_key", "occurred_at", "booked_at", "hash"}
    assert {name for name in told if told[name] != told_by_flask[name]} == differs
    assert told["balance_after"] == told_by_flask["balance_after"] + 2


def test_it_is_one_statement_one_line_in_the_log_and_one_request_counted(
    app: Flask, caller: Caller, account: str
) -> None:
    counter = REQUESTS.labels("POST", "/api/v1/spends", "201")
    before = counter._value.get()
    with statements_of(app) as statements, capture_logs() as lines:
        answer = spend(caller, account)
    assert len(statements) == 1
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["method"], line["path"], line["status"], line["user"]) == ("POST", "/api/v1/spends", 201, None)
    assert line["ms"] > 0
    assert counter._value.get() == before + 1
    again = spend(caller, account)
    left = [int(one.headers["RateLimit-Remaining"]) for one in (answer, again)]
    assert left[0] - left[1] == 1


def test_each_way_answers_what_the_other_one_did_under_the_same_key(caller: Caller, account: str) -> None:
    first = spend(caller, account, key="one")
    for flask in (True, False):
        again = spend(caller, account, key="one", flask=flask)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.get_json() == first.get_json()
    second = spend(caller, account, key="two", flask=True)
    assert spend(caller, account, key="two").get_json() == second.get_json()
    assert caller.balance(account) == 97


def test_a_refusal_is_told_in_the_callers_language_after_one_attempt_and_counted_once(
    app: Flask, caller: Caller, account: str
) -> None:
    before = int(spend(caller, account).headers["RateLimit-Remaining"])
    body = {"account": account, "feature": FEATURE, "quantity": 1_000}
    with statements_of(app) as statements:
        answer = caller.post("/spends", body, headers={"Accept-Language": "de"})
    problem = assert_problem(answer, 402, "insufficient_credits")
    assert problem["required"] == 1_000
    assert problem["available"] == 98
    assert answer.headers["Content-Language"] == "de"
    assert int(answer.headers["RateLimit-Remaining"]) == before - 1
    assert len([one for one in statements if "ledger.spend(" in one]) == 1
    assert caller.balance(account) == 98


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"account": "a", "feature": "api-call", "feature": "image"}', 400, "invalid_request"),
        (b'{"account": "a", "feature": "api-call", "unknown": 1}', 400, "invalid_request"),
        (b'{"account": "nobody-here", "feature": "api-call"}', 404, "account_not_found"),
        (b'{"account": "\xff"}', 400, "invalid_request"),
        (b"", 400, "invalid_request"),
        (b"[]", 400, "invalid_request"),
    ],
)
def test_what_is_not_well_formed_is_refused_as_ever(
    caller: Caller, account: str, body: bytes, status: int, code: str
) -> None:
    assert_problem(caller.post("/spends", body), status, code)


def test_a_key_that_was_revoked_a_moment_ago_is_refused_and_nothing_is_spent(
    app: Flask, account: str, caller: Caller, superuser_connection: psycopg.Connection
) -> None:
    mine = Caller(app.test_client(), make_secret(app, name="Revoked soon"))
    for _ in range(2):  # its first use is noted, after which it is read once more
        assert spend(mine, account).status_code == 201
    with seen_by_flask(app) as seen:
        assert spend(mine, account).status_code == 201
    assert seen == []
    superuser_connection.execute("UPDATE api_keys SET revoked_at = now() WHERE name = 'Revoked soon'")
    before = caller.balance(account)
    assert_problem(spend(mine, account), 401, "unauthorized")
    assert caller.balance(account) == before


def test_a_key_without_the_scope_or_from_elsewhere_is_refused(app: Flask, account: str) -> None:
    reading = Caller(app.test_client(), make_secret(app, scopes=["accounts:read"]))
    distant = Caller(app.test_client(), make_secret(app, ip_ranges=["10.0.0.0/8"]))
    for _ in range(2):
        assert_problem(spend(reading, account), 403, "missing_scope")
        assert_problem(spend(distant, account), 403, "address_not_allowed")


def test_the_limit_of_a_key_holds_for_plain_spends(app: Flask, account: str) -> None:
    mine = Caller(app.test_client(), make_secret(app, rate_per_minute=5))
    statuses = [spend(mine, account).status_code for _ in range(14)]
    assert 5 <= statuses.count(201) <= 10  # a minute may have ended meanwhile
    assert set(statuses) <= {201, 429}


def test_the_limit_of_an_account_holds_for_plain_spends(
    app: Flask, caller: Caller, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit: RateLimit = app.extensions["api_rate_limit"]
    monkeypatch.setattr(limit, "per_account", 4)
    statuses = [spend(caller, account).status_code for _ in range(12)]
    assert 3 <= statuses.count(201) <= 8
    assert set(statuses) <= {201, 429}


def test_a_host_that_is_not_ours_is_refused(make_app: Callable[..., Flask], servers: Any, secret: str) -> None:
    app = make_app(servers, TRUSTED_HOSTS="credits.example.com")
    client = app.test_client()
    sent = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "k"}
    body = {"account": "nobody", "feature": FEATURE}
    refused = client.post("/api/v1/spends", json=body, headers={**sent, "Host": "evil.example.com"})
    assert refused.status_code == 400
    assert b"does not answer for that host" in refused.data
    known = client.post("/api/v1/spends", json=body, headers={**sent, "Host": "credits.example.com"})
    assert known.status_code == 404


def test_maintenance_stops_plain_spends_too(caller: Caller, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "now_on", maintenance.Maintenance)
    answer = spend(caller, account)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_one_key_from_many_threads_at_once_spends_once(app: Flask, secret: str, caller: Caller, account: str) -> None:
    answers: list[TestResponse] = []

    def run() -> None:
        answers.append(spend(Caller(app.test_client(), secret), account, key="at once"))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.get_json()["id"] for answer in answers}) == 1
    assert caller.balance(account) == 98
