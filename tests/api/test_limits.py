"""Ceilings by plan: enforced wherever something is used, told before it, and gone when the window turns."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from flask import Flask

from jobs.charge_usage import charge_usage
from jobs.sweep_usage import sweep_usage
from tests.api.conftest import Caller, assert_problem, make_secret, pass_time, statements_of
from tests.api.priced_features import MakeFeature
from tests.api.test_batches import results as batch_results
from tests.api.test_dimensions import put_on_plan
from tests.api.test_kept import shop as shop
from webapp import clock
from webapp.api.charging import ChargeRefused, charge

TERMS = {"model": "per_unit", "credits": 3}


@pytest.fixture
def feature(make_feature: MakeFeature) -> str:
    return make_feature(TERMS, ceilings={"free": "5/month", "pro": "50/month"})


def spend(caller: Caller, account: str, feature: str, quantity: int = 1, key: str | None = None, **more: Any) -> Any:
    return caller.post("/spends", {"account": account, "feature": feature, "quantity": quantity, **more}, key=key)


def test_a_spend_beyond_the_ceiling_is_refused_until_the_window_turns(caller: Caller, feature: str) -> None:
    name = caller.new_account(credits=100)
    assert spend(caller, name, feature, 4).status_code == 201
    refused = spend(caller, name, feature, 2)
    problem = assert_problem(refused, 429, "limit_reached", feature=feature, limit=5, used=4, window="month")
    turns = (datetime.fromisoformat(problem["resets_at"]) - clock.now()).total_seconds()
    assert 0 < int(refused.headers["Retry-After"]) - turns < 5
    assert problem["detail"] == "The plan allows 5 of these a month, and 4 are used."
    assert spend(caller, name, feature, 1).status_code == 201
    assert caller.balance(name) == 85


def test_the_ceiling_is_that_of_the_plan(app: Flask, caller: Caller, feature: str) -> None:
    nobody, free, pro, lifetime = (caller.new_account(credits=100) for _ in range(4))
    put_on_plan(app, free, "free")
    put_on_plan(app, pro, "pro")
    put_on_plan(app, lifetime, "lifetime")
    statuses = {name: spend(caller, name, feature, 6).status_code for name in (nobody, free, pro, lifetime)}
    assert statuses == {nobody: 429, free: 429, pro: 201, lifetime: 201}


def test_what_was_done_before_is_answered_again_at_the_ceiling(caller: Caller, feature: str) -> None:
    name = caller.new_account(credits=100)
    first = spend(caller, name, feature, 5, key="a")
    assert_problem(spend(caller, name, feature, key="b"), 429, "limit_reached")
    assert spend(caller, name, feature, 5, key="a").get_json() == first.get_json()
    assert_problem(spend(caller, name, feature, 4, key="a"), 422, "idempotency_key_reused")


def test_twenty_spends_at_once_stay_below_the_ceiling(app: Flask, secret: str, caller: Caller, feature: str) -> None:
    name = caller.new_account(credits=100)
    with ThreadPoolExecutor(8) as threads:
        done = list(
            threads.map(lambda _: spend(Caller(app.test_client(), secret), name, feature).status_code, range(20))
        )
    assert sorted(done) == [201] * 5 + [429] * 15


def test_an_item_of_a_batch_is_refused_and_harms_no_other(caller: Caller, feature: str) -> None:
    name, other = caller.new_account(credits=100), caller.new_account(credits=100)
    items = [
        {"account": account, "feature": feature, "quantity": quantity, "idempotency_key": f"{place}"}
        for place, (account, quantity) in enumerate([(name, 3), (name, 3), (name, 2), (other, 5), (name, 1)])
    ]
    done = batch_results(caller, items)
    assert [one["status"] for one in done] == [201, 429, 201, 201, 429]
    assert (done[1]["problem"]["code"], done[1]["problem"]["used"]) == ("limit_reached", 3)


def test_a_hold_counts_while_it_is_open_and_its_capture_after_it(caller: Caller, feature: str) -> None:
    name = caller.new_account(credits=100)
    hold = caller.post("/holds", {"account": name, "feature": feature, "quantity": 4}).get_json()
    assert_problem(spend(caller, name, feature, 2), 429, "limit_reached", used=4)
    assert_problem(
        caller.post("/holds", {"account": name, "feature": feature, "quantity": 2}), 429, "limit_reached", used=4
    )
    assert caller.post(f"/holds/{hold['id']}/capture", {"amount": 5}).status_code == 200
    assert_problem(spend(caller, name, feature, 2), 429, "limit_reached", used=4)
    assert spend(caller, name, feature).status_code == 201


def test_an_estimate_calls_nothing_affordable_that_would_be_refused(app: Flask, caller: Caller, feature: str) -> None:
    name = caller.new_account(credits=100)
    body = {"account": name, "feature": feature, "quantity": 6}
    answer = caller.post("/estimates", body).get_json()
    assert (answer["cost"], answer["affordable"], answer["refused"], answer["draws"]) == (
        18,
        False,
        "limit_reached",
        [],
    )
    assert caller.post("/estimates", {**body, "quantity": 5}).get_json()["affordable"]
    command = ["account", "suspend", name, "--reason", "Chargebacks"]
    assert app.test_cli_runner().invoke(args=command).exit_code == 0
    for asked in ({**body, "quantity": 5}, {"account": name, "amount": 1}):
        answer = caller.post("/estimates", asked).get_json()
        assert (answer["affordable"], answer["refused"]) == (False, "account_suspended")


def test_work_does_not_begin_beyond_the_ceiling(app: Flask, caller: Caller, feature: str) -> None:
    name = caller.new_account(credits=100)
    with app.app_context():
        with charge(account=name, feature=feature, quantity=3, key="work"):
            assert_problem(spend(caller, name, feature, 3), 429, "limit_reached", used=3)
        with pytest.raises(ChargeRefused) as refused, charge(account=name, feature=feature, quantity=3, key="more"):
            pytest.fail("the work began")
        assert (refused.value.problem.status, refused.value.problem.code) == (429, "limit_reached")
    assert caller.balance(name) == 91


def test_queued_usage_beyond_the_ceiling_waits_until_the_plan_allows_it(
    app: Flask, caller: Caller, feature: str, superuser_connection: psycopg.Connection
) -> None:
    name = caller.new_account(credits=100)
    items = [{"account": name, "feature": feature, "quantity": 3, "idempotency_key": f"{n}"} for n in range(2)]
    batch = caller.post("/usage", {"items": items}, headers={"Idempotency-Key": None}).get_json()["batch"]

    def states() -> list[str]:
        with app.app_context():
            charge_usage()
        return [one["status"] for one in caller.get(f"/usage/{batch}").get_json()["results"]]

    assert states() == ["charged", "parked"]
    parked = caller.get(f"/usage/{batch}").get_json()["results"][1]["problem"]
    assert (parked["status"], parked["code"], parked["limit"], parked["used"]) == (429, "limit_reached", 5, 3)
    superuser_connection.execute("UPDATE plan_limits SET quantity = 9 WHERE feature = %s", [feature])
    caller.post("/grants", {"account": name, "amount": 1, "reason": "Test"})
    with app.app_context():
        sweep_usage()
    assert states() == ["charged", "parked"]  # tried once an hour, however often the account changes
    superuser_connection.execute(
        "UPDATE usage_events SET since = since - interval '2 hours' WHERE batch = %s AND state = 'parked'", [batch]
    )
    with app.app_context():
        sweep_usage()
    assert states() == ["charged", "charged"]
    assert caller.balance(name) == 101 - 18


def test_the_account_says_what_it_may_still_use(app: Flask, caller: Caller, make_feature: MakeFeature) -> None:
    feature = make_feature({**TERMS, "free": {"quantity": 4, "per": "day"}}, ceilings={"free": "5/day"})
    name = caller.new_account(credits=100)
    spend(caller, name, feature, 3)
    answer = caller.get(f"/accounts/{name}/limits").get_json()
    assert answer.keys() == {"account", "plan", "time_zone", "limits", "allowances"}
    assert (answer["account"], answer["plan"], answer["time_zone"]) == (name, None, "UTC")
    [limit] = [one for one in answer["limits"] if one["feature"] == feature]
    [free] = [one for one in answer["allowances"] if one["feature"] == feature]
    midnight = (clock.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    resets_at = midnight.isoformat().replace("+00:00", "")
    assert limit.pop("resets_at").startswith(resets_at)
    assert free.pop("resets_at").startswith(resets_at)
    assert limit == {"feature": feature, "window": "day", "limit": 5, "used": 3, "left": 2}
    assert free == {"feature": feature, "window": "day", "quantity": 4, "used": 3, "left": 1, "when": {}}
    assert_problem(caller.get("/accounts/nobody/limits"), 404, "account_not_found")


def test_the_window_turns_with_the_clock_of_the_account(shop: Flask) -> None:
    caller = Caller(shop.test_client(), make_secret(shop))
    run = shop.test_cli_runner().invoke
    assert run(args=["plan", "limit", "free", "image", "1/hour"]).exit_code == 0
    assert run(args=["plan", "limit", "free", "image", "2/day"]).exit_code == 0
    caller.put("/accounts/team", {"time_zone": "Asia/Kolkata"})
    caller.post("/grants", {"account": "team", "amount": 100, "reason": "Test"})
    there = clock.now().astimezone(ZoneInfo("Asia/Kolkata"))
    tomorrow = (there + timedelta(days=1)).replace(hour=0, minute=10, second=0, microsecond=0)
    pass_time(shop, (tomorrow - there).total_seconds())
    assert spend(caller, "team", "image").status_code == 201
    refused = spend(caller, "team", "image")
    problem = assert_problem(refused, 429, "limit_reached", window="hour", limit=1)
    assert datetime.fromisoformat(problem["resets_at"]).strftime("%H:%M") == "19:30"
    pass_time(shop, int(refused.headers["Retry-After"]))
    assert spend(caller, "team", "image").status_code == 201
    refused = spend(caller, "team", "image")
    problem = assert_problem(refused, 429, "limit_reached", window="day", limit=2)
    assert datetime.fromisoformat(problem["resets_at"]).strftime("%H:%M") == "18:30"
    pass_time(shop, int(refused.headers["Retry-After"]))
    assert spend(caller, "team", "image").status_code == 201


def test_a_ceiling_counts_at_once_for_a_price_that_is_kept(shop: Flask) -> None:
    caller = Caller(shop.test_client(), make_secret(shop))
    name = caller.new_account(credits=100)
    for _ in range(2):
        assert spend(caller, name, "image").status_code == 201
    with statements_of(shop) as seen:
        spend(caller, name, "image")
    assert len(seen) == 1
    run = shop.test_cli_runner().invoke
    assert run(args=["plan", "limit", "free", "image", "3/month"]).exit_code == 0
    assert_problem(spend(caller, name, "image"), 429, "limit_reached", used=3)
    assert run(args=["plan", "unlimit", "free", "image"]).exit_code == 0
    for _ in range(2):
        assert spend(caller, name, "image").status_code == 201
    with statements_of(shop) as seen:
        spend(caller, name, "image")
    assert len(seen) == 1


def test_ceilings_are_set_listed_and_removed_by_command(shop: Flask) -> None:
    run = shop.test_cli_runner().invoke
    assert run(args=["plan", "limits"]).output == "No plan limits anything.\n"
    for ceiling in ("50/day", "5/hour", "60/day"):
        assert run(args=["plan", "limit", "pro", "image", ceiling, "--actor", "ops"]).exit_code == 0
    assert [line.split()[:3] for line in run(args=["plan", "limits", "pro"]).output.splitlines()] == [
        ["pro", "image", "5/hour"],
        ["pro", "image", "60/day"],
    ]
    for bad in (
        ["none", "image", "5/day"],
        ["pro", "none", "5/day"],
        ["pro", "image", "5/week"],
        ["pro", "image", "x"],
    ):
        result = run(args=["plan", "limit", *bad])
        assert (result.exit_code, "Error" in result.output) == (2, True)
    assert run(args=["plan", "unlimit", "pro", "image", "--per", "hour"]).exit_code == 0
    assert run(args=["plan", "unlimit", "pro", "image", "--per", "hour"]).exit_code == 1
    assert "60/day" in run(args=["plan", "limits"]).output
