"""Giving credits, once."""

from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from tests.api.conftest import Caller, assert_problem
from tests.api.test_spends import MEMBERS
from webapp import clock


def test_a_grant_is_answered_with_its_entry_and_the_grants_id(caller: Caller) -> None:
    name = caller.new_account()
    expires_at = (clock.now() + timedelta(days=30)).replace(microsecond=0)
    body = {
        "account": name,
        "amount": 10**15,
        "expires_at": expires_at.isoformat(),
        "priority": -3,
        "features": ["image", "export"],
        "reason": "Welcome",
        "source_key": "welcome-1",
    }
    answer = caller.post("/grants", body)
    assert answer.status_code == 201, answer.text
    entry = answer.get_json()
    assert entry.keys() == MEMBERS | {"grant"}
    assert (entry["grant"], entry["seq"], entry["kind"], entry["amount"]) == (1, 1, "grant", 10**15)
    assert entry["description"] == "Welcome"
    explained = caller.get(f"/entries/{entry['id']}").get_json()
    assert explained["grant"] == 1
    assert explained["draws"] == [
        {
            "grant": 1,
            "source": "api",
            "source_key": "welcome-1",
            "amount": 10**15,
            "expires_at": expires_at.isoformat().replace("+00:00", "Z"),
        }
    ]


def test_the_same_source_key_grants_once_and_answers_the_first_entry(caller: Caller) -> None:
    name = caller.new_account()
    body = {"account": name, "amount": 50, "reason": "Bonus", "source_key": "bonus-1"}
    first = caller.post("/grants", body)
    again = caller.post("/grants", body)
    assert (again.status_code, again.data) == (200, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert_problem(caller.post("/grants", {**body, "amount": 51}), 409, "source_key_conflict")
    assert caller.balance(name) == 50


def test_the_same_idempotency_key_answers_a_grant_like_the_first_time(caller: Caller) -> None:
    name = caller.new_account()
    for source_key in (None, "bonus-1"):
        body = {"account": name, "amount": 50, "reason": "Bonus", "source_key": source_key}
        first = caller.post("/grants", body, key=f"k-{source_key}")
        again = caller.post("/grants", body, key=f"k-{source_key}")
        assert (first.status_code, again.status_code, again.data) == (201, 201, first.data)
        assert again.headers["Idempotent-Replayed"] == "true"
    body = {"account": name, "amount": 51, "reason": "Bonus"}
    assert_problem(caller.post("/grants", body, key="k-None"), 422, "idempotency_key_reused")
    assert caller.balance(name) == 100


def test_credits_for_some_features_pay_for_those_alone(caller: Caller) -> None:
    name = caller.new_account()
    caller.post("/grants", {"account": name, "amount": 100, "features": ["image"], "reason": "x"})
    assert caller.post("/spends", {"account": name, "feature": "image"}).status_code == 201
    assert_problem(
        caller.post("/spends", {"account": name, "feature": "export"}), 402, "insufficient_credits", available=0
    )
    assert_problem(caller.spend(name, 1), 402, "insufficient_credits", available=0)


def test_credits_that_expired_are_in_no_balance(caller: Caller) -> None:
    name = caller.new_account(credits=5)
    past = (clock.now() - timedelta(seconds=1)).isoformat()
    assert caller.post("/grants", {"account": name, "amount": 9, "expires_at": past, "reason": "x"}).status_code == 201
    assert caller.balance(name) == 5


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": None}, "amount"),
        ({"reason": None}, "reason"),
        ({"reason": ""}, "reason"),
        ({"features": []}, "features"),
        ({"features": "image"}, "features"),
        ({"features": [""]}, "features.0"),
        ({"features": [1]}, "features.0"),
        ({"priority": 2**31}, "priority"),
        ({"priority": 1.5}, "priority"),
        ({"source_key": ""}, "source_key"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2026-02-30T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at"),
        ({"features": ["image", "no-such-feature", "none"]}, "features.1"),
        ({"features": ["\ufffd" * 100]}, "features.0"),
        ({"occurred_at": 5}, "occurred_at"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at"),
        ({"cost_minor": 5}, "cost_minor"),
        ({"source": "purchase"}, "source"),
    ],
)
def test_a_malformed_grant_is_refused_naming_the_field(caller: Caller, change: dict[str, object], field: str) -> None:
    name = caller.new_account()
    body = {"account": name, "amount": 5, "reason": "x", **change}
    assert_problem(caller.post("/grants", body), 400, "invalid_request", field=field)
    assert caller.balance(name) == 0


def test_a_balance_beyond_what_can_be_counted_is_refused(caller: Caller) -> None:
    name = caller.new_account()
    statuses = {
        caller.post("/grants", {"account": name, "amount": 10**15, "reason": "x"}).status_code for _ in range(3)
    }
    assert statuses == {201}


def test_an_unknown_feature_is_named_in_the_refusal(caller: Caller) -> None:
    name = caller.new_account()
    body = {"account": name, "amount": 5, "reason": "x", "features": ["image", "imgae"]}
    problem = assert_problem(caller.post("/grants", body), 400, "invalid_request", field="features.1")
    assert "imgae" in problem["detail"]


def test_a_grant_is_answered_again_after_its_feature_has_gone(
    caller: Caller, superuser_connection: psycopg.Connection
) -> None:
    feature = f"gone-{uuid4().hex[:8]}"
    superuser_connection.execute(
        "INSERT INTO features (key, name, description, unit, position) VALUES (%s, 'Gone', '', 'x', 99)", [feature]
    )
    name = caller.new_account()
    body = {"account": name, "amount": 5, "reason": "x", "features": [feature], "source_key": "s"}
    first = caller.post("/grants", body, key="k")
    assert first.status_code == 201, first.text
    superuser_connection.execute("DELETE FROM features WHERE key = %s", [feature])
    assert caller.post("/grants", body, key="k").data == first.data
    assert caller.post("/grants", body, key="other").status_code == 200
    new = caller.post("/grants", {**body, "source_key": "t"}, key="new")
    assert_problem(new, 400, "invalid_request", field="features.0")


def test_a_grant_told_late_counts_from_when_it_occurred(caller: Caller) -> None:
    name = caller.new_account()
    yesterday = (clock.now() - timedelta(days=1)).replace(microsecond=0)
    noon = yesterday + timedelta(hours=1)
    body = {"account": name, "amount": 5, "reason": "x", "occurred_at": yesterday.isoformat()}
    entry = caller.post("/grants", body).get_json()
    assert entry["occurred_at"] == yesterday.isoformat().replace("+00:00", "Z")
    assert entry["booked_at"] > entry["occurred_at"]
    assert caller.get(f"/accounts/{name}/balance", query_string={"at": noon.isoformat()}).get_json()["balance"] == 5
    gone = caller.post("/grants", {**body, "amount": 7, "expires_at": noon.isoformat()})
    assert gone.status_code == 201
    assert caller.balance(name) == 5
    during = caller.get(f"/accounts/{name}/balance", query_string={"at": yesterday.isoformat()}).get_json()
    assert (during["balance"], during["available"]) == (12, 12)
