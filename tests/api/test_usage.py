"""Queued usage over HTTP: stored at once, charged soon, in order, once."""

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

from jobs.charge_usage import charge_usage
from jobs.sweep_usage import sweep_usage
from tests.api.conftest import Caller, assert_problem, new_name, statements_of
from tests.conftest import TestServers
from webapp import clock
from webapp.api import endpoint, spends

EVENT = {
    "batch", "position", "status", "account", "idempotency_key", "feature", "quantity", "cost", "reference", "entry",
    "replayed", "problem", "accepted_at",
}  # fmt: skip


def item(account: str, amount: int = 1, **more: Any) -> dict[str, Any]:
    return {"account": account, "amount": amount, "description": "Test", "idempotency_key": uuid4().hex, **more}


def post(caller: Caller, items: list[Any], **more: Any) -> TestResponse:
    return caller.post("/usage", {"items": items}, headers={"Idempotency-Key": None, **more})


def send(caller: Caller, items: list[Any]) -> dict[str, Any]:
    answer = post(caller, items)
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.get_json()
    assert body.keys() == {"batch", "accepted", "results_url", "results"}
    assert len(body["results"]) == len(items)
    return body


def results(caller: Caller, batch: str) -> list[dict[str, Any]]:
    answer = caller.get(f"/usage/{batch}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.get_json()["results"]
    assert all(one.keys() == EVENT for one in found)
    return found


def states(caller: Caller, batch: str) -> list[str]:
    return [one["status"] for one in results(caller, batch)]


@pytest.fixture
def charge(app: Flask) -> Callable[[], None]:
    """Does what a worker would do."""

    def run() -> None:
        with app.app_context():
            charge_usage()

    return run


@pytest.fixture
def sweep(app: Flask) -> Callable[[], None]:
    def run() -> None:
        with app.app_context():
            sweep_usage()

    return run


def test_usage_is_stored_then_charged_in_order_and_told_of(caller: Caller, charge: Callable[[], None]) -> None:
    one, other = caller.new_account(credits=100), caller.new_account(credits=50)
    sent = [
        item(one, 30, reference="r", metadata={"a": [1]}, idempotency_key="k"),
        {"account": other, "feature": "image", "quantity": 2, "idempotency_key": "f"},
        item(one, 5),
    ]
    accepted = send(caller, sent)
    assert (accepted["accepted"], accepted["results"]) == (3, [{"status": "pending"}] * 3)
    assert accepted["results_url"].endswith(f"/api/v1/usage/{accepted['batch']}")
    assert caller.balance(one) == 100
    assert states(caller, accepted["batch"]) == ["pending"] * 3
    charge()
    body = caller.get(f"/usage/{accepted['batch']}").get_json()
    assert (body["pending"], body["charged"], body["parked"], body["rejected"]) == (0, 3, 0, 0)
    first, image, second = body["results"]
    assert (first["entry"], first["cost"], first["replayed"], first["problem"]) == (f"{one}:2", 30, False, None)
    assert (first["account"], first["idempotency_key"], first["reference"]) == (one, "k", "r")
    assert (image["entry"], image["feature"], image["quantity"], image["cost"]) == (f"{other}:2", "image", 2, 16)
    assert second["entry"] == f"{one}:3"
    entry = caller.get(f"/entries/{one}:2").get_json()
    assert (entry["amount"], entry["reference"], entry["metadata"], entry["idempotency_key"]) == (
        -30, "r", {"a": [1]}, "k",
    )  # fmt: skip
    assert entry["occurred_at"] == first["accepted_at"]
    assert entry["actor"].startswith("api:tsk_")
    assert caller.get(f"/entries/{other}:2").get_json()["arithmetic"]["credits"] == 16
    charge()
    assert (caller.balance(one), caller.balance(other)) == (65, 34)


def test_a_refused_item_is_named_at_once_and_harms_no_other(caller: Caller, charge: Callable[[], None]) -> None:
    name = caller.new_account(credits=100)
    late = (clock.now() - spends.OLDEST_USAGE - timedelta(days=1)).isoformat()
    bad: list[tuple[Any, int, str, str | None]] = [
        (item(name, amount=0), 400, "invalid_request", "amount"),
        (item(name, amount=True), 400, "invalid_request", "amount"),
        (item(name, amount=1.0), 400, "invalid_request", "amount"),
        (item(name, amount=10**30), 400, "invalid_request", None),
        (item(name, idempotency_key=""), 400, "invalid_request", "idempotency_key"),
        (item(name, idempotency_key="x" * 256), 400, "invalid_request", "idempotency_key"),
        ({"account": name, "amount": 1, "description": "x"}, 400, "invalid_request", "idempotency_key"),
        (item(name, description="\x00"), 400, "invalid_request", "description"),
        (item(name, metadata={"x": "y" * 17_000}), 400, "invalid_request", "metadata"),
        (item(name, colour="red"), 400, "invalid_request", "colour"),
        (item("a b"), 400, "invalid_request", "account"),
        (item(new_name()), 404, "account_not_found", None),
        (item(name, occurred_at=late), 400, "invalid_request", "occurred_at"),
        (item(name, occurred_at="2999-01-01T00:00:00Z"), 400, "invalid_request", "occurred_at"),
        ({"account": name, "feature": "nothing", "idempotency_key": "f"}, 400, "invalid_request", "feature"),
        ("spend", 400, "invalid_request", "items.15"),
        (None, 400, "invalid_request", "items.16"),
        ({}, 400, "invalid_request", "account"),
    ]
    accepted = send(caller, [*(one for one, *_ in bad), item(name, 7)])
    assert accepted["accepted"] == 1
    *refused, stored = accepted["results"]
    for (one, status, code, field), result in zip(bad, refused, strict=True):
        assert result.keys() == {"status", "problem"}, (one, result)
        problem = result["problem"]
        found = (result["status"], problem["status"], problem["code"], problem.get("field"))
        assert found == ("rejected", status, code, field), (one, result)
    assert stored == {"status": "pending"}
    charge()
    told = results(caller, accepted["batch"])
    assert [one["problem"] for one in told[:-1]] == [one["problem"] for one in refused]
    assert {(one["account"], one["entry"]) for one in told[:-1]} == {(None, None)}
    assert (told[-1]["status"], caller.balance(name)) == ("charged", 93)


@pytest.mark.parametrize(
    "broken",
    ['"amount": NaN', '"amount": 1e999', '"amount": 1, "amount": 2', '"amount": 1, "reference": "\\u0000"',
     '"amount": 1, "metadata": {"a": "\\ud800"}', '"amount": 1, "metadata": {"a": ' + "[" * 700 + "]" * 700 + "}"],
)  # fmt: skip
def test_hostile_json_in_an_item_is_refused_in_that_item_alone(
    caller: Caller, charge: Callable[[], None], broken: str
) -> None:
    name = caller.new_account(credits=10)
    members = f'"account": "{name}", "description": "x"'
    good = f'{{{members}, "amount": 1, "idempotency_key": "good"}}'
    answer = caller.post("/usage", f'{{"items": [{{{members}, "idempotency_key": "bad", {broken}}}, {good}]}}'.encode())
    assert answer.status_code == 202, answer.text
    assert [one["status"] for one in answer.get_json()["results"]] == ["rejected", "pending"]
    charge()
    assert caller.balance(name) == 9


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"items": []}', b'{"items": null}', b'{"items": [' + b"1," * 1000 + b"1]}",
             b'{"items": [1], "more": 1}', b'{"items": NaN}', b'{"items": ' + b"[" * 100_000]
)  # fmt: skip
def test_a_body_that_is_no_batch_is_refused_whole(caller: Caller, body: bytes) -> None:
    assert_problem(caller.call("POST", "/usage", body), 400, "invalid_request")


