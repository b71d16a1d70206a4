"""Many spends in one request: each as it would be by itself, and none harms another."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.api.conftest import Caller, assert_problem, new_name, statements_of
from tests.api.test_spends import MEMBERS
from webapp import clock
from webapp.api import spends

PROBLEM = {"type", "title", "status", "detail", "code", "request_id"}


def item(account: str, amount: int = 1, **more: Any) -> dict[str, Any]:
    return {"account": account, "amount": amount, "description": "Test", "idempotency_key": uuid4().hex, **more}


def send(caller: Caller, items: list[Any], **more: Any) -> TestResponse:
    return caller.post("/spends/batch", {"items": items}, headers={"Idempotency-Key": None}, **more)


def results(caller: Caller, items: list[Any]) -> list[dict[str, Any]]:
    answer = send(caller, items)
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert body.keys() == {"results"}
    assert len(body["results"]) == len(items)
    found: list[dict[str, Any]] = body["results"]
    return found


def test_a_batch_is_answered_in_order_with_an_entry_or_a_problem_for_each_item(caller: Caller) -> None:
    one, other = caller.new_account(credits=100), caller.new_account(credits=5)
    first, refused, second, third = results(
        caller,
        [
            item(one, 30, reference="r", metadata={"a": [1]}, idempotency_key="k"),
            item(other, 6),
            {"account": one, "feature": "image", "quantity": 2, "idempotency_key": "f"},
            item(other, 5),
        ],
    )
    assert first.keys() == {"status", "replayed", "entry"}
    assert (first["status"], first["replayed"]) == (201, False)
    assert first["entry"].keys() == MEMBERS
    assert (first["entry"]["id"], first["entry"]["amount"], first["entry"]["balance_after"]) == (f"{one}:2", -30, 70)
    assert (first["entry"]["reference"], first["entry"]["metadata"]) == ("r", {"a": [1]})
    assert first["entry"]["idempotency_key"] == "k"
    assert first["entry"]["actor"].startswith("api:tsk_")
    assert refused.keys() == {"status", "problem"}
    assert refused["problem"].keys() == PROBLEM | {"required", "available", "buy_url"}
    assert (refused["status"], refused["problem"]["status"]) == (402, 402)
    assert (refused["problem"]["code"], refused["problem"]["required"]) == ("insufficient_credits", 6)
    assert (second["entry"]["feature"], second["entry"]["quantity"]) == ("image", 2)
    assert third["entry"]["balance_after"] == 0
    explained = caller.get(f"/entries/{second['entry']['id']}").get_json()
    assert explained["arithmetic"]["credits"] == -second["entry"]["amount"]
    assert caller.get(f"/entries/{one}:2").get_json()["hash"] == first["entry"]["hash"]


def test_a_bad_item_harms_no_other_and_says_what_is_wrong_with_it(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    late = (clock.now() - spends.OLDEST_USAGE - timedelta(days=1)).isoformat()
    bad: list[tuple[Any, int, str, str | None]] = [
        (item(name, amount=0), 400, "invalid_request", "amount"),
        (item(name, amount=-1), 400, "invalid_request", "amount"),
        (item(name, amount=True), 400, "invalid_request", "amount"),
        (item(name, amount=1.0), 400, "invalid_request", "amount"),
        (item(name, amount="1"), 400, "invalid_request", "amount"),
        (item(name, amount=10**15 + 1), 400, "invalid_request", "amount"),
        (item(name, amount=10**30), 400, "invalid_request", None),
        (item(name, idempotency_key=None), 400, "invalid_request", "idempotency_key"),
        (item(name, idempotency_key=""), 400, "invalid_request", "idempotency_key"),
        (item(name, idempotency_key=" "), 400, "invalid_request", "idempotency_key"),
        (item(name, idempotency_key="a\x01"), 400, "invalid_request", "idempotency_key"),
        (item(name, idempotency_key="x" * 256), 400, "invalid_request", "idempotency_key"),
        (item(name, idempotency_key=7), 400, "invalid_request", "idempotency_key"),
        ({"account": name, "amount": 1, "description": "x"}, 400, "invalid_request", "idempotency_key"),
        (item(name, description=None), 400, "invalid_request", "description"),
        (item(name, description="\x00"), 400, "invalid_request", "description"),
        (item(name, metadata={"x": "y" * 17_000}), 400, "invalid_request", "metadata"),
        (item(name, colour="red"), 400, "invalid_request", "colour"),
        (item("a b"), 400, "invalid_request", "account"),
        (item(new_name()), 404, "account_not_found", None),
        (item(name, occurred_at=late), 400, "invalid_request", "occurred_at"),
        (item(name, occurred_at="2999-01-01T00:00:00Z"), 400, "invalid_request", "occurred_at"),
        ({"account": name, "feature": "nothing", "idempotency_key": "f"}, 400, "invalid_request", "feature"),
        (
            {"account": name, "feature": "image", "quantity": 10**15, "idempotency_key": "f"},
            400,
            "invalid_request",
            "quantity",
        ),
        (item(name, amount=1000), 402, "insufficient_credits", None),
        ("spend", 400, "invalid_request", "items.25"),
        (None, 400, "invalid_request", "items.26"),
        ([item(name)], 400, "invalid_request", "items.27"),
        ({}, 400, "invalid_request", "account"),
    ]
    sent = [one for one, *_ in bad] + [item(name, 7)]
    *refused, done = results(caller, sent)
    for (one, status, code, field), result in zip(bad, refused, strict=True):
        assert result.keys() == {"status", "problem"}, (one, result)
        assert result["problem"].keys() >= PROBLEM
        found = (result["status"], result["problem"]["code"], result["problem"].get("field"))
        assert found == (status, code, field), (one, result)
    assert done["status"] == 201
    assert caller.balance(name) == 93


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ('"amount": NaN', None),
        ('"amount": -Infinity', None),
        ('"amount": 1e999', None),
        ('"amount": 1, "amount": 2', "amount"),
        ('"amount": 1, "metadata": {"a": 1, "a": 2}', "a"),
        ('"amount": 1, "metadata": {"a": [[1, {"b": NaN}]]}', None),
        ('"amount": 1, "metadata": {"a": "\\ud800"}', "metadata"),
        ('"amount": 1, "reference": "\\u0000"', "reference"),
        ('"amount": 1, "metadata": {"a": ' + "[" * 40 + "]" * 40 + "}", "metadata"),
        ('"amount": 1, "metadata": {"a": ' + "[" * 700 + "]" * 700 + "}", None),
    ],
)
def test_what_json_lets_two_readers_understand_differently_is_refused_in_its_item_alone(
    caller: Caller, broken: str, field: str | None
) -> None:
    name = caller.new_account(credits=10)
    members = f'"account": "{name}", "description": "x"'
    good = f'{{{members}, "amount": 1, "idempotency_key": "good"}}'
    bad = f'{{{members}, "idempotency_key": "bad", {broken}}}'
    answer = caller.post("/spends/batch", f'{{"items": [{bad}, {good}]}}'.encode())
    assert answer.status_code == 200, answer.text
    refused, done = answer.get_json()["results"]
    assert (refused["status"], refused["problem"]["code"]) == (400, "invalid_request")
    if field:
        assert refused["problem"]["field"] == field
    assert done["status"] == 201
    assert caller.balance(name) == 9


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", None),
        (b"[]", None),
        (b"{", None),
        (b'{"items": [}', None),
        (b"{}", "items"),
        (b'{"items": null}', "items"),
        (b'{"items": {}}', "items"),
        (b'{"items": []}', "items"),
        (b'{"items": [' + b"1," * 1000 + b"1]}", "items"),
        (b'{"items": [1], "items": [1]}', "items"),
        (b'{"items": [1], "more": 1}', "more"),
        (b'{"items": [1], "more": NaN}', None),
        (b'{"items": [1], "more": [NaN]}', "more"),
        (b'{"items": NaN}', None),
        (b'{"items": ' + b"[" * 100_000, None),
        (b'{"items": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
    ],
)
def test_a_body_that_is_no_batch_is_refused_whole(caller: Caller, body: bytes, field: str | None) -> None:
    problem = assert_problem(caller.call("POST", "/spends/batch", body), 400, "invalid_request")
    if field:
        assert problem["field"] == field


def test_a_batch_beyond_4_mb_is_too_large(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    big = [item(name, metadata={"x": "y" * 15_000}) for _ in range(150)]
    assert send(caller, big).status_code == 200
    assert_problem(send(caller, big + big), 413, "too_large")
    assert caller.balance(name) == 0


def test_an_items_problem_is_in_the_callers_language(caller: Caller) -> None:
    body = {"items": [item(new_name())]}
    answer = caller.post("/spends/batch", body, headers={"Accept-Language": "de"})
    problem = answer.get_json()["results"][0]["problem"]
    alone = caller.get("/accounts/nobody-here", headers={"Accept-Language": "de"}).get_json()
    assert (problem["title"], problem["detail"]) == (alone["title"], alone["detail"])
    assert problem["request_id"] == answer.headers["X-Request-Id"]


def test_a_batch_sent_again_is_answered_again_and_charged_once(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    items = [item(name, 4), item(name, 9), item(name, 3)]
    first = results(caller, items)
    again = results(caller, items)
    assert [one["status"] for one in again] == [201, 402, 201]
    assert [one.get("replayed") for one in again] == [True, None, True]
    assert [one.get("entry") for one in again] == [one.get("entry") for one in first]
    caller.post("/grants", {"account": name, "amount": 9, "reason": "Top-up"})
    assert [one.get("replayed") for one in results(caller, items)] == [True, False, True]
    assert caller.balance(name) == 3


def test_a_key_in_a_batch_and_the_header_of_a_single_spend_name_the_same_spend(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    body = {"account": name, "amount": 4, "description": "x", "metadata": {"a": 1}}
    alone = caller.post("/spends", body, key="k").get_json()
    (batched,) = results(caller, [{**body, "idempotency_key": "k"}])
    assert (batched["replayed"], batched["entry"]) == (True, alone)
    (other,) = results(caller, [{**body, "idempotency_key": "j"}])
    again = caller.post("/spends", body, key="j")
    assert (again.get_json(), again.headers["Idempotent-Replayed"]) == (other["entry"], "true")
    (reused,) = results(caller, [{**body, "amount": 5, "idempotency_key": "k"}])
    assert (reused["status"], reused["problem"]["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    "terms",
    [
        {"feature": "image"},
        {"feature": "image", "quantity": 3, "metadata": {"ж": [1, 2.5, None, {"a": True}]}},
        {"amount": 2, "description": "ü", "partial": True, "reference": "r"},
        {"feature": "image", "occurred_at": "an hour ago", "dimensions": {}},
    ],
)
def test_whatever_a_spend_says_a_batch_with_its_key_repeats_it(caller: Caller, terms: dict[str, Any]) -> None:
    if "occurred_at" in terms:
        terms = {**terms, "occurred_at": (clock.now() - timedelta(hours=1)).isoformat()}
    body = {"account": caller.new_account(credits=100), **terms}
    alone = caller.post("/spends", body, key="k")
    assert alone.status_code == 201, alone.text
    (batched,) = results(caller, [{**body, "idempotency_key": "k"}])
    assert (batched["replayed"], batched["entry"]) == (True, alone.get_json())


def test_the_same_key_twice_in_one_batch_is_one_spend(caller: Caller) -> None:
    name, other = caller.new_account(credits=10), caller.new_account(credits=10)
    one = item(name, 4)
    first, second, third, fourth = results(caller, [one, one, {**one, "amount": 5}, {**one, "account": other}])
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert first["entry"] == second["entry"]
    assert third["problem"]["code"] == "idempotency_key_reused"
    assert fourth["replayed"] is False
    assert (caller.balance(name), caller.balance(other)) == (6, 6)


def test_what_was_booked_is_answered_again_after_its_feature_has_gone(
    caller: Caller, superuser_connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    feature = f"gone-{uuid4().hex[:8]}"
    superuser_connection.execute(
        "INSERT INTO features (key, name, description, unit, position) VALUES (%s, 'Gone', '', 'x', 99)", [feature]
    )
    superuser_connection.execute(
        "INSERT INTO rates (version, feature, credits_per_unit) SELECT max(version), %s, 3 FROM rate_cards", [feature]
    )
    name = caller.new_account(credits=100)
    yesterday = (clock.now() - timedelta(days=1)).isoformat()
    gone = {"account": name, "feature": feature, "idempotency_key": "gone"}
    old = item(name, 5, occurred_at=yesterday)
    first = results(caller, [gone, old])
    superuser_connection.execute("DELETE FROM rates WHERE feature = %s", [feature])
    monkeypatch.setattr(spends, "OLDEST_USAGE", timedelta(hours=1))
    again = results(caller, [gone, {**gone, "idempotency_key": "new"}, old, {**gone, "quantity": 2}])
    assert [one["status"] for one in again] == [201, 400, 201, 422]
    assert [again[0]["entry"], again[2]["entry"]] == [one["entry"] for one in first]
    assert caller.balance(name) == 92


def test_a_batch_comes_to_the_same_as_its_spends_one_by_one(caller: Caller) -> None:
    together, alone = (caller.new_account(credits=20) for _ in range(2))
    for name in (together, alone):
        body = {"account": name, "amount": 10, "features": ["image"], "reason": "x", "priority": -1}
        assert caller.post("/grants", body).status_code == 201
        caller.put(f"/accounts/{name}", {"overdraft_limit": 5})
    wanted: list[dict[str, Any]] = [
        {"amount": 3, "description": "a"},
        {"feature": "image", "quantity": 1},
        {"amount": 40, "description": "too much"},
        {"amount": 4, "description": "b", "reference": "r"},
        {"feature": "image", "quantity": 1},
        {"amount": 40, "description": "what there is", "partial": True},
        {"amount": 1, "description": "nothing left"},
    ]
    keys = [f"k{number}" for number in range(len(wanted))]
    batch = results(
        caller,
        [{"account": together, "idempotency_key": key, **one} for key, one in zip(keys, wanted, strict=True)],
    )
    for key, one, done in zip(keys, wanted, batch, strict=True):
        answer = caller.post("/spends", {"account": alone, **one}, key=key)
        assert answer.status_code == done["status"]
        expected = answer.get_json()
        same = ("amount", "balance_after", "seq", "feature", "quantity", "description", "required", "available")
        found = done.get("entry") or done["problem"]
        assert {name: found.get(name) for name in same} == {name: expected.get(name) for name in same}
    draws = [
        [(draw["grant"], draw["amount"]) for draw in caller.get(f"/entries/{name}:{seq}").get_json()["draws"]]
        for name in (together, alone)
        for seq in range(3, 7)
    ]
    assert draws[:4] == draws[4:]


def test_a_batch_is_a_handful_of_statements_however_long(caller: Caller, app: Flask) -> None:
    names = [caller.new_account(credits=100) for _ in range(20)]
    app.extensions["api_account_ids"].forget()
    with statements_of(app) as seen:
        items = [item(name) for name in names * 5] + [
            {"account": name, "feature": feature, "idempotency_key": uuid4().hex}
            for name in names
            for feature in ("image", "export", "nothing")
        ]
        done = results(caller, items)
    assert {one["status"] for one in done} == {201, 400}
    assert len(seen) <= 6, seen  # the key, the accounts, whether suspended, the prices, booked before, the spends


def test_a_thousand_spends_of_many_accounts_at_once_lose_nothing(app: Flask, secret: str) -> None:
    caller = Caller(app.test_client(), secret)
    names = [caller.new_account(credits=1000) for _ in range(10)]

    def batch(_number: int) -> int:
        mine = Caller(app.test_client(), secret)
        done = results(mine, [item(names[number % 10], 2) for number in range(1000)])
        return sum(one["status"] == 201 for one in done)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(batch, range(4))) == [1000] * 4
    assert [caller.balance(name) for name in names] == [200] * 10


def test_open_tabs_learn_of_every_account_that_a_batch_charged(
    caller: Caller, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [caller.new_account(credits=1) for _ in range(3)]
    told: list[set[int]] = []
    monkeypatch.setitem(app.extensions, "publish_balances", lambda accounts: told.append(set(accounts)))
    results(caller, [item(name) for name in names])
    assert [len(accounts) for accounts in told] == [3]


def test_a_batch_needs_the_scope_to_spend(caller: Caller, caller_with: Callable[..., Caller]) -> None:
    name = caller.new_account(credits=10)
    limited = caller_with(scopes=["accounts:read", "accounts:write", "credits:grant"])
    assert_problem(send(limited, [item(name)]), 403, "missing_scope", scope="credits:spend")
    assert caller.balance(name) == 10


def test_the_document_says_what_an_item_and_its_result_are(app: Flask) -> None:
    spec = app.test_client().get("/api/v1/openapi.json").get_json()
    schemas = spec["components"]["schemas"]
    assert schemas["BatchRequest"]["properties"]["items"]["items"] == {"$ref": "#/components/schemas/BatchItem"}
    assert "idempotency_key" in schemas["BatchItem"]["required"]
    assert schemas["RefusedItemAnswer"]["properties"]["problem"] == {"$ref": "#/components/schemas/Problem"}
    results = schemas["BatchAnswer"]["properties"]["results"]
    assert json.dumps(results).count("$ref") == 2
