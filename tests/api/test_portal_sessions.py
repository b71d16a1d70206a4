"""POST /portal-sessions and /balance-fragments: links for the product's users."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.api.conftest import Caller, assert_problem, make_secret
from tests.conftest import TestServers
from tests.people.browser import Browser

BACK = "https://app.example.com/team"


def begin(caller: Caller, account: str, *, key: str | None = None, **more: Any) -> TestResponse:
    return caller.post("/portal-sessions", {"account": account, "return_url": BACK, **more}, key=key)


def test_the_answer_is_a_link_of_this_site_that_expires_in_minutes(caller: Caller) -> None:
    answer = begin(caller, caller.new_account())
    assert answer.status_code == 201
    body = answer.get_json()
    assert body.keys() == {"url", "expires_at"}
    assert body["url"].startswith("http://localhost:8000/portal/")
    assert len(body["url"].rpartition("/")[2]) == 43


def test_the_same_key_gives_the_same_link(caller: Caller) -> None:
    account = caller.new_account()
    first = begin(caller, account, key="once")
    again = begin(caller, account, key="once")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.get_json()) == (201, first.get_json())
    assert begin(caller, account).get_json()["url"] != first.get_json()["url"]
    assert_problem(begin(caller, account, key="once", page="plan"), 422, "idempotency_key_reused")


def test_a_write_needs_an_idempotency_key_and_its_scope(caller: Caller, caller_with: Callable[..., Caller]) -> None:
    account = caller.new_account()
    body = {"account": account, "return_url": BACK}
    missing = caller.post("/portal-sessions", body, headers={"Idempotency-Key": None})
    assert_problem(missing, 400, "invalid_request", field="Idempotency-Key")
    reader = caller_with(scopes=["accounts:read", "checkout:write"])
    assert_problem(begin(reader, account), 403, "missing_scope", scope="portal:write")
    assert begin(caller_with(scopes=["portal:write"]), account).status_code == 201
    assert reader.post("/balance-fragments", {"account": account}).status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("return_url", "javascript:alert(1)"),
        ("return_url", "//evil.example"),
        ("return_url", "https://app.example.com/a b"),
        ("return_url", "https://"),
        ("return_url", 7),
        ("page", "admin"),
        ("page", "../admin"),
        ("locale", "x"),
        ("locale", 5),
        ("account", "no such thing!"),
        ("secret", "of mine"),
    ],
)
def test_what_means_nothing_is_refused_by_name(caller: Caller, field: str, value: Any) -> None:
    body = {"account": caller.new_account(), "return_url": BACK, field: value}
    assert_problem(caller.post("/portal-sessions", body), 400, "invalid_request", field=field)


def test_an_unknown_account_has_no_pages(caller: Caller) -> None:
    assert begin(caller, "nobody-here").status_code == 404
    assert caller.post("/balance-fragments", {"account": "nobody-here"}).status_code == 404


def test_a_language_that_is_not_offered_is_no_error(caller: Caller) -> None:
    account = caller.new_account()
    for locale in ("fr", "tlh", "de-CH", "pt_BR"):
        assert begin(caller, account, locale=locale).status_code == 201


def test_links_lead_back_to_configured_sites_alone(make_app: Callable[..., Flask], servers: TestServers) -> None:
    app = make_app(servers, PORTAL_RETURN_ORIGINS="https://app.example.com, http://localhost:3000")
    caller = Caller(app.test_client(), make_secret(app))
    account = caller.new_account()
    for good in (BACK, "https://APP.example.com:443/x?y=1#z", "http://localhost:3000", "http://localhost:8000/credits"):
        assert begin(caller, account, return_url=good).status_code == 201, good
    bad = ("http://app.example.com", "https://app.example.com.evil.example", "https://app.example.com:8443",
           "https://evil.example/https://app.example.com", "https://app.example.com@evil.example/")  # fmt: skip
    for url in bad:
        assert_problem(begin(caller, account, return_url=url), 400, "invalid_request", field="return_url")


def test_the_product_sees_and_ends_who_is_inside(app: Flask, caller: Caller) -> None:
    account, other = caller.new_account(), caller.new_account()
    path = f"/accounts/{account}/portal-sessions"
    waiting = urlsplit(begin(caller, account).get_json()["url"]).path
    browser, neighbour = Browser(app), Browser(app)
    browser.post(urlsplit(begin(caller, account).get_json()["url"]).path)
    neighbour.post(urlsplit(begin(caller, other).get_json()["url"]).path)
    [inside] = caller.get(path).get_json()["data"]
    assert inside["return_url"] == BACK
    assert inside["ip"] == browser.ip
    ended = caller.post(f"{path}/end", key="log-out")
    assert (ended.status_code, ended.get_json()) == (200, {"ended": 2})
    assert caller.post(f"{path}/end", key="log-out").get_json() == {"ended": 2}
    assert caller.get(path).get_json() == {"data": []}
    assert browser.get("/credits").status_code == 303
    assert browser.get(waiting).status_code == 410
    assert neighbour.get("/credits").status_code == 200
    assert caller.get("/accounts/nobody-here/portal-sessions").status_code == 404


def test_a_fragment_is_an_address_that_expires(caller: Caller) -> None:
    account = caller.new_account(credits=7)
    answer = caller.post("/balance-fragments", {"account": account, "locale": "de"}, headers={"Idempotency-Key": None})
    assert answer.status_code == 200
    assert answer.get_json().keys() == {"url", "expires_at", "origins"}
    for seconds in (59, 86_401, 0, -1, 1.5, True):
        refused = caller.post("/balance-fragments", {"account": account, "expires_in": seconds})
        assert_problem(refused, 400, "invalid_request", field="expires_in")
