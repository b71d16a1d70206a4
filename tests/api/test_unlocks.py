"""Unlocks: opened once with credits, an ordinary spend each, closed when that is refunded in full."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.api.conftest import Caller, assert_problem, make_secret, new_name, pass_time
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.unlock import create_unlock, offer_unlock
from webapp.database import unit_of_work


def open_for(caller: Caller, account: str, unlock: str = "brand-kit", **more: Any) -> TestResponse:
    key = more.pop("key", None)
    return caller.post("/unlocks", {"account": account, "unlock": unlock, **more}, key=key)


def opened(caller: Caller, account: str) -> list[str]:
    answer = caller.get(f"/accounts/{account}/unlocks")
    assert answer.status_code == 200
    return [one["unlock"] for one in answer.get_json()["data"]]


@pytest.fixture
def account(caller: Caller) -> str:
    return caller.new_account(credits=1000)


@pytest.fixture
def new_unlock(app: Flask) -> Callable[..., str]:
    """Makes an unlock of a name of its own; returns its key."""

    def make(**terms: Any) -> str:
        key = new_name("unlock")
        chosen = {"name": "Test", "credits": 10, "features": ["a"], **terms}
        with app.app_context(), unit_of_work() as session:
            create_unlock(session, key=key, **chosen)
        return key

    return make


def test_the_catalogue_is_in_the_callers_language(caller: Caller) -> None:
    def named(language: str) -> dict[str, Any]:
        response = caller.get("/unlocks", headers={"Accept-Language": language})
        assert response.headers["Content-Language"] == language
        return {one["unlock"]: one for one in response.get_json()["data"]}

    english, german = named("en")["brand-kit"], named("de")["brand-kit"]
    assert english == {
        "unlock": "brand-kit",
        "name": "Brand kit",
        "description": "Your own logo and colours on everything that you export.",
        "features": ["own-colours", "own-logo"],
        "credits": 250,
        "duration_days": None,
    }
    assert german["name"] != english["name"]
    assert german["description"] != english["description"]
    assert german["features"] == english["features"]


def test_what_is_opened_is_an_ordinary_spend(caller: Caller, account: str) -> None:
    response = open_for(caller, account, metadata={"order": 7}, key="open")
    assert response.status_code == 201
    answer = response.get_json()
    entry = caller.get(f"/entries/{answer['entry']}").get_json()
    assert answer == {
        "account": account,
        "unlock": "brand-kit",
        "name": "Brand kit",
        "features": ["own-colours", "own-logo"],
        "credits": 250,
        "since": entry["booked_at"],
        "until": None,
        "entry": entry["id"],
    }
    assert (entry["kind"], entry["amount"], entry["balance_after"]) == ("spend", -250, 750)
    assert (entry["reference"], entry["description"]) == ("unlock:brand-kit", "Brand kit")
    assert (entry["metadata"], entry["idempotency_key"]) == ({"order": 7}, "open")
    assert entry["arithmetic"]["unlock"] == "brand-kit"


def test_what_an_account_has_open_is_read_with_all_its_features(
    caller: Caller, account: str, new_unlock: Callable[..., str]
) -> None:
    assert caller.get(f"/accounts/{account}/unlocks").get_json() == {"features": [], "data": []}
    first = open_for(caller, account).get_json()
    bundle = new_unlock(features=["own-logo", "video"])
    second = open_for(caller, account, bundle).get_json()
    answer = caller.get(f"/accounts/{account}/unlocks").get_json()
    assert answer == {"features": ["own-colours", "own-logo", "video"], "data": [first, second]}


def test_a_replay_is_answered_like_the_first_time(caller: Caller, account: str) -> None:
    first, second = (open_for(caller, account, key="open") for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.get_json() == second.get_json()
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert caller.balance(account) == 750


def test_what_is_open_already_is_answered_alike_and_costs_nothing(caller: Caller, account: str) -> None:
    first, second = open_for(caller, account), open_for(caller, account, key="again")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.get_json() == second.get_json()
    assert "Idempotent-Replayed" not in second.headers
    assert caller.balance(account) == 750
    assert caller.spend(account, 50, key="again").status_code == 201  # the key was not used


def test_a_key_of_something_else_is_refused(caller: Caller, account: str, new_unlock: Callable[..., str]) -> None:
    assert open_for(caller, account, key="open").status_code == 201
    assert_problem(open_for(caller, account, new_unlock(), key="open"), 422, "idempotency_key_reused")
    assert_problem(open_for(caller, account, reference="other", key="open"), 422, "idempotency_key_reused")
    assert_problem(caller.spend(account, 5, key="open"), 422, "idempotency_key_reused")
    assert caller.spend(account, 5, key="spent").status_code == 201
    assert_problem(open_for(caller, account, new_unlock(), key="spent"), 422, "idempotency_key_reused")
    assert caller.balance(account) == 745
    assert opened(caller, account) == ["brand-kit"]


def test_missing_credits_are_named_and_leave_the_key_unused(caller: Caller) -> None:
    account = caller.new_account(credits=100)
    refused = assert_problem(open_for(caller, account, key="open"), 402, "insufficient_credits")
    assert (refused["required"], refused["available"]) == (250, 100)
    assert refused["buy_url"].endswith("/pricing")
    assert opened(caller, account) == []
    caller.post("/grants", {"account": account, "amount": 150, "reason": "Bought"})
    assert open_for(caller, account, key="open").status_code == 201


def test_refunded_in_full_it_is_closed_and_can_be_opened_again(caller: Caller, account: str) -> None:
    entry = open_for(caller, account, key="first").get_json()["entry"]
    refund = {"reason": "Not wanted", "amount": 100}
    assert caller.post(f"/spends/{entry}/refund", refund).status_code == 201
    assert opened(caller, account) == ["brand-kit"]
    assert caller.post(f"/spends/{entry}/refund", {"reason": "Not wanted"}).status_code == 201
    assert opened(caller, account) == []
    assert caller.balance(account) == 1000
    assert open_for(caller, account, key="first").headers["Idempotent-Replayed"] == "true"
    assert opened(caller, account) == []
    assert open_for(caller, account, key="second").status_code == 201
    assert opened(caller, account) == ["brand-kit"]
    assert caller.balance(account) == 750


def test_what_is_not_on_offer_cannot_be_opened_but_stays_open(
    app: Flask, caller: Caller, account: str, new_unlock: Callable[..., str]
) -> None:
    key = new_unlock()
    first = open_for(caller, account, key, key="open")
    with app.app_context(), unit_of_work() as session:
        offer_unlock(session, key=key, active=False)
    assert key not in [one["unlock"] for one in caller.get("/unlocks").get_json()["data"]]
    assert opened(caller, account) == [key]
    assert open_for(caller, account, key, key="open").get_json() == first.get_json()
    assert open_for(caller, account, key).status_code == 200
    assert_problem(open_for(caller, caller.new_account(credits=50), key), 404, "unlock_not_found")


@pytest.mark.parametrize("unlock", ["nothing", "Brand-Kit", "brand kit", "brand-kit\n", "é", "'; --"])
def test_unknown_unlocks_are_not_found(caller: Caller, account: str, unlock: str) -> None:
    assert_problem(open_for(caller, account, unlock), 404, "unlock_not_found")
    assert caller.balance(account) == 1000


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"account": "a b", "unlock": "brand-kit"},
        {"unlock": "brand-kit"},
        {"account": "team", "unlock": ""},
        {"account": "team", "unlock": "a" * 65},
        {"account": "team", "unlock": 1},
        {"account": "team", "unlock": None},
        {"account": "team", "unlock": "brand-kit", "amount": 1},
    ],
)
def test_malformed_requests_are_refused(caller: Caller, body: dict[str, Any]) -> None:
    assert_problem(caller.post("/unlocks", body), 400, "invalid_request")


@pytest.mark.parametrize("more", [{"reference": "\x00"}, {"metadata": {"a": "\x00"}}, {"metadata": {"a": "\ud800"}}])
def test_what_no_column_holds_is_refused(caller: Caller, account: str, more: dict[str, Any]) -> None:
    assert_problem(open_for(caller, account, **more), 400, "invalid_request")


def test_unknown_accounts_are_not_found(caller: Caller) -> None:
    assert_problem(open_for(caller, new_name()), 404, "account_not_found")
    assert_problem(caller.get(f"/accounts/{new_name()}/unlocks"), 404, "account_not_found")


def test_scopes_decide_who_may(caller: Caller, caller_with: Callable[..., Caller], account: str) -> None:
    reader, spender, granter = (
        caller_with(scopes=(scope,)) for scope in ("accounts:read", "credits:spend", "credits:grant")
    )
    assert_problem(open_for(reader, account), 403, "missing_scope")
    assert open_for(spender, account).status_code == 201
    assert opened(reader, account) == opened(spender, account) == ["brand-kit"]
    assert_problem(granter.get(f"/accounts/{account}/unlocks"), 403, "missing_scope")
    assert granter.get("/unlocks").status_code == 200


def test_of_many_at_once_one_is_charged(app: Flask, caller: Caller, account: str, secret: str) -> None:
    gate = Barrier(8)

    def one(_number: int) -> int:
        mine = Caller(app.test_client(), secret)
        gate.wait(30)
        return open_for(mine, account).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(one, range(8))) == [200] * 7 + [201]
    assert caller.balance(account) == 750


def test_many_at_once_under_one_key_are_answered_alike(app: Flask, caller: Caller, account: str, secret: str) -> None:
    gate = Barrier(8)

    def one(_number: int) -> tuple[int, str, bool]:
        mine = Caller(app.test_client(), secret)
        gate.wait(30)
        response = open_for(mine, account, key="same")
        return response.status_code, response.text, "Idempotent-Replayed" in response.headers

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    assert len({(status, text) for status, text, _replayed in answers}) == 1
    assert answers[0][0] == 201
    assert sorted(replayed for *_rest, replayed in answers) == [False] + [True] * 7
    assert caller.balance(account) == 750


@pytest.fixture
def fresh_caller(fresh_app: Flask) -> Caller:
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    return Caller(fresh_app.test_client(), make_secret(fresh_app))


def test_what_is_open_for_days_ends_after_them_and_can_be_opened_again(fresh_app: Flask, fresh_caller: Caller) -> None:
    caller = fresh_caller
    account = caller.new_account(credits=100)
    answer = open_for(caller, account, "high-resolution", key="may").get_json()
    assert datetime.fromisoformat(answer["until"]) - datetime.fromisoformat(answer["since"]) == timedelta(days=30)
    pass_time(fresh_app, 30 * 86_400 - 60)
    assert opened(caller, account) == ["high-resolution"]
    assert open_for(caller, account, "high-resolution").status_code == 200
    pass_time(fresh_app, 120)
    assert opened(caller, account) == []
    assert open_for(caller, account, "high-resolution", key="may").get_json() == answer
    assert open_for(caller, account, "high-resolution", key="june").status_code == 201
    assert opened(caller, account) == ["high-resolution"]
    assert caller.balance(account) == 50


def test_what_was_bought_stays_what_it_was(fresh_app: Flask, fresh_caller: Caller) -> None:
    caller = fresh_caller
    account = caller.new_account(credits=1000)
    first = open_for(caller, account).get_json()
    with fresh_app.app_context(), unit_of_work() as session:
        from webapp.catalog.unlock import find_unlock

        kit = find_unlock(session, key="brand-kit")
        kit.credits, kit.features, kit.duration_days = 900, ["own-font"], 1
    assert open_for(caller, account).get_json() == first
    assert caller.get(f"/accounts/{account}/unlocks").get_json()["data"] == [first]
