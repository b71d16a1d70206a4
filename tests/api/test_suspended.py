"""A suspended account spends nothing, however it is asked; what it has stays its own."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.api.conftest import Caller, assert_problem, make_secret, new_name, statements_of
from tests.api.test_kept import shop as shop
from webapp import ledger
from webapp.api.charging import ChargeRefused, charge
from webapp.billing.plan_of_account import plans_of
from webapp.catalog.unlock import create_unlock
from webapp.database import unit_of_work
from webapp.people.suspension import Suspension
from webapp.usage.charging import charge_next
from webapp.usage.retrying import retry_payable

REASON = "Chargebacks"


@pytest.fixture
def account(caller: Caller) -> str:
    return caller.new_account(credits=100)


def suspend(app: Flask, account: str, reason: str = REASON) -> None:
    result = app.test_cli_runner().invoke(args=["account", "suspend", account, "--reason", reason])
    assert result.exit_code == 0, result.output


def resume(app: Flask, account: str) -> str:
    result = app.test_cli_runner().invoke(args=["account", "resume", account])
    assert result.exit_code == 0, result.output
    return result.output


def assert_suspended(response: Any) -> None:
    assert_problem(response, 403, "account_suspended", reason=REASON)


def item(account: str, key: str) -> dict[str, Any]:
    return {"account": account, "amount": 1, "description": "Test", "idempotency_key": key}


def test_nothing_is_spent_or_held_until_it_is_resumed(app: Flask, caller: Caller, account: str) -> None:
    suspend(app, account)
    for _ in range(2):
        assert_suspended(caller.spend(account, 1))
        assert_suspended(caller.post("/spends", {"account": account, "feature": "image"}))
        assert_suspended(caller.hold(account, 1))
    assert caller.balance(account) == 100
    resume(app, account)
    assert caller.spend(account, 1).status_code == caller.hold(account, 1).status_code == 201


def test_the_account_says_that_it_is_suspended_since_when_and_why(app: Flask, caller: Caller, account: str) -> None:
    before = caller.get(f"/accounts/{account}")
    assert before.get_json()["suspended"] is None
    suspend(app, account)
    kept = caller.get(f"/accounts/{account}", headers={"If-None-Match": before.headers["ETag"]})
    assert kept.status_code == 200
    suspended = kept.get_json()["suspended"]
    assert suspended["reason"] == REASON
    assert suspended["since"].endswith("Z")
    resume(app, account)
    assert caller.get(f"/accounts/{account}").get_json() == before.get_json()


def test_a_refused_key_stays_unused(app: Flask, caller: Caller, account: str) -> None:
    suspend(app, account)
    assert_suspended(caller.spend(account, 1, key="job-1"))
    resume(app, account)
    answer = caller.spend(account, 1, key="job-1")
    assert (answer.status_code, answer.headers.get("Idempotent-Replayed")) == (201, None)


def test_what_was_done_before_is_answered_again(app: Flask, caller: Caller, account: str) -> None:
    spent, held = caller.spend(account, 5, key="job-1"), caller.hold(account, 5, key="job-2")
    batch = {"items": [item(account, "job-3"), item(account, "job-4")]}
    first = caller.post("/spends/batch", {"items": batch["items"][:1]}).get_json()["results"][0]
    suspend(app, account)
    for answer, before in (
        (caller.spend(account, 5, key="job-1"), spent),
        (caller.hold(account, 5, key="job-2"), held),
    ):
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert (answer.status_code, answer.get_json()) == (201, before.get_json())
    again, refused = caller.post("/spends/batch", batch).get_json()["results"]
    assert (again["replayed"], again["entry"]) == (True, first["entry"])
    assert (refused["status"], refused["problem"]["code"]) == (403, "account_suspended")
    assert_problem(caller.spend(account, 6, key="job-1"), 422, "idempotency_key_reused")


def test_an_item_of_a_suspended_account_harms_no_other(app: Flask, caller: Caller, account: str) -> None:
    other = caller.new_account(credits=10)
    suspend(app, account)
    results = caller.post("/spends/batch", {"items": [item(account, "a"), item(other, "b")]}).get_json()["results"]
    assert [one["status"] for one in results] == [403, 201]
    assert results[0]["problem"]["reason"] == REASON
    assert (caller.balance(account), caller.balance(other)) == (100, 9)


def test_holds_from_before_can_be_captured_and_voided_and_spends_refunded(
    app: Flask, caller: Caller, account: str
) -> None:
    spent = caller.spend(account, 10).get_json()
    captured, voided = (caller.hold(account, 10).get_json()["id"] for _ in range(2))
    suspend(app, account)
    assert caller.post(f"/holds/{captured}/capture", {}).status_code == 200
    assert caller.post(f"/holds/{voided}/void", {}).status_code == 200
    assert caller.post(f"/spends/{spent['id']}/refund", {"reason": "Goodwill"}).status_code == 201
    assert caller.post("/grants", {"account": account, "amount": 7, "reason": "Test"}).status_code == 201
    assert caller.balance(account) == 100 - 10 + 7


def test_nothing_is_unlocked(app: Flask, caller: Caller, account: str) -> None:
    key = new_name("unlock")
    with app.app_context(), unit_of_work() as session:
        create_unlock(session, key=key, name="Test", credits=10, features=["a"])
    body = {"account": account, "unlock": key}
    suspend(app, account)
    assert_suspended(caller.post("/unlocks", body, key="open"))
    resume(app, account)
    opened = caller.post("/unlocks", body, key="open")
    assert opened.status_code == 201
    suspend(app, account)
    assert caller.post("/unlocks", body, key="open").get_json() == opened.get_json()
    assert caller.post("/unlocks", body).status_code == 200  # open already: costs nothing
    assert caller.balance(account) == 90


def test_work_that_is_charged_for_does_not_begin(app: Flask, caller: Caller, account: str) -> None:
    suspend(app, account)
    with app.test_request_context(), pytest.raises(ChargeRefused) as refused:
        charge(account=account, feature="image", key="render").reserve()
    assert (refused.value.problem.status, refused.value.problem.code) == (403, "account_suspended")
    assert refused.value.problem.extra == {"reason": REASON}


def test_work_that_has_begun_is_charged_for(app: Flask, caller: Caller, account: str) -> None:
    with app.app_context():
        with charge(account=account, feature="image", key="render") as charged:
            suspend(app, account)
        assert charged.entry is not None
    assert caller.balance(account) == 92


def test_queued_usage_waits_until_the_account_is_resumed(fresh_app: Flask) -> None:
    caller = Caller(fresh_app.test_client(), make_secret(fresh_app))
    account, other = (caller.new_account(credits=100) for _ in range(2))
    suspend(fresh_app, account)
    sent = caller.post("/usage", {"items": [item(account, "a"), item(other, "b"), item(account, "c")]})
    assert (sent.status_code, sent.get_json()["accepted"]) == (202, 3)

    def charged() -> list[str]:
        with fresh_app.app_context(), unit_of_work() as session:
            charge_next(session, plans_of=plans_of)
        results = caller.get(f"/usage/{sent.get_json()['batch']}").get_json()["results"]
        assert all(one["problem"]["code"] == "account_suspended" for one in results if one["status"] == "parked")
        assert all(one["problem"]["reason"] == REASON for one in results if one["status"] == "parked")
        return [one["status"] for one in results]

    assert charged() == ["parked", "charged", "parked"]
    with fresh_app.app_context(), unit_of_work() as session:
        caller.post("/grants", {"account": account, "amount": 7, "reason": "Test"})
        assert retry_payable(session, limit=10) == 0
    assert "2 events" in resume(fresh_app, account)
    assert charged() == ["charged", "charged", "charged"]
    assert caller.balance(account) == 105


def test_a_spend_is_still_one_round_trip_and_a_suspension_counts_from_the_next_one(shop: Flask) -> None:
    caller = Caller(shop.test_client(), make_secret(shop))
    account = caller.new_account(credits=100)
    body = {"account": account, "feature": "image"}
    assert caller.post("/spends", body).status_code == 201  # key and price are kept by now
    with statements_of(shop) as seen:
        assert caller.post("/spends", body).status_code == 201
    assert len(seen) == 1
    assert "suspensions" in seen[0]
    suspend(shop, account)
    assert_suspended(caller.post("/spends", body))
    resume(shop, account)
    assert caller.post("/spends", body).status_code == 201
    assert caller.balance(account) == 100 - 3 * 8


def test_who_suspended_and_resumed_it_and_why_stays_on_record(app: Flask, caller: Caller, account: str) -> None:
    for reason in ("First", "Second"):
        suspend(app, account, reason)
    resume(app, account)
    suspend(app, account, "Third")
    with app.app_context(), unit_of_work() as session:
        account_id = ledger.find_account(session, external_id=account).account_id
        found = session.scalars(
            select(Suspension).where(Suspension.account_id == account_id).order_by(Suspension.id)
        ).all()
        assert [(one.reason, one.ended_at is None) for one in found] == [("Second", False), ("Third", True)]
        assert all(one.actor.startswith("cli:") for one in found)
        assert found[0].ended_by == found[0].actor


def test_only_what_exists_is_suspended(app: Flask) -> None:
    runner = app.test_cli_runner()
    result = runner.invoke(args=["account", "suspend", new_name(), "--reason", "Test"])
    assert result.exit_code == 1
    assert "There is no account" in result.output
    assert runner.invoke(args=["account", "suspend", new_name(), "--reason", " "]).exit_code == 1
