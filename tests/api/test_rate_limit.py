"""Requests a minute of each key."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from flask import Flask

from tests.api.conftest import Caller, assert_problem, make_secret
from tests.conftest import TestServers
from webapp.api import rate_limit

NOON = 1_800_000_000.0  # a whole minute


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the limiter's clock."""

    def set_clock(moment: float) -> None:
        monkeypatch.setattr("webapp.api.rate_limit.time.time", lambda: moment)

    set_clock(NOON)
    return set_clock


def test_a_key_may_make_its_requests_and_then_must_wait(app: Flask, at: Callable[[float], None]) -> None:
    caller = Caller(app.test_client(), make_secret(app, rate_per_minute=3))
    at(NOON + 20)
    answers = [caller.get("/packages") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
    assert answers[0].headers["RateLimit-Limit"] == "3"
    assert answers[0].headers["RateLimit-Reset"] == "40"
    assert_problem(answers[3], 429, "rate_limited")
    assert answers[3].headers["Retry-After"] == "40"
    at(NOON + 60)
    assert caller.get("/packages").status_code == 200


def test_the_limit_of_one_key_is_not_another_ones(app: Flask, at: Callable[[float], None]) -> None:
    callers = [Caller(app.test_client(), make_secret(app, rate_per_minute=1)) for _ in range(2)]
    assert [caller.get("/packages").status_code for caller in callers] == [200, 200]


def test_all_processes_share_a_keys_limit(
    make_app: Callable[..., Flask], servers: TestServers, app: Flask, at: Callable[[float], None]
) -> None:
    secret = make_secret(app, rate_per_minute=4000)
    callers = [Caller(one.test_client(), secret) for one in (app, make_app(servers))]
    for one in callers:
        assert one.get("/packages").status_code == 200
    # Each process took a thousandth of the limit at once.
    assert callers[0].get("/packages").headers["RateLimit-Remaining"] == str(4000 - 4 + 2)
    assert callers[1].get("/packages").headers["RateLimit-Remaining"] == str(4000 - 8 + 2)


def test_a_refused_request_changes_nothing(app: Flask, at: Callable[[float], None], caller: Caller) -> None:
    name = caller.new_account(credits=10)
    limited = Caller(app.test_client(), make_secret(app, rate_per_minute=1))
    assert [limited.spend(name, 1).status_code for _ in range(2)] == [201, 429]
    assert caller.balance(name) == 9


def test_without_redis_nothing_is_limited_and_nothing_fails(
    make_app: Callable[..., Flask], servers: TestServers, app: Flask, secret: str
) -> None:
    limited = make_secret(app, rate_per_minute=1)
    away = make_app(servers, REDIS_URL="redis://127.0.0.1:1/0")
    caller = Caller(away.test_client(), limited)
    answers = [caller.get("/packages") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "RateLimit-Limit" not in answers[0].headers
    name = Caller(app.test_client(), secret).new_account(credits=10)
    assert caller.spend(name, 1).status_code == 201


def test_a_process_that_found_no_redis_does_not_ask_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = rate_limit.RateLimit()
    monkeypatch.setattr("webapp.api.rate_limit.time.monotonic", lambda: 100.0)
    limit._paused_until = 105.0
    assert limit._count({"x": 1}) is None


# ---------------------------------------------------------------- batches, and accounts


def batch_of(*accounts: str) -> dict[str, list[dict[str, object]]]:
    items = [
        {"account": account, "amount": 1, "description": "Test", "idempotency_key": uuid4().hex} for account in accounts
    ]
    return {"items": items}


@pytest.mark.parametrize("path", ["/spends/batch", "/usage"])
def test_a_batch_counts_as_a_request_an_item(
    app: Flask, at: Callable[[float], None], caller: Caller, path: str
) -> None:
    name = caller.new_account(credits=100)
    limited = Caller(app.test_client(), make_secret(app, rate_per_minute=10))
    first = limited.post(path, batch_of(*[name] * 6))
    assert first.status_code < 300
    assert first.headers["RateLimit-Remaining"] == "4"
    too_many = limited.post(path, batch_of(*[name] * 5))
    assert_problem(too_many, 429, "rate_limited")
    assert too_many.headers["Retry-After"] == "60"
    # The request itself was counted, and what is left is there for smaller ones.
    assert limited.post(path, batch_of(*[name] * 3)).headers["RateLimit-Remaining"] == "0"


def test_a_batch_larger_than_the_limit_leaves_the_others_theirs(
    app: Flask, at: Callable[[float], None], caller: Caller
) -> None:
    name = caller.new_account(credits=100)
    limited = Caller(app.test_client(), make_secret(app, rate_per_minute=5))
    assert_problem(limited.post("/spends/batch", batch_of(*[name] * 9)), 429, "rate_limited")
    assert [limited.spend(name, 1).status_code for _ in range(5)] == [201, 201, 201, 201, 429]


@pytest.fixture
def strict(make_app: Callable[..., Flask], servers: TestServers, at: Callable[[float], None]) -> Flask:
    """An application that allows ten requests a minute about an account."""
    return make_app(servers, ACCOUNT_RATE_PER_MINUTE="10")


def test_an_accounts_requests_are_counted_whoever_makes_them(
    strict: Flask, app: Flask, caller: Caller, at: Callable[[float], None]
) -> None:
    name, other = (caller.new_account(credits=100) for _ in range(2))
    one, two = (Caller(strict.test_client(), make_secret(app)) for _ in range(2))
    spent = one.spend(name, 1)
    assert (spent.headers["RateLimit-Limit"], spent.headers["RateLimit-Remaining"]) == ("10", "9")
    two.hold(name, 1)
    two.get(f"/accounts/{name}")
    one.get(f"/entries/{spent.get_json()['id']}")
    assert one.get(f"/holds/{name}:h1").headers["RateLimit-Remaining"] == "5"
    assert [one.spend(name, 1).status_code for _ in range(6)] == [201] * 5 + [429]
    refused = two.get(f"/accounts/{name}")
    problem = assert_problem(refused, 429, "rate_limited")
    assert "account" in problem["detail"]
    assert (refused.headers["Retry-After"], refused.headers["RateLimit-Remaining"]) == ("60", "0")
    assert one.spend(other, 1).status_code == 201
    at(NOON + 60)
    assert one.spend(name, 1).status_code == 201


def test_headers_tell_of_the_tighter_limit(strict: Flask, app: Flask, caller: Caller) -> None:
    name = caller.new_account(credits=100)
    limited = Caller(strict.test_client(), make_secret(app, rate_per_minute=3))
    answer = limited.spend(name, 1)
    assert (answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]) == ("3", "2")


def test_items_beyond_an_accounts_limit_harm_no_other(strict: Flask, app: Flask, caller: Caller) -> None:
    name, other = (caller.new_account(credits=100) for _ in range(2))
    batch = batch_of(*[name] * 8, other, *[name] * 4, other)
    results = Caller(strict.test_client(), make_secret(app)).post("/spends/batch", batch).get_json()["results"]
    assert [one["status"] for one in results] == [201] * 11 + [429] * 2 + [201]
    assert results[11]["problem"]["code"] == "rate_limited"
    assert (caller.balance(name), caller.balance(other)) == (90, 98)


def test_without_redis_no_account_is_limited(
    make_app: Callable[..., Flask], servers: TestServers, app: Flask, caller: Caller
) -> None:
    name = caller.new_account(credits=100)
    away = make_app(servers, REDIS_URL="redis://127.0.0.1:1/0", ACCOUNT_RATE_PER_MINUTE="1")
    unlimited = Caller(away.test_client(), make_secret(app))
    assert [unlimited.spend(name, 1).status_code for _ in range(3)] == [201] * 3
    done = unlimited.post("/spends/batch", batch_of(name, name)).get_json()["results"]
    assert [one["status"] for one in done] == [201, 201]