NO_BATCH = ["nothing", "0", "6d3f0a52-0000-4000-8000-000000000000", "%00", "é" * 40, "urn:uuid:x"]


@pytest.mark.parametrize("name", NO_BATCH)
def test_a_batch_that_is_not_there_is_not_found(caller: Caller, name: str) -> None:
    assert_problem(caller.get(f"/usage/{name}"), 404, "not_found")


def test_the_right_scope_is_needed_to_tell_of_usage_and_to_read_it(
    caller: Caller, caller_with: Callable[..., Caller]
) -> None:
    name = caller.new_account(credits=10)
    batch = send(caller, [item(name)])["batch"]
    reader, spender = caller_with(scopes=["accounts:read"]), caller_with(scopes=["credits:spend"])
    granter = caller_with(scopes=["credits:grant", "accounts:write"])
    assert_problem(post(reader, [item(name)]), 403, "missing_scope")
    assert reader.get(f"/usage/{batch}").status_code == spender.get(f"/usage/{batch}").status_code == 200
    assert_problem(granter.get(f"/usage/{batch}"), 403, "missing_scope")
    assert_problem(spender.get(f"/accounts/{name}/usage"), 403, "missing_scope")
    assert_problem(Caller(caller.client, None).get(f"/usage/{batch}"), 401, "unauthorized")


