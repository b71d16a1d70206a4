"""The first units of each period cost nothing: through every call, counted once, at once and late."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from jobs.charge_usage import charge_usage
from tests.api.conftest import Caller, assert_problem, statements_of
from tests.api.priced_features import MakeFeature
from tests.api.test_batches import results as batch_results
from tests.api.test_dimensions import put_on_plan
from webapp import clock
from webapp.api.charging import charge

TERMS = {"model": "per_unit", "credits": 3, "free": {"quantity": 10, "per": "month"}}


@pytest.fixture
def feature(make_feature: MakeFeature) -> str:
    return make_feature(TERMS)


@pytest.fixture
def use(caller: Caller, feature: str) -> Callable[..., Any]:
    """Spends on the feature; returns the answer."""

    def spend(account: str, quantity: int = 1, *, path: str = "/spends", key: str | None = None, **more: Any) -> Any:
        return caller.post(path, {"account": account, "feature": feature, "quantity": quantity, **more}, key=key)

    return spend


def left(caller: Caller, account: str, feature: str) -> int:
    answer = caller.get(f"/accounts/{account}/limits").get_json()
    [found] = [one["left"] for one in answer["allowances"] if one["feature"] == feature]
    return int(found)


def test_the_first_units_are_free_and_the_rest_is_priced_as_before(
    caller: Caller, use: Callable[..., Any], feature: str
) -> None:
    name = caller.new_account(credits=100)
    assert [use(name, 4).get_json()["amount"] for _ in range(4)] == [0, 0, -6, -12]
    mixed = caller.get(f"/entries/{name}:4").get_json()
    assert (mixed["quantity"], mixed["balance_after"]) == (4, 94)
    assert mixed["arithmetic"]["lines"] == [
        {"quantity": 2, "free": 10, "per": "month", "used": 8, "credits": 0},
        {"quantity": 2, "credits_per_unit": 3, "credits": 6},
    ]
    assert "count" not in mixed["arithmetic"]
    whole = caller.get(f"/entries/{name}:2").get_json()
    assert (whole["amount"], whole["draws"], whole["arithmetic"]["credits"]) == (0, [], 0)
    assert left(caller, name, feature) == 0


def test_who_has_no_credits_uses_what_is_free_and_no_more(
    caller: Caller, use: Callable[..., Any], feature: str
) -> None:
    name = caller.new_account()
    assert_problem(use(name, 11), 402, "insufficient_credits", required=3, available=0)
    assert use(name, 10).status_code == 201
    assert_problem(use(name), 402, "insufficient_credits", required=3)


def test_an_estimate_says_what_is_free(caller: Caller, use: Callable[..., Any]) -> None:
    name = caller.new_account()
    answer = use(name, 4, path="/estimates").get_json()
    assert (answer["cost"], answer["affordable"], answer["free"], answer["refused"]) == (0, True, 4, None)
    use(name, 9)
    answer = use(name, 4, path="/estimates").get_json()
    assert (answer["cost"], answer["affordable"], answer["free"]) == (9, False, 1)


def test_the_same_key_is_one_use(caller: Caller, use: Callable[..., Any], feature: str) -> None:
    name = caller.new_account(credits=100)
    first, again = (use(name, 10, key="one") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.get_json(), again.headers["Idempotent-Replayed"]) == (again.get_json(), "true")
    assert left(caller, name, feature) == 0
    assert use(name).get_json()["amount"] == -3
    assert use(name, 10, key="one").get_json()["amount"] == 0
    assert_problem(use(name, 9, key="one"), 422, "idempotency_key_reused")


def test_a_use_given_back_in_whole_leaves_its_units_free_again(
    caller: Caller, use: Callable[..., Any], feature: str
) -> None:
    name = caller.new_account(credits=100)
    free, mixed = use(name, 8).get_json()["id"], use(name, 4).get_json()["id"]
    assert caller.post(f"/spends/{mixed}/refund", {"reason": "Half", "amount": 3}).status_code == 201
    assert left(caller, name, feature) == 0
    assert caller.post(f"/spends/{mixed}/refund", {"reason": "All"}).status_code == 201
    assert left(caller, name, feature) == 2
    refund = caller.post(f"/spends/{free}/refund", {"reason": "Failed"})
    assert (refund.status_code, refund.get_json()["amount"]) == (201, 0)
    assert left(caller, name, feature) == 10
    assert_problem(caller.post(f"/spends/{free}/refund", {"reason": "Again"}), 422, "exceeds_spend")


def test_twenty_uses_at_once_get_no_more_than_is_free(app: Flask, secret: str, caller: Caller, feature: str) -> None:
    name = caller.new_account(credits=30)

    def spend(number: int) -> tuple[int, int]:
        mine = Caller(app.test_client(), secret)
        answer = mine.post("/spends", {"account": name, "feature": feature, "quantity": 1}, key=f"use-{number % 20}")
        return answer.status_code, answer.get_json().get("amount", 0)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(spend, range(24)))  # four of them twice
    assert {status for status, _ in answers} == {201}
    entries = caller.get(f"/accounts/{name}/entries?kind=spend").get_json()["data"]
    assert sorted(entry["amount"] for entry in entries) == [-3] * 10 + [0] * 10
    assert caller.balance(name) == 0


def test_a_batch_prices_its_items_one_after_the_other(caller: Caller, feature: str) -> None:
    name, other = caller.new_account(credits=100), caller.new_account(credits=100)
    items = [
        {"account": account, "feature": feature, "quantity": 4, "idempotency_key": f"{place}"}
        for place, account in enumerate([name, other, name, name, other])
    ]
    items.append({"account": name, "amount": 5, "description": "Test", "idempotency_key": "plain"})
    done = batch_results(caller, items)
    assert [one["entry"]["amount"] for one in done] == [0, 0, 0, -6, 0, -5]
    assert [one["entry"]["amount"] for one in batch_results(caller, items)] == [0, 0, 0, -6, 0, -5]


def test_an_item_that_is_refused_takes_nothing_of_what_is_free(caller: Caller, feature: str) -> None:
    name = caller.new_account(credits=5)
    items = [
        {"account": name, "feature": feature, "quantity": quantity, "idempotency_key": key}
        for key, quantity in (("a", 8), ("b", 5), ("c", 2), ("c", 2), ("d", 1))
    ]
    done = batch_results(caller, items)
    assert [one["status"] for one in done] == [201, 402, 201, 201, 201]
    assert [one["entry"]["amount"] for one in done if "entry" in one] == [0, 0, 0, -3]
    assert done[3]["replayed"]


def test_what_is_held_is_not_free_for_others(caller: Caller, use: Callable[..., Any], feature: str) -> None:
    name = caller.new_account(credits=100)
    hold = use(name, 8, path="/holds").get_json()
    assert (hold["amount"], hold["draws"], left(caller, name, feature)) == (0, [], 2)
    assert use(name, 4).get_json()["amount"] == -6
    assert caller.post(f"/holds/{hold['id']}/capture", {}).get_json()["amount"] == 0
    assert left(caller, name, feature) == 0
    again = use(name, 2, path="/holds").get_json()
    assert again["amount"] == 6
    assert caller.post(f"/holds/{again['id']}/void", {}).get_json()["state"] == "voided"


def test_a_hold_that_is_void_gives_its_units_back(caller: Caller, use: Callable[..., Any], feature: str) -> None:
    name = caller.new_account(credits=100)
    hold = use(name, 8, path="/holds", key="h").get_json()
    assert use(name, 8, path="/holds", key="h").get_json() == hold
    assert caller.post(f"/holds/{hold['id']}/void", {}).status_code == 200
    assert left(caller, name, feature) == 10


def test_queued_usage_is_free_in_the_order_in_which_it_came(
    app: Flask, caller: Caller, use: Callable[..., Any], feature: str
) -> None:
    name = caller.new_account(credits=100)
    items = [{"account": name, "feature": feature, "quantity": 4, "idempotency_key": f"{place}"} for place in range(4)]
    told = caller.post("/usage", {"items": items}, headers={"Idempotency-Key": None}).get_json()
    use(name, 1)
    with app.app_context():
        charge_usage()
    done = caller.get(f"/usage/{told['batch']}").get_json()["results"]
    assert [one["cost"] for one in done] == [0, 0, 9, 12]
    assert caller.balance(name) == 100 - 21


def test_usage_told_late_counts_in_its_own_month(caller: Caller, use: Callable[..., Any], feature: str) -> None:
    name = caller.new_account(credits=100)
    then = clock.now() - timedelta(days=32)
    assert use(name, 9, occurred_at=then.isoformat()).get_json()["amount"] == 0
    assert use(name, 9).get_json()["amount"] == 0
    assert use(name, 2, occurred_at=then.isoformat()).get_json()["amount"] == -3


def test_plans_have_allowances_of_their_own(app: Flask, caller: Caller, make_feature: MakeFeature) -> None:
    plain = {"model": "per_unit", "credits": 3}
    pro = {"when": {"plan": "pro"}, "model": "per_unit", "credits": 2, "free": {"quantity": 5, "per": "day"}}
    feature = make_feature({**plain, "variants": [pro]})
    free, paying = caller.new_account(credits=100), caller.new_account(credits=100)
    put_on_plan(app, paying, "pro")
    amounts = {}
    for name in (free, paying):
        body = {"account": name, "feature": feature, "quantity": 6}
        amounts[name] = caller.post("/spends", body).get_json()["amount"]
    assert amounts == {free: -18, paying: -2}
    assert left(caller, paying, feature) == 0
    assert feature not in {one["feature"] for one in caller.get(f"/accounts/{free}/limits").get_json()["allowances"]}


def test_work_that_is_charged_for_uses_what_is_free(app: Flask, caller: Caller, feature: str) -> None:
    name = caller.new_account(credits=100)
    with app.app_context():
        with charge(account=name, feature=feature, quantity=12, key="work") as charged:
            assert charged.cost == 6
            assert left(caller, name, feature) == 0
            charged.quantity = 4
            assert charged.cost == 0
        assert charged.entry is not None
        assert (charged.entry.amount, charged.entry.quantity, left(caller, name, feature)) == (0, 4, 6)
        with charge(account=name, feature=feature, quantity=2, key="more") as charged:
            charged.quantity = 5  # what was not promised to be free is not
            assert charged.cost == 9
        with charge(account=name, feature=feature, key="none") as charged:
            charged.quantity = 0
    assert caller.balance(name) == 91
    assert left(caller, name, feature) == 1


def test_a_feature_without_anything_free_is_still_one_round_trip(
    app: Flask, caller: Caller, make_feature: MakeFeature
) -> None:
    plain = make_feature({"model": "per_unit", "credits": 3})
    name = caller.new_account(credits=100)
    caller.post("/spends", {"account": name, "feature": plain})
    with statements_of(app) as seen:
        assert caller.post("/spends", {"account": name, "feature": plain}).status_code == 201
    assert len(seen) == 1, seen
