"""What a process keeps of keys and prices is looked at again by the statement that charges."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from tests.api.conftest import Caller, assert_problem, make_secret, pass_time, statements_of
from webapp import clock, ledger
from webapp.api.keys import find_key, revoke_key, rotate_key
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.pricing import Pricing
from webapp.catalog.rate_book import Rated
from webapp.catalog.rate_card_versions import publish_card
from webapp.database import unit_of_work
from webapp.ledger.condition import Condition, ConditionFailed, all_of

HOLDS, FAILS = "SELECT WHERE :one = 1", "SELECT WHERE :one <> 1"


@pytest.fixture
def shop(fresh_app: Flask) -> Flask:
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    return fresh_app


@pytest.fixture
def regular(shop: Flask) -> Caller:
    """Somebody whose key and price are kept by now."""
    caller = Caller(shop.test_client(), make_secret(shop))
    name = caller.new_account(credits=100)
    assert caller.post("/spends", {"account": name, "feature": "image"}).status_code == 201
    return caller


def publish(app: Flask, credits: int) -> None:
    with app.app_context(), unit_of_work() as session:
        publish_card(session, prices={"image": Pricing(model="per_unit", credits=credits)})


def test_a_priced_spend_is_one_round_trip(shop: Flask, regular: Caller) -> None:
    name = regular.new_account(credits=100)
    regular.spend(name, 1)
    with statements_of(shop) as by_feature:
        regular.post("/spends", {"account": name, "feature": "image"})
    with statements_of(shop) as by_amount:
        regular.spend(name, 1)
    assert len(by_feature) == len(by_amount) == 1, (by_feature, by_amount)
    assert regular.balance(name) == 100 - 1 - 8 - 1


def test_a_key_revoked_a_moment_ago_charges_nothing(shop: Flask, regular: Caller) -> None:
    name = regular.new_account(credits=100)
    with shop.app_context(), unit_of_work() as session:
        revoke_key(session, key=find_key(session, prefix_or_id=str(regular.secret)))
    assert_problem(regular.spend(name, 1), 401, "unauthorized")
    assert_problem(regular.spend(name, 1), 401, "unauthorized")
    assert Caller(shop.test_client(), make_secret(shop)).balance(name) == 100


@pytest.mark.parametrize(
    "body",
    [
        {"account": "nobody-there", "amount": 1, "description": "x"},
        {"account": "a b", "amount": 1, "description": "x"},
        {"account": "ours", "amount": 1_000, "description": "more than there is"},
        {"account": "ours", "feature": "no-such-feature"},
        b"{",
    ],
)
def test_who_has_a_revoked_key_learns_only_that(shop: Flask, regular: Caller, body: Any) -> None:
    regular.put("/accounts/ours", {})
    with shop.app_context(), unit_of_work() as session:
        revoke_key(session, key=find_key(session, prefix_or_id=str(regular.secret)))
    assert_problem(regular.post("/spends", body), 401, "unauthorized")


def test_a_key_that_lost_a_right_charges_nothing(shop: Flask, regular: Caller) -> None:
    name = regular.new_account(credits=100)
    with shop.app_context(), unit_of_work() as session:
        find_key(session, prefix_or_id=str(regular.secret)).scopes = ["accounts:read"]
    assert_problem(regular.spend(name, 1), 403, "missing_scope")
    assert regular.balance(name) == 100


def test_a_key_that_was_rotated_ends_with_its_overlap(shop: Flask, regular: Caller) -> None:
    name = regular.new_account(credits=100)
    with shop.app_context(), unit_of_work() as session:
        key = find_key(session, prefix_or_id=str(regular.secret))
        rotate_key(session, key=key, overlap=timedelta(seconds=20), sandbox=True)
    assert regular.spend(name, 1).status_code == 201
    pass_time(shop, 21)
    assert_problem(regular.spend(name, 1), 401, "unauthorized")


def test_a_price_published_a_moment_ago_is_charged(shop: Flask, regular: Caller) -> None:
    name = regular.new_account(credits=100)
    publish(shop, credits=5)
    entry = regular.post("/spends", {"account": name, "feature": "image"}).get_json()
    assert entry["amount"] == -5
    arithmetic = regular.get(f"/entries/{entry['id']}").get_json()["arithmetic"]
    assert (arithmetic["rate_card_version"], arithmetic["credits"]) == (2, 5)


def test_a_price_that_is_outdated_each_time_it_is_looked_at_is_never_charged_and_never_a_500(
    shop: Flask, regular: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = regular.new_account(credits=100)
    publish(shop, credits=5)
    old = Rated(1, Pricing(model="per_unit", credits=8))
    monkeypatch.setattr(shop.extensions["api_kept"].rates, "get", lambda _feature: old)
    answer = regular.post("/spends", {"account": name, "feature": "image"})
    assert_problem(answer, 409, "in_progress")
    assert answer.headers["Retry-After"] == "1"
    assert regular.balance(name) == 100


def test_a_feature_that_left_the_rate_card_a_moment_ago_is_refused(shop: Flask, regular: Caller) -> None:
    name = regular.new_account(credits=100)
    with shop.app_context(), unit_of_work() as session:
        publish_card(session, prices={"export": Pricing(model="per_unit", credits=5)})
    answer = regular.post("/spends", {"account": name, "feature": "image"})
    assert_problem(answer, 400, "invalid_request", field="feature")
    assert regular.balance(name) == 100


def test_a_replay_is_answered_whatever_was_kept(shop: Flask, regular: Caller) -> None:
    name = regular.new_account(credits=100)
    body = {"account": name, "feature": "image"}
    first = regular.post("/spends", body, key="k")
    publish(shop, credits=5)
    again = regular.post("/spends", body, key="k")
    assert again.get_json() == first.get_json()
    assert again.headers["Idempotent-Replayed"] == "true"


def test_another_process_sees_the_last_use_within_a_minute(shop: Flask, regular: Caller) -> None:
    name = regular.new_account(credits=100)
    pass_time(shop, 90)
    regular.spend(name, 1)
    with shop.app_context(), unit_of_work() as session:
        used_at = find_key(session, prefix_or_id=str(regular.secret)).last_used_at
        assert used_at is not None
        assert clock.now() - used_at < timedelta(seconds=30)


# ---------------------------------------------------------------- the condition itself


@pytest.mark.parametrize(("condition", "kept"), [(HOLDS, True), (FAILS, False)])
def test_a_spend_happens_only_while_its_condition_holds(app: Flask, caller: Caller, condition: str, kept: bool) -> None:
    name = caller.new_account(credits=100)
    only_if = all_of(
        Condition(sql=HOLDS, arguments={"one": 1}),
        None,
        Condition(sql=condition, arguments={"one": 1}),
    )
    with app.app_context(), unit_of_work() as session:
        account_id = ledger.find_account(session, external_id=name).account_id

        def spend() -> None:
            ledger.spend(session, account_id=account_id, amount=10, idempotency_key="k", actor="test", only_if=only_if)

        if kept:
            spend()
        else:
            with pytest.raises(ConditionFailed):
                spend()
            used = session.execute(
                text("SELECT 1 FROM ledger.entries_v WHERE account_id = :id AND idempotency_key = 'k'"),
                {"id": account_id},
            )
            assert used.first() is None
    assert caller.balance(name) == (90 if kept else 100)


def test_no_condition_at_all_is_none() -> None:
    assert all_of(None, None) is None
