"""Spending, what is answered, and what is refused."""

from datetime import timedelta

import pytest
from flask import Flask

from tests.api.conftest import Caller, assert_problem, new_name
from webapp import clock

MEMBERS = {
    "id", "account", "seq", "kind", "amount", "balance_after", "feature", "quantity", "description", "reference",
    "metadata", "idempotency_key", "actor", "occurred_at", "booked_at", "hash", "hold",
}  # fmt: skip


def test_a_spend_is_answered_with_its_entry_as_the_contract_lists_it(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    more = {"reference": "order 7", "metadata": {"a": [1, {"b": None}], "ü": "ß"}}
    answer = caller.spend(name, 30, key="spend-1", **more)
    assert answer.status_code == 201
    assert answer.mimetype == "application/json"
    entry = answer.get_json()
    assert entry.keys() == MEMBERS
    assert entry["id"] == f"{name}:2"
    assert (entry["account"], entry["seq"], entry["kind"]) == (name, 2, "spend")
    assert (entry["amount"], entry["balance_after"]) == (-30, 70)
    assert (entry["feature"], entry["quantity"], entry["description"]) == (None, None, "Test")
    assert (entry["reference"], entry["metadata"]) == ("order 7", {"a": [1, {"b": None}], "ü": "ß"})
    assert entry["idempotency_key"] == "spend-1"
    assert entry["actor"].startswith("api:tsk_sandbox_")
    assert entry["occurred_at"] == entry["booked_at"]
    assert entry["booked_at"].endswith("Z")
    assert len(entry["hash"]) == 64
    assert caller.balance(name) == 70


def test_a_feature_is_charged_by_the_rate_card(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    one = caller.post("/spends", {"account": name, "feature": "image"}).get_json()
    three = caller.post("/spends", {"account": name, "feature": "image", "quantity": 3, "dimensions": {}}).get_json()
    assert (one["feature"], one["quantity"]) == ("image", 1)
    assert (three["quantity"], three["amount"]) == (3, 3 * one["amount"])
    explained = caller.get(f"/entries/{three['id']}").get_json()
    assert explained["arithmetic"]["credits"] == -three["amount"]
    assert explained["arithmetic"]["rate_card_version"] >= 1


def test_spending_more_than_there_is_changes_nothing_and_says_what_there_is(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    problem = assert_problem(
        caller.spend(name, 101, key="again"), 402, "insufficient_credits", required=101, available=100
    )
    assert problem["buy_url"].endswith("/pricing")
    assert caller.balance(name) == 100
    assert len(caller.get(f"/accounts/{name}/entries").get_json()["data"]) == 1
    caller.post("/grants", {"account": name, "amount": 1, "reason": "Top-up"})
    retried = caller.spend(name, 101, key="again")
    assert retried.status_code == 201
    assert "Idempotent-Replayed" not in retried.headers


def test_a_partial_spend_takes_what_there_is_and_nothing_is_a_refusal(caller: Caller) -> None:
    name = caller.new_account(credits=30)
    entry = caller.spend(name, 100, partial=True).get_json()
    assert (entry["amount"], entry["balance_after"]) == (-30, 0)
    assert_problem(caller.spend(name, 100, partial=True), 402, "insufficient_credits", required=100, available=0)


def test_the_overdraft_limit_is_part_of_what_can_be_spent(caller: Caller) -> None:
    name = new_name()
    caller.put(f"/accounts/{name}", {"overdraft_limit": 50})
    assert caller.spend(name, 40).get_json()["balance_after"] == -40
    assert_problem(caller.spend(name, 11), 402, "insufficient_credits", required=11, available=10)
    account = caller.get(f"/accounts/{name}").get_json()
    assert (account["balance"], account["available"], account["debt"]) == (-40, 0, 40)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": None}, "feature"),
        ({"amount": 5, "feature": "image"}, "amount"),
        ({"description": None}, "description"),
        ({"description": ""}, "description"),
        ({"description": "x" * 1001}, "description"),
        ({"quantity": 2}, "quantity"),
        ({"amount": None, "feature": "image"}, "description"),
        ({"amount": None, "description": None, "feature": "no-such-feature"}, "feature"),
        ({"amount": None, "description": None, "feature": "image", "quantity": 0}, "quantity"),
        ({"amount": None, "description": None, "feature": "image", "quantity": 10**15}, "quantity"),
        ({"amount": None, "description": None, "feature": "image", "dimensions": {"size": "xl"}}, "dimensions"),
        ({"partial": 1}, "partial"),
        ({"partial": "true"}, "partial"),
        ({"reference": 7}, "reference"),
        ({"reference": "x" * 256}, "reference"),
        ({"metadata": "x"}, "metadata"),
        ({"metadata": {"x": "y" * 17_000}}, "metadata"),
        ({"occurred_at": 5}, "occurred_at"),
        ({"occurred_at": "2026-11-21"}, "occurred_at"),
        ({"occurred_at": "2026-13-41T00:00:00Z"}, "occurred_at"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at"),
        ({"occurred_at": "2001-01-01T00:00:00Z"}, "occurred_at"),
        ({"account": None}, "account"),
        ({"account": "a b"}, "account"),
        ({"account": "x\n"}, "account"),
        ({"acount": "x"}, "acount"),
        ({"idempotency_key": "x"}, "idempotency_key"),
    ],
)
def test_a_malformed_spend_is_refused_naming_the_field(caller: Caller, change: dict[str, object], field: str) -> None:
    name = caller.new_account(credits=100)
    body: dict[str, object] = {"account": name, "amount": 5, "description": "x", **change}
    assert_problem(caller.post("/spends", body), 400, "invalid_request", field=field)
    assert caller.balance(name) == 100


def test_usage_told_late_counts_when_it_occurred(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    yesterday = (clock.now() - timedelta(days=1)).replace(microsecond=0)
    entry = caller.spend(name, 5, occurred_at=yesterday.isoformat()).get_json()
    assert entry["occurred_at"] == yesterday.isoformat().replace("+00:00", "Z")
    assert entry["booked_at"] > entry["occurred_at"]


def test_a_refund_gives_back_what_is_left_of_a_spend_and_no_more(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    spend = caller.spend(name, 30).get_json()["id"]
    part = caller.post(f"/spends/{spend}/refund", {"amount": 10, "reason": "Too dark"})
    assert part.status_code == 201
    assert part.get_json().keys() == MEMBERS
    assert (part.get_json()["kind"], part.get_json()["amount"]) == ("refund", 10)
    too_much = caller.post(f"/spends/{spend}/refund", {"amount": 21, "reason": "Greed"})
    assert_problem(too_much, 422, "exceeds_spend", left=20)
    rest = caller.post(f"/spends/{spend}/refund", {"reason": "All of it"}, key="rest")
    assert rest.get_json()["amount"] == 20
    again = caller.post(f"/spends/{spend}/refund", {"reason": "All of it"}, key="rest")
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (201, rest.data, "true")
    assert_problem(caller.post(f"/spends/{spend}/refund", {"reason": "More"}), 422, "exceeds_spend", left=0)
    assert caller.balance(name) == 100


@pytest.mark.parametrize("amount", [0, -1, 10**15 + 1, True, 1.0, "1"])
def test_a_refund_of_no_amount_is_refused(caller: Caller, amount: object) -> None:
    name = caller.new_account(credits=100)
    spend = caller.spend(name, 30).get_json()["id"]
    answer = caller.post(f"/spends/{spend}/refund", {"amount": amount, "reason": "x"})
    assert_problem(answer, 400, "invalid_request", field="amount")


def test_a_refund_needs_a_reason_and_a_spend(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    assert_problem(caller.post(f"/spends/{name}:1/refund", {}), 400, "invalid_request", field="reason")
    for entry in (f"{name}:1", f"{name}:99", f"{name}:0", f"{name}:x", name, f"{name}:", ":1", f"{name}:{10**30}"):
        assert_problem(caller.post(f"/spends/{entry}/refund", {"reason": "x"}), 404, "entry_not_found")


def test_an_estimate_says_what_a_spend_would_do_and_changes_nothing(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    later = {"account": name, "amount": 90, "reason": "x", "priority": 5, "source_key": "lot-2"}
    caller.post("/grants", later)
    before = caller.get(f"/accounts/{name}").get_json()
    answer = caller.call("POST", "/estimates", {"account": name, "amount": 25, "description": "x"}, key=None)
    estimate = answer.get_json()
    assert answer.status_code == 200
    assert (estimate["cost"], estimate["available"], estimate["affordable"]) == (25, 100, True)
    assert estimate["share_of_balance"] == 0.25
    assert [(draw["grant"], draw["amount"]) for draw in estimate["draws"]] == [(1, 10), (2, 15)]
    assert estimate["draws"][1]["source_key"] == "lot-2"
    assert estimate["rate_card_version"] is None
    assert caller.get(f"/accounts/{name}").get_json() == before
    spent = caller.spend(name, 25).get_json()
    drawn = caller.get(f"/entries/{spent['id']}").get_json()["draws"]
    assert [(draw["grant"], -draw["amount"]) for draw in drawn] == [(1, 10), (2, 15)]


def test_an_estimate_needs_no_idempotency_key_and_says_what_is_missing(caller: Caller) -> None:
    name = caller.new_account()
    body = {"account": name, "feature": "image", "quantity": 2}
    estimate = caller.post("/estimates", body, headers={"Idempotency-Key": None}).get_json()
    assert (estimate["available"], estimate["affordable"]) == (0, False)
    assert (estimate["share_of_balance"], estimate["draws"]) == (None, [])
    assert estimate["rate_card_version"] >= 1


def test_open_tabs_learn_of_a_spend_once_it_is_committed_and_only_then(
    caller: Caller, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = caller.new_account(credits=10)
    told: list[set[int]] = []
    monkeypatch.setitem(app.extensions, "publish_balances", lambda accounts: told.append(set(accounts)))
    assert caller.spend(name, 1).status_code == 201
    assert len(told) == 1
    assert caller.spend(name, 100).status_code == 402
    assert len(told) == 1