def test_the_same_key_is_charged_once_within_a_batch_and_across_batches(
    caller: Caller, charge: Callable[[], None]
) -> None:
    name, other = caller.new_account(credits=10), caller.new_account(credits=10)
    one = item(name, 4)
    first = send(caller, [one, one, {**one, "amount": 5}, {**one, "account": other}])
    second = send(caller, [one])
    charge()
    third = send(caller, [one, {**one, "amount": 6}])
    charge()
    told = [found for batch in (first, second, third) for found in results(caller, batch["batch"])]
    assert [found["entry"] for found in told] == [
        f"{name}:2", f"{name}:2", None, f"{other}:2", f"{name}:2", f"{name}:2", None
    ]  # fmt: skip
    assert [found["replayed"] for found in told] == [False, True, False, False, True, True, False]
    assert [found["problem"]["code"] for found in told if found["problem"]] == ["idempotency_key_reused"] * 2
    assert (caller.balance(name), caller.balance(other)) == (6, 6)


def test_a_key_means_the_same_spend_queued_or_not(caller: Caller, charge: Callable[[], None]) -> None:
    name = caller.new_account(credits=20)
    moment = (clock.now() - timedelta(days=2)).isoformat()
    body = {"account": name, "feature": "chat-message", "quantity": 2, "metadata": {"a": 1e2}, "occurred_at": moment}
    spent = caller.post("/spends", body, key="direct")
    batch = send(caller, [{**body, "idempotency_key": "direct"}, {**body, "idempotency_key": "queued"}])["batch"]
    charge()
    direct, queued = results(caller, batch)
    assert (direct["entry"], direct["replayed"]) == (spent.get_json()["id"], True)
    again = caller.post("/spends", body, key="queued")
    assert (again.get_json()["id"], again.headers["Idempotent-Replayed"]) == (queued["entry"], "true")
    assert_problem(caller.post("/spends", {**body, "quantity": 3}, key="queued"), 422, "idempotency_key_reused")
    assert caller.get(f"/entries/{queued['entry']}").get_json()["occurred_at"].startswith(moment[:10])
    assert caller.balance(name) == 16


def test_usage_is_priced_by_the_rate_card_of_its_arrival(
    caller: Caller, charge: Callable[[], None], superuser_connection: psycopg.Connection
) -> None:
    feature = f"dear-{uuid4().hex[:8]}"
    superuser_connection.execute(
        "INSERT INTO features (key, name, description, unit, position) VALUES (%s, 'Dear', '', 'x', 99)", [feature]
    )
    superuser_connection.execute(
        "INSERT INTO rates (version, feature, credits_per_unit) SELECT max(version), %s, 3 FROM rate_cards", [feature]
    )
    name = caller.new_account(credits=100)
    batch = send(caller, [{"account": name, "feature": feature, "idempotency_key": "k"}])["batch"]
    superuser_connection.execute("DELETE FROM rates WHERE feature = %s", [feature])
    charge()
    (told,) = results(caller, batch)
    assert (told["status"], told["cost"], caller.balance(name)) == ("charged", 3, 97)
    again = send(caller, [{"account": name, "feature": feature, "idempotency_key": "k"}])
    charge()
    assert results(caller, again["batch"])[0]["replayed"] is True
    assert caller.balance(name) == 97


