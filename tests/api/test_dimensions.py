"""Prices by what was measured, by what was chosen and by the plan, through the API."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask

from tests.api.conftest import Caller, assert_problem
from tests.statements import sent_through
from webapp import clock
from webapp.api.identifiers import find_account_id
from webapp.billing.entitlement import Entitlement
from webapp.billing.stripe_api import mode
from webapp.catalog.pricing_terms import read_pricing
from webapp.database import unit_of_work
from webapp.extensions import db

TERMS = {
    "model": "dimensions",
    "rounding": "up",
    "rates": [
        {"dimension": "input_tokens", "credits": 3, "unit_size": 1000},
        {"dimension": "output_tokens", "credits": 15, "unit_size": 1000},
    ],
    "variants": [
        {"when": {"plan": "pro", "model": "small"}, "model": "flat", "credits": 1},
        {"when": {"model": "small"}, "model": "per_unit", "credits": 2},
    ],
}
USED = {"input_tokens": 1500, "output_tokens": 400}  # 4.5 + 6 credits


@pytest.fixture
def feature(caller: Caller, superuser_connection: psycopg.Connection) -> Iterator[str]:
    """A feature at those terms, for this test alone."""
    key = f"chat-{uuid4().hex[:8]}"
    caller.new_account()
    assert not isinstance(read_pricing(TERMS, where="x"), list)
    superuser_connection.execute(
        "INSERT INTO features (key, name, description, unit, position) VALUES (%s, 'Chat', '', 'x', 99)", [key]
    )
    superuser_connection.execute(
        "INSERT INTO rates (version, feature, terms) SELECT max(version), %s, %s::jsonb FROM rate_cards",
        [key, json.dumps(TERMS)],
    )
    yield key
    superuser_connection.execute("DELETE FROM rates WHERE feature = %s", [key])


def put_on_plan(app: Flask, account: str, plan: str) -> None:
    now = clock.now()
    with app.app_context(), unit_of_work() as session:
        account_id = find_account_id(session, external_id=account)
        terms: dict[str, Any] = {
            "user_id": 0, "kind": "free", "plan_name": plan, "credits_per_month": 1, "expiry": "period",
            "rollover_cap": 0, "grant_priority": 0, "anchor_at": now, "time_zone": "UTC", "created_at": now,
        }  # fmt: skip
        session.add(
            Entitlement(
                account_id=account_id,
                external_id=account,
                mode=mode(),
                plan=plan,
                starts_at=now - timedelta(hours=1),
                **terms,
            )
        )


def test_every_call_charges_by_dimensions_and_alike(caller: Caller, feature: str) -> None:
    name = caller.new_account(credits=100)
    body = {"account": name, "feature": feature, "dimensions": USED}
    assert caller.post("/estimates", body).get_json()["cost"] == 11
    spent = caller.post("/spends", body, key="one")
    assert spent.get_json()["amount"] == -11
    lines = caller.get(f"/entries/{spent.get_json()['id']}").get_json()["arithmetic"]["lines"]
    assert [(line["dimension"], line["quantity"], line["credits"]) for line in lines] == [
        ("input_tokens", 1500, 5),
        ("output_tokens", 400, 6),
    ]
    assert caller.post("/holds", body).get_json()["amount"] == 11
    items = [{**body, "idempotency_key": "one"}, {**body, "idempotency_key": "two"}]
    answer = caller.post("/spends/batch", {"items": items}, headers={"Idempotency-Key": None}).get_json()
    assert [(one["status"], one["entry"]["amount"], one["replayed"]) for one in answer["results"]] == [
        (201, -11, True),
        (201, -11, False),
    ]
    changed = {**body, "dimensions": {**USED, "output_tokens": 401}}
    assert_problem(caller.post("/spends", changed, key="one"), 422, "idempotency_key_reused")


def test_a_choice_and_the_plan_decide_the_price(app: Flask, caller: Caller, feature: str) -> None:
    free, pro = caller.new_account(credits=100), caller.new_account(credits=100)
    put_on_plan(app, pro, "pro")
    body = {"feature": feature, "quantity": 4, "dimensions": {"model": "small"}}
    assert caller.post("/spends", {"account": free, **body}).get_json()["amount"] == -8
    assert caller.post("/spends", {"account": pro, **body}).get_json()["amount"] == -1
    items = [{"account": name, "idempotency_key": name, **body} for name in (free, pro, free)]
    items[2]["idempotency_key"] = "third"
    with app.app_context(), sent_through(db.engine) as statements:
        answer = caller.post("/spends/batch", {"items": items}, headers={"Idempotency-Key": None}).get_json()
    assert [one["entry"]["amount"] for one in answer["results"]] == [-8, -1, -8]
    assert len([statement for statement in statements if "entitlements" in statement]) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"dimensions": None}, "dimensions"),
        ({"dimensions": {}}, "dimensions"),
        ({"dimensions": {"input_tokens": 0}}, "dimensions"),
        ({"dimensions": {"input_tokens": "5"}}, "dimensions"),
        ({"dimensions": {"input_tokens": True}}, "dimensions"),
        ({"dimensions": {"input_tokens": 10**15 + 1}}, "dimensions"),
        ({"dimensions": {"input_tokens": 5, "model": 5}}, "dimensions"),
        ({"dimensions": {"input_tokens": 5, "plan": "pro"}}, "dimensions"),
        ({"dimensions": {"input_tokens": 5, "x\u0000%(name)s": "\u0000"}}, "dimensions"),
        ({"dimensions": {"input_tokens": 5, "x" * 9999: 1}}, "dimensions"),
        ({"dimensions": {str(number): 1 for number in range(101)}}, "dimensions"),
        ({"dimensions": []}, "dimensions"),
        ({"quantity": 2}, "quantity"),
    ],
)
def test_dimensions_that_mean_nothing_are_refused_by_name(
    caller: Caller, feature: str, change: dict[str, Any], field: str
) -> None:
    name = caller.new_account(credits=100)
    body = {"account": name, "feature": feature, "dimensions": USED, **change}
    assert_problem(caller.post("/spends", body), 400, "invalid_request", field=field)
    assert_problem(caller.post("/holds", body), 400, "invalid_request", field=field)
    item = {**body, "idempotency_key": "k"}
    answer = caller.post("/spends/batch", {"items": [item]}, headers={"Idempotency-Key": None}).get_json()
    assert (answer["results"][0]["status"], answer["results"][0]["problem"]["field"]) == (400, field)
    assert caller.balance(name) == 100


def test_a_choice_may_be_any_text(caller: Caller, feature: str) -> None:
    name = caller.new_account(credits=100)
    for choice in ("", "\u0000", "%s", "x" * 9999, "\ud83d\ude00"):
        body = {"account": name, "feature": feature, "dimensions": {**USED, "model": choice}}
        answer = caller.post("/spends", body)
        assert answer.status_code in (201, 400), answer.text


def test_the_features_say_how_they_are_priced(caller: Caller, feature: str) -> None:
    found = next(one for one in caller.get("/features").get_json()["data"] if one["feature"] == feature)
    assert (found["credits_per_unit"], found["pricing"]) == (None, TERMS)
    image = next(one for one in caller.get("/features").get_json()["data"] if one["feature"] == "image")
    assert image["pricing"] == {"model": "per_unit", "credits": image["credits_per_unit"]}
