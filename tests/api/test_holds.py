"""Reserving credits before the work, and charging or giving them back after it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask

from tests.api.conftest import Caller, assert_problem, new_name, pass_time
from tests.api.test_spends import MEMBERS
from webapp import clock

HOLD = {
    "id", "account", "amount", "captured", "state", "feature", "quantity", "description", "reference", "metadata",
    "expires_at", "created_at", "draws",
}  # fmt: skip


def figures(caller: Caller, account: str) -> tuple[int, int, int]:
    """Balance, held, available."""
    found = caller.get(f"/accounts/{account}").get_json()
    return found["balance"], found["held"], found["available"]


def test_a_hold_is_answered_as_the_contract_lists_it(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    answer = caller.hold(name, 30, description="A film", reference="film/7", metadata={"a": [1]})
    assert answer.status_code == 201, answer.text
    hold = answer.get_json()
    assert hold.keys() == HOLD
    assert hold["id"] == f"{name}:h1"
    assert (hold["account"], hold["amount"], hold["captured"], hold["state"]) == (name, 30, 0, "open")
    assert (hold["feature"], hold["quantity"], hold["description"]) == (None, None, "A film")
    assert (hold["reference"], hold["metadata"]) == ("film/7", {"a": [1]})
    lasts = datetime.fromisoformat(hold["expires_at"]) - datetime.fromisoformat(hold["created_at"])
    assert lasts == timedelta(minutes=15)
    assert hold["created_at"].endswith("Z")
    assert hold["draws"] == [{"grant": 1, "source": "api", "source_key": None, "amount": 30, "expires_at": None}]
    assert figures(caller, name) == (100, 30, 70)
    assert caller.hold(name, 1).get_json()["id"] == f"{name}:h2"


def test_a_hold_by_feature_costs_what_the_rate_card_says_and_its_capture_tells_the_arithmetic(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    hold = caller.post("/holds", {"account": name, "feature": "image", "quantity": 2, "dimensions": {}}).get_json()
    cost = caller.post("/estimates", {"account": name, "feature": "image", "quantity": 2}).get_json()["cost"]
    assert (hold["feature"], hold["quantity"], hold["amount"]) == ("image", 2, cost)
    entry = caller.post(f"/holds/{hold['id']}/capture").get_json()
    assert (entry["feature"], entry["quantity"], entry["amount"]) == ("image", 2, -cost)
    assert caller.get(f"/entries/{entry['id']}").get_json()["arithmetic"]["credits"] == cost


def test_holds_reserve_the_credits_that_would_be_spent_first(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    soon = (clock.now() + timedelta(days=1)).replace(microsecond=0).isoformat()
    caller.post("/grants", {"account": name, "amount": 20, "expires_at": soon, "reason": "x", "source_key": "s"})
    draws = caller.hold(name, 25).get_json()["draws"]
    assert [(draw["grant"], draw["source_key"], draw["amount"]) for draw in draws] == [(2, "s", 20), (1, None, 5)]


def test_a_capture_is_answered_with_its_entry_and_ends_the_hold(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    hold = caller.hold(name, 30, description="A film", reference="film/7", metadata={"a": 1}).get_json()["id"]
    answer = caller.post(f"/holds/{hold}/capture", {"amount": 12}, key="done")
    assert answer.status_code == 200
    entry = answer.get_json()
    assert entry.keys() == MEMBERS
    assert (entry["id"], entry["kind"], entry["amount"], entry["balance_after"]) == (f"{name}:2", "spend", -12, 88)
    assert (entry["description"], entry["reference"], entry["metadata"]) == ("A film", "film/7", {"a": 1})
    assert (entry["idempotency_key"], entry["hold"]) == ("done", hold)
    assert figures(caller, name) == (88, 0, 88)
    found = caller.get(f"/holds/{hold}").get_json()
    assert (found["state"], found["amount"], found["captured"]) == ("captured", 30, 12)
    listed = caller.get(f"/accounts/{name}/entries").get_json()["data"]
    assert [one["hold"] for one in listed] == [hold, None]
    assert caller.get(f"/entries/{entry['id']}").get_json()["hold"] == hold


def test_a_capture_may_say_better_what_it_was_for(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    hold = caller.hold(name, 30, description="A film", reference="film/7", metadata={"a": 1}).get_json()["id"]
    said = {"description": "Half a film", "reference": "film/8", "metadata": {"b": 2}}
    entry = caller.post(f"/holds/{hold}/capture", said).get_json()
    assert {key: entry[key] for key in said} == said


def test_a_void_gives_everything_back_and_is_answered_with_the_hold(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    placed = caller.hold(name, 30).get_json()
    answer = caller.post(f"/holds/{placed['id']}/void")
    assert (answer.status_code, answer.get_json()) == (200, {**placed, "state": "voided"})
    assert caller.get(f"/holds/{placed['id']}").get_json() == answer.get_json()
    assert figures(caller, name) == (100, 0, 100)
    other = caller.hold(name, 5).get_json()["id"]
    assert caller.post(f"/holds/{other}/void", {}).status_code == 200


def test_what_cannot_be_reserved_is_402_and_changes_nothing(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    caller.put(f"/accounts/{name}", {"overdraft_limit": 50})  # what is promised must be there
    caller.hold(name, 60)
    refused = caller.hold(name, 41, key="again")
    problem = assert_problem(refused, 402, "insufficient_credits", required=41, available=40)
    assert problem["buy_url"].endswith("/pricing")
    assert figures(caller, name) == (100, 60, 40)
    caller.post("/grants", {"account": name, "amount": 1, "reason": "Top-up"})
    assert caller.hold(name, 41, key="again").status_code == 201


def test_a_spend_cannot_take_what_is_held(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    caller.hold(name, 60)
    assert_problem(caller.spend(name, 41), 402, "insufficient_credits", required=41, available=40)
    assert caller.spend(name, 40).status_code == 201
    assert figures(caller, name) == (60, 60, 0)


def test_more_than_is_held_is_charged_only_when_that_is_allowed(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    hold = caller.hold(name, 30).get_json()["id"]
    assert_problem(caller.post(f"/holds/{hold}/capture", {"amount": 31}), 422, "exceeds_hold", held=30)
    too_much = caller.post(f"/holds/{hold}/capture", {"amount": 101, "allow_excess": True}, key="more")
    assert_problem(too_much, 402, "insufficient_credits", required=71, available=70)
    assert caller.get(f"/holds/{hold}").get_json()["state"] == "open"
    entry = caller.post(f"/holds/{hold}/capture", {"amount": 90, "allow_excess": True}, key="more").get_json()
    assert (entry["amount"], entry["balance_after"]) == (-90, 10)
    found = caller.get(f"/holds/{hold}").get_json()
    assert (found["amount"], found["captured"]) == (30, 30)


@pytest.mark.parametrize("how", ["capture", "void", "lapse"])
def test_anything_on_a_hold_that_has_ended_is_hold_closed(caller: Caller, app: Flask, how: str) -> None:
    name = caller.new_account(credits=100)
    hold = caller.hold(name, 30, expires_in=1).get_json()["id"]
    if how == "lapse":
        pass_time(app, 2)
    else:
        assert caller.post(f"/holds/{hold}/{how}").status_code == 200
    state = {"capture": "captured", "void": "voided", "lapse": "lapsed"}[how]
    for what, body in (("capture", None), ("capture", {"amount": 31}), ("void", None)):
        assert_problem(caller.post(f"/holds/{hold}/{what}", body), 409, "hold_closed", state=state)
    assert caller.get(f"/holds/{hold}").get_json()["state"] == state


def test_a_hold_lapses_by_itself_and_nobody_has_to_notice(caller: Caller, app: Flask) -> None:
    name = caller.new_account(credits=100)
    hold = caller.hold(name, 30, expires_in=60).get_json()["id"]
    other = caller.hold(name, 5).get_json()["id"]
    pass_time(app, 59)
    assert figures(caller, name) == (100, 35, 65)
    pass_time(app, 1.5)
    assert figures(caller, name) == (100, 5, 95)
    found = caller.get(f"/holds/{hold}").get_json()
    assert (found["state"], found["captured"]) == ("lapsed", 0)
    assert [one["id"] for one in caller.get(f"/accounts/{name}/holds").get_json()["data"]] == [other]
    estimate = caller.post("/estimates", {"account": name, "amount": 95}).get_json()
    assert (estimate["affordable"], [draw["amount"] for draw in estimate["draws"]]) == (True, [95])


def test_an_estimate_leaves_held_credits_alone(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    caller.post("/grants", {"account": name, "amount": 20, "priority": 5, "reason": "x"})
    caller.hold(name, 8)
    estimate = caller.post("/estimates", {"account": name, "amount": 15, "description": "x"}).get_json()
    assert estimate["available"] == 22
    assert [(draw["grant"], draw["amount"]) for draw in estimate["draws"]] == [(1, 2), (2, 13)]
    spent = caller.spend(name, 15).get_json()
    drawn = caller.get(f"/entries/{spent['id']}").get_json()["draws"]
    assert [(draw["grant"], -draw["amount"]) for draw in drawn] == [(1, 2), (2, 13)]
    refused = caller.post("/estimates", {"account": name, "amount": 8}).get_json()
    assert (refused["affordable"], refused["draws"]) == (False, [])


def test_the_open_holds_of_an_account_are_listed_in_the_order_in_which_they_lapse(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    late, soon, gone = (
        caller.hold(name, amount, expires_in=seconds).get_json()["id"]
        for amount, seconds in ((1, 3000), (2, 600), (3, 900))
    )
    caller.post(f"/holds/{gone}/void")
    listed = caller.get(f"/accounts/{name}/holds").get_json()
    assert listed.keys() == {"data"}
    assert [one["id"] for one in listed["data"]] == [soon, late]
    assert listed["data"][0] == caller.get(f"/holds/{soon}").get_json()
    assert len(caller.get(f"/accounts/{name}/holds?limit=1").get_json()["data"]) == 1
    assert_problem(caller.get(f"/accounts/{name}/holds?limit=201"), 400, "invalid_request", field="limit")
    assert_problem(caller.get(f"/accounts/{new_name()}/holds"), 404, "account_not_found")


def test_the_balance_of_a_past_moment_knows_what_was_held_then(caller: Caller, app: Flask) -> None:
    name = caller.new_account(credits=100)
    caller.hold(name, 30, expires_in=60)
    during = caller.get(f"/accounts/{name}/balance").get_json()
    assert (during["balance"], during["held"], during["available"], during["debt"]) == (100, 30, 70, 0)
    pass_time(app, 61)
    after = caller.get(f"/accounts/{name}/balance").get_json()
    caller.spend(name, 90)
    for seen in (during, after):
        assert caller.get(f"/accounts/{name}/balance", query_string={"at": seen["at"]}).get_json() == seen
    assert (after["held"], after["available"]) == (0, 100)


# ---------------------------------------------------------------- one key, one intent


def test_a_replay_is_answered_like_the_first_time_whatever_became_of_the_hold(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    body = {"account": name, "amount": 30, "metadata": {"b": 1, "a": 2}}
    placed = caller.post("/holds", body, key="place")
    hold = placed.get_json()["id"]
    captured = caller.post(f"/holds/{hold}/capture", {"amount": 10}, key="capture")
    for first, path, sent, key in (
        (placed, "/holds", body, "place"),
        (captured, f"/holds/{hold}/capture", {"amount": 10}, "capture"),
    ):
        again = caller.post(path, sent, key=key)
        assert (again.status_code, again.data) == (first.status_code, first.data)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first.headers
    other = caller.hold(name, 5).get_json()["id"]
    voided = caller.post(f"/holds/{other}/void", key="void")
    again = caller.post(f"/holds/{other}/void", key="void")
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (200, voided.data, "true")
    assert figures(caller, name) == (90, 0, 90)


def test_a_used_key_with_another_request_is_refused(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    caller.spend(name, 1, key="spend")
    hold = caller.hold(name, 30, key="place").get_json()["id"]
    refused = [
        caller.hold(name, 31, key="place"),
        caller.hold(name, 30, key="place", expires_in=60),
        caller.hold(name, 30, key="spend"),
        caller.spend(name, 30, key="place"),
        caller.post(f"/holds/{hold}/capture", key="place"),
        caller.post(f"/holds/{hold}/void", key="place"),
        caller.post(f"/holds/{hold}/void", key="spend"),
        caller.post(f"/holds/{hold}/capture", key="spend"),
        caller.post("/grants", {"account": name, "amount": 1, "reason": "x"}, key="place"),
    ]
    for answer in refused:
        assert_problem(answer, 422, "idempotency_key_reused")
    caller.post(f"/holds/{hold}/capture", {"amount": 5}, key="capture")
    assert_problem(caller.post(f"/holds/{hold}/capture", {"amount": 6}, key="capture"), 422, "idempotency_key_reused")
    assert_problem(caller.post(f"/holds/{hold}/void", key="capture"), 422, "idempotency_key_reused")
    assert caller.balance(name) == 94


def test_every_write_of_a_hold_needs_a_key(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    hold = caller.hold(name, 30).get_json()["id"]
    for path, body in (
        ("/holds", {"account": name, "amount": 1}),
        (f"/holds/{hold}/capture", None),
        (f"/holds/{hold}/void", None),
    ):
        answer = caller.post(path, body, headers={"Idempotency-Key": None})
        assert_problem(answer, 400, "invalid_request", field="Idempotency-Key")
    assert figures(caller, name) == (100, 30, 70)


def test_simultaneous_first_requests_place_one_hold_and_capture_it_once(app: Flask, secret: str) -> None:
    name = Caller(app.test_client(), secret).new_account(credits=100)

    def ten_times(path: str, body: Any) -> list[tuple[int, bytes]]:
        def once(_number: int) -> tuple[int, bytes]:
            answer = Caller(app.test_client(), secret).post(path, body, key=path)
            return answer.status_code, answer.data

        with ThreadPoolExecutor(10) as threads:
            return list(threads.map(once, range(10)))

    placed = ten_times("/holds", {"account": name, "amount": 30})
    assert set(placed) == {(201, placed[0][1])}
    captured = ten_times(f"/holds/{name}:h1/capture", {"amount": 10})
    assert set(captured) == {(200, captured[0][1])}
    assert figures(Caller(app.test_client(), secret), name) == (90, 0, 90)


def test_of_a_capture_and_a_void_at_once_one_wins(app: Flask, secret: str) -> None:
    caller = Caller(app.test_client(), secret)
    name = caller.new_account(credits=100)
    hold = caller.hold(name, 30).get_json()["id"]

    def end(number: int) -> int:
        return Caller(app.test_client(), secret).post(f"/holds/{hold}/{('capture', 'void')[number % 2]}").status_code

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(end, range(8))) == [200] + [409] * 7


def test_a_placed_hold_is_answered_again_after_its_feature_has_gone(
    caller: Caller, superuser_connection: psycopg.Connection
) -> None:
    feature = f"gone-{uuid4().hex[:8]}"
    superuser_connection.execute(
        "INSERT INTO features (key, name, description, unit, position) VALUES (%s, 'Gone', '', 'x', 99)", [feature]
    )
    superuser_connection.execute(
        "INSERT INTO rates (version, feature, credits_per_unit) SELECT max(version), %s, 3 FROM rate_cards", [feature]
    )
    name = caller.new_account(credits=100)
    body = {"account": name, "feature": feature}
    first = caller.post("/holds", body, key="k")
    assert first.status_code == 201, first.text
    superuser_connection.execute("DELETE FROM rates WHERE feature = %s", [feature])
    again = caller.post("/holds", body, key="k")
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (201, first.data, "true")
    assert_problem(caller.post("/holds", body, key="new"), 400, "invalid_request", field="feature")


# ---------------------------------------------------------------- refusals by name


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": None}, "feature"),
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 10**15 + 1}, "amount"),
        ({"feature": "image"}, "amount"),
        ({"quantity": 2}, "quantity"),
        ({"amount": None, "feature": "no-such-feature"}, "feature"),
        ({"amount": None, "feature": "image", "quantity": 10**15}, "quantity"),
        ({"amount": None, "feature": "image", "dimensions": {"size": "xl"}}, "dimensions"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": 86_401}, "expires_in"),
        ({"expires_in": 1.5}, "expires_in"),
        ({"expires_in": "15m"}, "expires_in"),
        ({"expires_in": None}, "expires_in"),
        ({"description": ""}, "description"),
        ({"description": "x" * 1001}, "description"),
        ({"reference": "x" * 256}, "reference"),
        ({"metadata": []}, "metadata"),
        ({"partial": True}, "partial"),
        ({"occurred_at": "2026-11-21T08:00:00Z"}, "occurred_at"),
        ({"account": "a b"}, "account"),
        ({"account": None}, "account"),
    ],
)
def test_a_malformed_hold_is_refused_naming_the_field(caller: Caller, change: dict[str, object], field: str) -> None:
    name = caller.new_account(credits=100)
    body: dict[str, object] = {"account": name, "amount": 5, **change}
    assert_problem(caller.post("/holds", body), 400, "invalid_request", field=field)
    assert figures(caller, name) == (100, 0, 100)


@pytest.mark.parametrize("seconds", [1, 86_400])
def test_a_hold_lasts_from_a_second_to_a_day(caller: Caller, seconds: int) -> None:
    hold = caller.hold(caller.new_account(credits=1), 1, expires_in=seconds).get_json()
    lasts = datetime.fromisoformat(hold["expires_at"]) - datetime.fromisoformat(hold["created_at"])
    assert lasts == timedelta(seconds=seconds)


@pytest.mark.parametrize("amount", [0, -1, 10**15 + 1, True, 1.0, "1"])
def test_a_capture_of_no_amount_is_refused(caller: Caller, amount: object) -> None:
    name = caller.new_account(credits=100)
    hold = caller.hold(name, 30).get_json()["id"]
    problem = assert_problem(
        caller.post(f"/holds/{hold}/capture", {"amount": amount}), 400, "invalid_request", field="amount"
    )
    assert ("void" in problem["detail"]) == (amount == 0)
    assert caller.get(f"/holds/{hold}").get_json()["state"] == "open"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"allow_excess": 1}, "allow_excess"),
        ({"quantity": 1}, "quantity"),
        ({"description": ""}, "description"),
        ({"feature": "image"}, "feature"),
    ],
)
def test_a_malformed_capture_is_refused_naming_the_field(caller: Caller, body: object, field: str) -> None:
    hold = caller.hold(caller.new_account(credits=100), 30).get_json()["id"]
    assert_problem(caller.post(f"/holds/{hold}/capture", body), 400, "invalid_request", field=field)
    assert_problem(caller.post(f"/holds/{hold}/void", {"amount": 1}), 400, "invalid_request", field="amount")


@pytest.mark.parametrize(
    "hold", ["x", "x:", "x:1", "x:h", "x:h0", "x:h01", "x:h-1", "x:H1", "x:h1.0", ":h1", "x y:h1", "x:h" + "9" * 30]
)
def test_an_id_that_no_hold_can_have_is_not_found(caller: Caller, hold: str) -> None:
    assert_problem(caller.get(f"/holds/{hold}"), 404, "hold_not_found")
    assert_problem(caller.post(f"/holds/{hold}/capture"), 404, "hold_not_found")
    assert_problem(caller.post(f"/holds/{hold}/void"), 404, "hold_not_found")


def test_a_hold_or_account_that_does_not_exist_is_not_found(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    for path in (f"/holds/{name}:h1", f"/holds/{name}:h{10**17}"):
        assert_problem(caller.get(path), 404, "hold_not_found")
        assert_problem(caller.post(f"{path}/capture"), 404, "hold_not_found")
        assert_problem(caller.post(f"{path}/void"), 404, "hold_not_found")
    nobody = new_name()
    assert_problem(caller.get(f"/holds/{nobody}:h1"), 404, "account_not_found")
    assert_problem(caller.hold(nobody, 1), 404, "account_not_found")


def test_the_number_of_a_hold_follows_the_last_colon(caller: Caller) -> None:
    name = "tenant:h7:" + caller.new_account()
    caller.put(f"/accounts/{name}", {})
    caller.post("/grants", {"account": name, "amount": 20, "reason": "x"})
    hold = caller.hold(name, 3).get_json()["id"]
    assert hold == f"{name}:h1"
    assert caller.get(f"/holds/{hold.replace(':', '%3A')}").get_json()["account"] == name


@pytest.mark.parametrize("scope", ["accounts:read", "accounts:write", "credits:spend", "credits:grant"])
def test_only_who_may_spend_may_hold(caller: Caller, caller_with: Callable[..., Caller], scope: str) -> None:
    name = caller.new_account(credits=100)
    hold = caller.hold(name, 30).get_json()["id"]
    limited = caller_with(scopes=[scope])
    readers = ("accounts:read", "credits:spend")
    for path in (f"/holds/{hold}", f"/accounts/{name}/holds"):
        assert limited.get(path).status_code == (200 if scope in readers else 403)
    placed = limited.hold(name, 1)
    assert placed.status_code == (201 if scope == "credits:spend" else 403)
    assert limited.post(f"/holds/{hold}/void").status_code == (200 if scope == "credits:spend" else 403)


def test_the_audit_views_know_a_hold_by_the_same_id(caller: Caller, owner_connection: psycopg.Connection) -> None:
    name = caller.new_account(credits=100)
    hold = caller.hold(name, 30).get_json()
    row = owner_connection.execute(
        "SELECT amount, state, captured FROM ledger.holds_v WHERE hold_id = %s", [hold["id"]]
    ).fetchone()
    assert row == (30, "open", 0)
    drawn = owner_connection.execute(
        "SELECT grant_id, amount FROM ledger.hold_draws_v WHERE hold_id = %s", [hold["id"]]
    ).fetchall()
    assert drawn == [(draw["grant"], draw["amount"]) for draw in hold["draws"]]
