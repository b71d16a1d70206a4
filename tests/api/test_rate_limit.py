"""Requests a minute of each key."""

from collections.abc import Callable

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
    assert limit._count("x", 1) is None
