"""Reads may be kept by the caller, who asks whether they still hold."""

from datetime import timedelta

import pytest
from flask import Flask

from tests.api.conftest import Caller, assert_problem, make_secret, pass_time
from webapp import clock


def again(caller: Caller, path: str, etag: str, **more: str) -> int:
    answer = caller.get(path, headers={"If-None-Match": etag, **more})
    assert answer.headers["ETag"]
    assert (answer.data == b"") == (answer.status_code == 304)
    return answer.status_code


def test_a_read_that_still_holds_is_304_without_a_body(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    hold = caller.hold(name, 5).get_json()["id"]
    for path in (
        f"/accounts/{name}",
        f"/accounts/{name}/balance",
        f"/accounts/{name}/entries",
        f"/accounts/{name}/holds",
        f"/entries/{name}:1",
        f"/holds/{hold}",
        "/packages",
        "/plans",
        "/features",
    ):
        first = caller.get(path)
        etag = first.headers["ETag"]
        assert first.headers["Cache-Control"] == "private, no-cache"
        assert "Authorization" in first.headers["Vary"]
        assert caller.get(path).headers["ETag"] == etag
        assert again(caller, path, etag) == 304
        assert again(caller, path, f'"x", {etag}') == 304
        assert again(caller, path, "*") == 304
        assert again(caller, path, '"something-else"') == 200


def test_a_balance_changes_its_etag_with_every_change_of_it_and_only_then(caller: Caller, app: Flask) -> None:
    name, other = caller.new_account(credits=100), caller.new_account(credits=100)
    path = f"/accounts/{name}/balance"
    soon = (clock.now() + timedelta(seconds=60)).isoformat()
    caller.post("/grants", {"account": name, "amount": 7, "expires_at": soon, "reason": "x"})
    seen = [caller.get(path).headers["ETag"]]

    def is_new() -> bool:
        etag = caller.get(path).headers["ETag"]
        assert (again(caller, path, seen[-1]) == 304) == (etag == seen[-1])
        seen.append(etag)
        return etag not in seen[:-1]

    assert not is_new()
    caller.spend(other, 1)
    assert not is_new()
    caller.spend(name, 1)
    assert is_new()
    caller.hold(name, 1, expires_in=1)
    assert is_new()
    pass_time(app, 2)
    assert is_new(), "the hold has lapsed, and nobody has booked that"
    pass_time(app, 60)
    assert is_new(), "the grant has expired, and nobody has booked that"


def test_an_account_changes_its_etag_when_its_attributes_do(caller: Caller) -> None:
    name = caller.new_account(credits=1)
    etag = caller.get(f"/accounts/{name}").headers["ETag"]
    caller.put(f"/accounts/{name}", {"name": "Ada"})
    assert again(caller, f"/accounts/{name}", etag) == 200


def test_the_catalog_in_another_language_is_another_answer(caller: Caller) -> None:
    english = caller.get("/packages").headers["ETag"]
    german = caller.get("/packages", headers={"Accept-Language": "de"})
    assert german.headers["ETag"] != english
    assert {"Accept-Language", "Authorization"} <= {part.strip() for part in german.headers["Vary"].split(",")}
    assert again(caller, "/packages", english, **{"Accept-Language": "de"}) == 200


@pytest.mark.parametrize("header", ["", "x", '"', "W/", '"\u00fc"', ",,,", "x" * 5000])
def test_an_etag_that_is_none_matches_nothing(caller: Caller, header: str) -> None:
    assert caller.get("/packages", headers={"If-None-Match": header}).status_code == 200


def test_writes_and_refusals_are_not_to_be_kept(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    for answer in (caller.spend(name, 1), caller.spend(name, 100), caller.get("/accounts/nobody-here")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers


def test_a_missing_or_wrong_key_learns_nothing_from_an_etag(app: Flask, caller: Caller) -> None:
    etag = caller.get("/packages").headers["ETag"]
    stranger = Caller(app.test_client(), "tsk_sandbox_nobody")
    assert_problem(stranger.get("/packages", headers={"If-None-Match": etag}), 401, "unauthorized")


def test_every_answer_to_a_known_key_tells_its_limit_and_its_number(app: Flask) -> None:
    caller = Caller(app.test_client(), make_secret(app, rate_per_minute=500))
    name = caller.new_account(credits=10)
    etag = caller.get(f"/accounts/{name}").headers["ETag"]
    answers = [
        caller.get(f"/accounts/{name}"),
        caller.get(f"/accounts/{name}", headers={"If-None-Match": etag}),
        caller.spend(name, 1),
        caller.spend(name, 100),
        caller.spend("nobody-here", 1),
        caller.post("/spends", b"{"),
        caller.post("/spends", {}, headers={"Idempotency-Key": None}),
    ]
    assert [answer.status_code for answer in answers] == [200, 304, 201, 402, 404, 400, 400]
    left = [int(answer.headers["RateLimit-Remaining"]) for answer in answers]
    assert left == sorted(left, reverse=True)
    for answer in answers:
        assert answer.headers["RateLimit-Limit"] == "500"
        assert 0 < int(answer.headers["RateLimit-Reset"]) <= 60
        assert len(answer.headers["X-Request-Id"]) == 16
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == len(answers)
