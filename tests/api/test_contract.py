"""Every row of the contract's table of calls, as somebody who knows nothing else would try it."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.api.conftest import Caller, assert_problem, make_secret, new_name
from tests.billing.conftest import shop as shop
from tests.billing.shop import Shop

ENTRY = {
    "id", "account", "seq", "kind", "amount", "balance_after", "feature", "quantity", "description", "reference",
    "metadata", "idempotency_key", "actor", "occurred_at", "booked_at", "hash",
}  # fmt: skip
HOLD = {"id", "account", "amount", "captured", "state", "feature", "expires_at", "created_at", "draws"}
DRAW = {"grant", "source", "source_key", "amount", "expires_at"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture(scope="module")
def seller(shop: Shop) -> Caller:
    return Caller(shop.app.test_client(), make_secret(shop.app))


@pytest.fixture
def funded(seller: Caller) -> str:
    """An account with 100 credits that never expire."""
    return seller.new_account(credits=100)


def members(answer: TestResponse, status: int, expected: set[str]) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    body: dict[str, Any] = answer.get_json()
    assert body.keys() >= expected, expected - body.keys()
    return body


def entry_of(answer: TestResponse, status: int, **expected: Any) -> dict[str, Any]:
    entry = members(answer, status, ENTRY)
    assert entry["id"] == f"{entry['account']}:{entry['seq']}"
    assert TIME.fullmatch(entry["occurred_at"])
    assert TIME.fullmatch(entry["booked_at"])
    assert {name: entry[name] for name in expected} == expected
    return entry


def test_put_account(seller: Caller) -> None:
    name = new_name()
    body = {"name": "Ada", "kind": "person", "time_zone": "Europe/Berlin", "overdraft_limit": 5, "metadata": {"a": 1}}
    account = members(seller.put(f"/accounts/{name}", body), 201, {"account"} | body.keys())
    assert {key: account[key] for key in body} == body
    assert members(seller.put(f"/accounts/{name}", {"name": "Grace"}), 200, {"account"})["name"] == "Grace"


def test_get_account(seller: Caller, funded: str) -> None:
    account = members(
        seller.get(f"/accounts/{funded}"),
        200,
        {"account", "balance", "held", "available", "debt", "expiring", "version"},
    )
    assert (account["account"], account["balance"], account["held"]) == (funded, 100, 0)
    assert (account["available"], account["debt"], account["expiring"]) == (100, 0, [])
    assert_problem(seller.get("/accounts/nobody-at-all"), 404, "account_not_found")


def test_post_spends_by_feature_and_by_amount(seller: Caller, funded: str) -> None:
    by_feature = seller.post("/spends", {"account": funded, "feature": "chat-message", "quantity": 2})
    entry = entry_of(by_feature, 201, kind="spend", feature="chat-message", quantity=2)
    by_amount = seller.post("/spends", {"account": funded, "amount": 7, "description": "Work"})
    entry_of(by_amount, 201, amount=-7, description="Work", balance_after=100 + entry["amount"] - 7)


def test_post_spends_partial(seller: Caller, funded: str) -> None:
    body = {"account": funded, "amount": 150, "description": "Work", "partial": True}
    entry_of(seller.post("/spends", body), 201, amount=-100, balance_after=0)
    problem = assert_problem(seller.post("/spends", body), 402, "insufficient_credits", required=150, available=0)
    assert problem["buy_url"].startswith("http")


def test_post_spends_batch(seller: Caller, funded: str) -> None:
    items = [
        {"account": funded, "amount": 1, "description": "a", "idempotency_key": "a"},
        {"account": funded, "amount": 0, "description": "b", "idempotency_key": "b"},
        {"account": funded, "feature": "image", "idempotency_key": "c"},
        {"account": funded, "amount": 1, "description": "no key"},
    ]
    answer = seller.post("/spends/batch", {"items": items}, headers={"Idempotency-Key": None})
    first, second, third, fourth = members(answer, 200, {"results"})["results"]
    assert first["entry"].keys() >= ENTRY
    assert (first["status"], third["status"]) == (201, 201)
    for refused in (second, fourth):
        assert refused["status"] == refused["problem"]["status"] == 400
        assert refused["problem"]["code"] == "invalid_request"
        assert "entry" not in refused


def test_post_refund(seller: Caller, funded: str) -> None:
    spend = seller.spend(funded, 30).get_json()["id"]
    entry_of(seller.post(f"/spends/{spend}/refund", {"amount": 10, "reason": "x"}), 201, kind="refund", amount=10)
    assert_problem(seller.post(f"/spends/{spend}/refund", {"amount": 21, "reason": "x"}), 422, "exceeds_spend")
    assert_problem(seller.post(f"/spends/{spend}/refund", {"amount": 0, "reason": "x"}), 400, "invalid_request")
    entry_of(seller.post(f"/spends/{spend}/refund", {"reason": "x"}), 201, amount=20)


def test_post_estimates(seller: Caller, funded: str) -> None:
    answer = seller.post("/estimates", {"account": funded, "feature": "image"}, headers={"Idempotency-Key": None})
    estimate = members(
        answer, 200, {"cost", "available", "affordable", "share_of_balance", "draws", "rate_card_version"}
    )
    assert estimate["affordable"] is True
    assert estimate["draws"][0].keys() == DRAW
    assert seller.balance(funded) == 100
    without = seller.post("/estimates", {"account": funded, "amount": 101})
    assert members(without, 200, {"cost"})["affordable"] is False


def test_post_holds_capture_and_void(seller: Caller, funded: str) -> None:
    hold = members(seller.post("/holds", {"account": funded, "amount": 30}), 201, HOLD)
    assert (hold["state"], hold["captured"], hold["amount"], hold["feature"]) == ("open", 0, 30, None)
    assert hold["draws"][0].keys() == DRAW
    assert TIME.fullmatch(hold["expires_at"])
    assert TIME.fullmatch(hold["created_at"])
    assert_problem(seller.post(f"/holds/{hold['id']}/capture", {"amount": 0}), 400, "invalid_request")
    assert_problem(seller.post(f"/holds/{hold['id']}/capture", {"amount": 31}), 422, "exceeds_hold")
    excess = seller.post(f"/holds/{hold['id']}/capture", {"amount": 31, "allow_excess": True})
    entry_of(excess, 200, kind="spend", amount=-31, balance_after=69)
    assert_problem(seller.post(f"/holds/{hold['id']}/capture", {}), 409, "hold_closed")
    assert_problem(seller.post(f"/holds/{hold['id']}/void"), 409, "hold_closed")
    by_feature = {"account": funded, "feature": "image", "quantity": 2, "expires_in": 60}
    other = members(seller.post("/holds", by_feature), 201, HOLD)
    assert other["feature"] == "image"
    voided = members(seller.post(f"/holds/{other['id']}/void"), 200, HOLD)
    assert (voided["state"], voided["captured"]) == ("voided", 0)


def test_post_grants(seller: Caller) -> None:
    name = seller.new_account()
    body = {"account": name, "amount": 5, "priority": 1, "features": ["image"], "reason": "x", "source_key": "s"}
    first = seller.post("/grants", body)
    assert entry_of(first, 201, amount=5)["grant"] == 1
    again = seller.post("/grants", body)
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (200, first.data, "true")
    assert_problem(seller.post("/grants", {**body, "amount": 6}), 409, "source_key_conflict")


def test_get_entries_and_one_of_them(seller: Caller, funded: str) -> None:
    for _ in range(3):
        seller.spend(funded, 1)
    page = members(seller.get(f"/accounts/{funded}/entries?limit=2&kind=spend"), 200, {"data", "next_cursor"})
    assert [entry["seq"] for entry in page["data"]] == [4, 3]
    rest = seller.get(f"/accounts/{funded}/entries?limit=2&kind=spend&cursor={page['next_cursor']}").get_json()
    assert [entry["seq"] for entry in rest["data"]] == [2]
    explained = members(seller.get(f"/entries/{funded}:4"), 200, ENTRY | {"draws"})
    assert explained["draws"][0].keys() == DRAW


def test_get_balance_as_of(seller: Caller, funded: str) -> None:
    at = seller.get(f"/accounts/{funded}/entries").get_json()["data"][0]["booked_at"]
    seller.spend(funded, 40)
    then = members(seller.get(f"/accounts/{funded}/balance", query_string={"at": at}), 200, {"balance"})
    assert then["balance"] == 100
    assert members(seller.get(f"/accounts/{funded}/balance"), 200, {"balance"})["balance"] == 60


@pytest.mark.parametrize(
    ("path", "name", "shipped"),
    [
        ("/packages", "code", {"starter", "standard", "premium", "enterprise"}),
        ("/plans", "code", {"free", "pro", "pro-yearly", "lifetime"}),
        ("/features", "feature", {"chat-message", "image", "api-call", "export"}),
    ],
)
def test_get_the_catalog(seller: Caller, path: str, name: str, shipped: set[str]) -> None:
    english, german = (seller.get(path, headers={"Accept-Language": tag}) for tag in ("en", "de"))
    assert {one[name] for one in members(english, 200, {"data"})["data"]} >= shipped
    assert german.headers["Content-Language"] == "de"
    assert german.data != english.data


def test_post_checkout_sessions(seller: Caller, shop: Shop) -> None:
    body = {
        "account": seller.new_account(),
        "package": "starter",
        "success_url": "https://product.example/yes",
        "cancel_url": "https://product.example/no",
    }
    url = members(seller.post("/checkout-sessions", body), 200, {"url"})["url"]
    assert url.startswith(shop.sandbox_url)


def test_a_key_names_one_request_and_every_write_needs_one(seller: Caller, funded: str) -> None:
    hold = seller.hold(funded, 5).get_json()["id"]
    spend = seller.spend(funded, 5).get_json()["id"]
    writes: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
        ("PUT", f"/accounts/{funded}", {"name": "Ada"}, {"name": "Eve"}),
        ("POST", "/spends", {"account": funded, "amount": 1, "description": "x"}, {"amount": 2}),
        ("POST", f"/spends/{spend}/refund", {"amount": 1, "reason": "x"}, {"amount": 2}),
        ("POST", "/holds", {"account": funded, "amount": 1}, {"amount": 2}),
        ("POST", f"/holds/{hold}/capture", {"amount": 1}, {"amount": 2}),
        ("POST", "/grants", {"account": funded, "amount": 1, "reason": "x"}, {"amount": 2}),
    ]
    for method, path, body, change in writes:
        without = seller.call(method, path, body, headers={"Idempotency-Key": None})
        assert_problem(without, 400, "invalid_request")
        key = uuid4().hex
        first = seller.call(method, path, body, key=key)
        assert first.status_code in (200, 201), first.text
        again = seller.call(method, path, body, key=key)
        assert (again.status_code, again.data) == (first.status_code, first.data)
        assert again.headers["Idempotent-Replayed"] == "true"
        other = seller.call(method, path, {**body, **change}, key=key)
        assert_problem(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    "amount", ["true", "1.0", '"1"', "1e3", "NaN", "0", "-1", "1000000000000001", "null", "[1]", '1, "amount": 1']
)
def test_amounts_are_json_integers_from_1_to_10_to_the_15(seller: Caller, funded: str, amount: str) -> None:
    for path, more in (
        ("/spends", '"description": "x"'),
        ("/holds", '"expires_in": 60'),
        ("/grants", '"reason": "x"'),
        ("/estimates", '"reference": "x"'),
    ):
        raw = f'{{"account": "{funded}", "amount": {amount}, {more}}}'.encode()
        assert_problem(seller.call("POST", path, raw), 400, "invalid_request")
    assert seller.balance(funded) == 100


def test_each_scope_opens_its_own_calls(app: Flask, caller: Caller, caller_with: Callable[..., Caller]) -> None:
    name = caller.new_account(credits=10)
    calls = {
        "accounts:write": ("PUT", f"/accounts/{name}", {}),
        "accounts:read": ("GET", f"/accounts/{name}", None),
        "credits:spend": ("POST", "/holds", {"account": name, "amount": 1}),
        "credits:grant": ("POST", "/grants", {"account": name, "amount": 1, "reason": "x"}),
    }
    for scope in (*calls, "checkout:write"):
        limited = caller_with(scopes=[scope])
        for needed, (method, path, body) in calls.items():
            answer = limited.call(method, path, body)
            if needed == scope:
                assert answer.status_code in (200, 201)
            else:
                assert_problem(answer, 403, "missing_scope")


def test_the_document_lists_every_call(app: Flask) -> None:
    spec = app.test_client().get("/api/v1/openapi.json").get_json()
    listed = {(method.upper(), path) for path, methods in spec["paths"].items() for method in methods}
    prefix = "/api/v1"
    assert listed >= {
        ("PUT", f"{prefix}/accounts/{{external_id}}"),
        ("GET", f"{prefix}/accounts/{{external_id}}"),
        ("POST", f"{prefix}/spends"),
        ("POST", f"{prefix}/spends/batch"),
        ("POST", f"{prefix}/spends/{{entry}}/refund"),
        ("POST", f"{prefix}/estimates"),
        ("POST", f"{prefix}/holds"),
        ("POST", f"{prefix}/holds/{{hold}}/capture"),
        ("POST", f"{prefix}/holds/{{hold}}/void"),
        ("GET", f"{prefix}/holds/{{hold}}"),
        ("POST", f"{prefix}/grants"),
        ("GET", f"{prefix}/accounts/{{external_id}}/entries"),
        ("GET", f"{prefix}/accounts/{{external_id}}/balance"),
        ("GET", f"{prefix}/accounts/{{external_id}}/holds"),
        ("GET", f"{prefix}/entries/{{entry}}"),
        ("GET", f"{prefix}/packages"),
        ("GET", f"{prefix}/plans"),
        ("GET", f"{prefix}/features"),
        ("POST", f"{prefix}/checkout-sessions"),
    }