def test_what_cannot_be_paid_is_debt_within_the_limit_and_parked_beyond_it(
    caller: Caller, charge: Callable[[], None]
) -> None:
    name = caller.new_account(credits=10)
    caller.put(f"/accounts/{name}", {"overdraft_limit": 5})
    batch = send(caller, [item(name, 8), item(name, 9), item(name, 7), item(name, 1)])["batch"]
    charge()
    told = results(caller, batch)
    assert [one["status"] for one in told] == ["charged", "parked", "charged", "parked"]
    problem = told[1]["problem"]
    assert (problem["status"], problem["code"], problem["required"], problem["available"]) == (
        402, "insufficient_credits", 9, 7,
    )  # fmt: skip
    assert problem["buy_url"].endswith("/pricing")
    german = caller.get(f"/usage/{batch}", headers={"Accept-Language": "de"}).get_json()["results"][1]["problem"]
    assert german["code"] == "insufficient_credits"
    assert german["detail"] != problem["detail"]
    account = caller.get(f"/accounts/{name}").get_json()
    assert (account["balance"], account["debt"]) == (-5, 5)


def test_who_reads_parked_usage_twice_reads_the_same(caller: Caller, sweep: Callable[[], None]) -> None:
    batch = send(caller, [item(caller.new_account(credits=1), amount=5)])["batch"]
    sweep()
    first = caller.get(f"/usage/{batch}")
    assert first.get_json()["results"][0]["problem"]["request_id"] == batch
    again = caller.get(f"/usage/{batch}", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


def test_parked_usage_is_charged_in_order_when_credits_come(caller: Caller, sweep: Callable[[], None]) -> None:
    name = caller.new_account()
    keys = [f"k{number}" for number in range(4)]
    batch = send(caller, [item(name, 4, idempotency_key=key) for key in keys])["batch"]
    sweep()
    assert states(caller, batch) == ["parked"] * 4
    caller.post("/grants", {"account": name, "amount": 9, "reason": "Top-up"})
    sweep()
    assert states(caller, batch) == ["charged", "charged", "parked", "parked"]
    sweep()
    caller.post("/grants", {"account": name, "amount": 9, "reason": "Top-up"})
    later = send(caller, [item(name, 4, idempotency_key="later")])["batch"]
    sweep()
    assert states(caller, batch) == ["charged"] * 4
    assert states(caller, later) == ["parked"]
    entries = caller.get(f"/accounts/{name}/entries?kind=spend").get_json()["data"]
    assert [entry["idempotency_key"] for entry in entries] == keys[::-1]
    assert caller.balance(name) == 2


def test_what_was_parked_is_not_tried_again_while_nothing_has_changed(
    caller: Caller, app: Flask, sweep: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from webapp.usage import charging

    name = caller.new_account(credits=3)
    batch = send(caller, [item(name, 4)])["batch"]
    sweep()
    asked: list[Any] = []
    monkeypatch.setattr(charging.ledger, "spend_many", lambda _session, *, items: asked.extend(items) or [])
    sweep()
    assert not [one for one in asked if one.idempotency_key == results(caller, batch)[0]["idempotency_key"]]


def test_an_accounts_usage_is_listed_by_state_and_page_newest_first(caller: Caller, charge: Callable[[], None]) -> None:
    name = caller.new_account(credits=3)
    send(caller, [item(name, 1, idempotency_key=f"k{number}") for number in range(5)])
    charge()
    send(caller, [item(name, 1, idempotency_key="new")])

    def keys(query: str) -> tuple[list[str], str | None]:
        body = caller.get(f"/accounts/{name}/usage{query}").get_json()
        assert all(one.keys() == EVENT for one in body["data"])
        return [one["idempotency_key"] for one in body["data"]], body["next_cursor"]

    assert keys("") == (["new", "k4", "k3", "k2", "k1", "k0"], None)
    assert keys("?state=pending") == (["new"], None)
    assert keys("?state=charged") == (["k2", "k1", "k0"], None)
    assert keys("?state=parked") == (["k4", "k3"], None)
    assert keys("?state=rejected") == ([], None)
    seen, cursor = keys("?limit=4")
    assert (seen, keys(f"?limit=4&cursor={cursor}")) == (["new", "k4", "k3", "k2"], (["k1", "k0"], None))
    assert_problem(caller.get(f"/accounts/{name}/usage?state=lost"), 400, "invalid_request", field="state")
    assert_problem(caller.get("/accounts/nobody-at-all/usage"), 404, "account_not_found")


def test_accepting_is_one_insert_however_many_items(caller: Caller, app: Flask) -> None:
    names = [caller.new_account(credits=100) for _ in range(20)]
    with statements_of(app) as seen:
        send(caller, [item(name) for name in names * 25])
    assert len([one for one in seen if one.startswith("INSERT INTO usage_events")]) == 1
    assert len(seen) <= 5, seen


def test_usage_is_accepted_without_redis_and_charged_by_the_sweep(
    make_app: Callable[..., Flask], servers: TestServers, secret: str, caller: Caller, sweep: Callable[[], None]
) -> None:
    name = caller.new_account(credits=10)
    away = Caller(make_app(servers, REDIS_URL="redis://127.0.0.1:1/0").test_client(), secret)
    batch = send(away, [item(name, 4)])["batch"]
    assert states(away, batch) == ["pending"]
    sweep()
    assert (states(caller, batch), caller.balance(name)) == (["charged"], 6)


def test_without_the_database_nothing_is_accepted(
    make_app: Callable[..., Flask], servers: TestServers, secret: str
) -> None:
    away = make_app(servers, DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    answer = post(Caller(away.test_client(), secret), [item("a")])
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_who_is_killed_before_the_answer_tells_it_again_and_it_is_charged_once(
    caller: Caller, charge: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = caller.new_account(credits=10)
    items = [item(name, 2), item(name, 3)]

    class Killed(BaseException):
        """The process ends here."""

    def die(_reply: Any) -> None:
        raise Killed

    monkeypatch.setattr(endpoint, "_response", die)
    with pytest.raises(Killed):
        post(caller, items)
    monkeypatch.undo()
    batch = send(caller, items)["batch"]
    charge()
    assert [one["replayed"] for one in results(caller, batch)] == [True, True]
    assert caller.balance(name) == 5


def test_simultaneous_batches_are_all_charged_once_by_simultaneous_workers(
    caller: Caller, app: Flask, secret: str, charge: Callable[[], None]
) -> None:
    names = [caller.new_account(credits=1000) for _ in range(10)]

    def tell(number: int) -> str:
        mine = Caller(app.test_client(), secret)
        items = [item(names[n % 10], 2, idempotency_key=f"{number % 3}-{n}") for n in range(300)]
        batch: str = send(mine, items)["batch"]
        charge()
        return batch

    with ThreadPoolExecutor(4) as threads:
        batches = list(threads.map(tell, range(6)))
    charge()
    assert {state for batch in batches for state in states(caller, batch)} == {"charged"}
    assert [caller.balance(name) for name in names] == [1000 - 3 * 30 * 2] * 10


def test_the_document_says_what_becomes_of_usage(app: Flask) -> None:
    spec = app.test_client().get("/api/v1/openapi.json").get_json()
    told = spec["paths"]["/api/v1/usage"]["post"]["responses"]
    assert told["202"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/UsageAcceptedAnswer"}
    assert "Idempotency-Key" not in json.dumps(spec["paths"]["/api/v1/usage"]["post"]["parameters"])
    assert spec["components"]["schemas"]["UsageEventAnswer"]["properties"]["status"]["enum"] == [
        "pending", "charged", "parked", "rejected"
    ]  # fmt: skip
