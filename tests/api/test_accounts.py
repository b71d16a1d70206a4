"""Accounts by the product's own names."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask

from tests.api.conftest import Caller, assert_problem, new_name
from webapp import clock


def test_an_account_is_opened_once_and_changed_later(caller: Caller) -> None:
    name = new_name()
    first = caller.put(f"/accounts/{name}", {"name": "Ada", "kind": "organization", "metadata": {"tier": 1}})
    assert first.status_code == 201
    later = caller.put(f"/accounts/{name}", {"time_zone": "Europe/Berlin"})
    assert later.status_code == 200
    account = caller.get(f"/accounts/{name}").get_json()
    assert account == later.get_json()
    assert account["account"] == account["external_id"] == name
    assert (account["name"], account["kind"], account["time_zone"]) == ("Ada", "organization", "Europe/Berlin")
    assert account["metadata"] == {"tier": 1}
    assert (account["balance"], account["held"], account["available"], account["debt"]) == (0, 0, 0, 0)
    assert account["expiring"] == []
    assert account["version"]
    assert account["created_at"].endswith("Z")


def test_an_account_may_be_opened_with_no_body_at_all(caller: Caller) -> None:
    assert caller.put(f"/accounts/{new_name()}").status_code == 201


@pytest.mark.parametrize("name", ["a", "A.b_c-d:e@f+g", "user:1:2", "x" * 128, "."])
def test_every_external_id_of_the_contract_works_percent_encoded(caller: Caller, name: str) -> None:
    unique = name if len(name) == 128 else name + new_name()
    encoded = "".join(f"%{byte:02X}" for byte in unique.encode())
    assert caller.put(f"/accounts/{encoded}").status_code in (200, 201)
    assert caller.get(f"/accounts/{encoded}").get_json()["account"] == unique


@pytest.mark.parametrize("name", ["a b", "a%00b", "%FF", "ü", "a%2Cb", "x" * 129, "%0A", "a%0A", "'; DROP", "<b>"])
def test_other_external_ids_are_refused_and_named(caller: Caller, name: str) -> None:
    for method in ("GET", "PUT"):
        assert_problem(caller.call(method, f"/accounts/{name}"), 400, "invalid_request", field="external_id")


def test_unknown_accounts_are_not_found_anywhere(caller: Caller) -> None:
    name = new_name()
    for path in ("", "/entries", "/balance"):
        assert_problem(caller.get(f"/accounts/{name}{path}"), 404, "account_not_found")
    assert_problem(caller.spend(name, 1), 404, "account_not_found")
    assert_problem(caller.post("/grants", {"account": name, "amount": 1, "reason": "x"}), 404, "account_not_found")
    assert_problem(caller.post("/estimates", {"account": name, "feature": "image"}), 404, "account_not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "robot"}, "kind"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"overdraft_limit": -1}, "overdraft_limit"),
        ({"overdraft_limit": 10**15 + 1}, "overdraft_limit"),
        ({"overdraft_limit": True}, "overdraft_limit"),
        ({"name": 5}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"x": "y" * 16_500}}, "metadata"),
        ({"balance": 5}, "balance"),
        ({"external_id": "x"}, "external_id"),
    ],
)
def test_what_an_account_cannot_be_is_refused_and_nothing_is_opened(caller: Caller, body: object, field: str) -> None:
    name = new_name()
    assert_problem(caller.put(f"/accounts/{name}", body), 400, "invalid_request", field=field)
    assert caller.get(f"/accounts/{name}").status_code == 404


def test_a_replayed_put_is_answered_like_the_first_time(caller: Caller) -> None:
    name = new_name()
    first = caller.put(f"/accounts/{name}", {"name": "Ada"}, key="put-1")
    caller.put(f"/accounts/{name}", {"name": "Grace"})
    again = caller.put(f"/accounts/{name}", {"name": "Ada"}, key="put-1")
    assert (again.status_code, again.data) == (201, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert caller.get(f"/accounts/{name}").get_json()["name"] == "Grace"


def test_a_put_under_a_used_key_is_refused(caller: Caller) -> None:
    name = new_name()
    caller.put(f"/accounts/{name}", {"name": "Ada"}, key="put-1")
    assert_problem(caller.put(f"/accounts/{name}", {"name": "Eve"}, key="put-1"), 422, "idempotency_key_reused")
    assert caller.put(f"/accounts/{new_name()}", {"name": "Eve"}, key="put-1").status_code == 201


def test_a_refused_put_leaves_its_key_unused(caller: Caller) -> None:
    name = new_name()
    assert caller.put(f"/accounts/{name}", {"time_zone": "Mars/Olympus"}, key="put-1").status_code == 400
    assert caller.put(f"/accounts/{name}", {"time_zone": "UTC"}, key="put-1").status_code == 201


def test_simultaneous_first_puts_open_one_account_and_answer_alike(app: Flask, secret: str) -> None:
    name = new_name()

    def put(_number: int) -> tuple[int, bytes, str | None]:
        answer = Caller(app.test_client(), secret).put(f"/accounts/{name}", {"name": "Ada"}, key="one")
        return answer.status_code, answer.data, answer.headers.get("Idempotent-Replayed")

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(put, range(10)))
    assert {(status, body) for status, body, _ in answers} == {(201, answers[0][1])}
    assert sorted(str(replayed) for _, _, replayed in answers) == ["None"] + ["true"] * 9


def test_what_expires_is_listed_soonest_first(caller: Caller) -> None:
    name = caller.new_account(credits=5)
    soon, late = (clock.now() + timedelta(days=days) for days in (1, 9))
    for amount, at in ((20, late), (10, soon), (3, late)):
        body = {"account": name, "amount": amount, "expires_at": at.isoformat(), "reason": "x"}
        assert caller.post("/grants", body).status_code == 201
    account = caller.get(f"/accounts/{name}").get_json()
    assert [one["amount"] for one in account["expiring"]] == [10, 23]
    assert account["expiring"][0]["expires_at"] == soon.isoformat().replace("+00:00", "Z")
    assert account["balance"] == account["available"] == 38


def test_the_version_changes_with_every_change_and_only_then(caller: Caller) -> None:
    name = caller.new_account(credits=5)
    versions = [caller.get(f"/accounts/{name}").get_json()["version"] for _ in range(2)]
    caller.spend(name, 1)
    versions.append(caller.get(f"/accounts/{name}").get_json()["version"])
    assert versions[0] == versions[1] != versions[2]


def test_the_balance_of_a_past_moment_stays_what_it_was(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    first = caller.get(f"/accounts/{name}/balance").get_json()
    caller.spend(name, 40)
    then = caller.get(f"/accounts/{name}/balance", query_string={"at": first["at"]}).get_json()
    had = {"balance": 100, "held": 0, "available": 100, "debt": 0}
    assert then == first == {"account": name, "at": first["at"], **had}
    assert caller.get(f"/accounts/{name}/balance").get_json()["balance"] == 60
    long_ago = caller.get(f"/accounts/{name}/balance?at=2001-01-01T00:00:00Z").get_json()
    assert long_ago["balance"] == 0


@pytest.mark.parametrize("at", ["2999-01-01T00:00:00Z", "yesterday", "", "2026-11-21", "2026-11-21T08:00:00", "1e9"])
def test_the_balance_of_a_moment_that_is_none_is_refused(caller: Caller, at: str) -> None:
    name = caller.new_account()
    answer = caller.get(f"/accounts/{name}/balance", query_string={"at": at})
    assert_problem(answer, 400, "invalid_request", field="at")
