"""Portal sessions: a product leads its user to the pages of their account by a link that works once."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from tests.api.conftest import Caller, caller, make_secret, new_name, secret
from tests.credits.member import Member, member, shop
from tests.people.browser import PASSWORD, Browser
from webapp.database import unit_of_work
from webapp.people import portal_session

__all__ = ["caller", "member", "secret", "shop"]

BACK = "https://app.example.com/team?tab=credits"


@pytest.fixture
def product(shop: Flask) -> Caller:
    return Caller(shop.test_client(), make_secret(shop))


@pytest.fixture
def browser(shop: Flask) -> Browser:
    return Browser(shop)


def link_to(product: Caller, account: str, **more: Any) -> str:
    """The path of a new link."""
    made = product.post("/portal-sessions", {"account": account, "return_url": BACK, **more})
    assert made.status_code == 201, made.text
    return urlsplit(made.get_json()["url"]).path


def enter(browser: Browser, path: str) -> Any:
    return browser.post(path)


def test_a_link_leads_to_the_pages_of_an_account_that_has_no_person(product: Caller, browser: Browser) -> None:
    account = product.new_account(credits=321)
    entered = enter(browser, link_to(product, account))
    assert (entered.status_code, entered.headers["Location"]) == (303, "/credits")
    page = browser.get("/credits").text
    assert 'data-available="321"' in page
    assert "Back to app.example.com" in page
    assert f'href="{BACK}"' in page
    for path in ("/credits/history", "/credits/usage", "/plan", "/pricing", "/packages/starter/buy", "/settings/cards"):
        assert browser.get(path).status_code == 200, path


def test_the_link_works_once(shop: Flask, product: Caller, browser: Browser) -> None:
    path = link_to(product, product.new_account())
    assert enter(browser, path).status_code == 303
    other = Browser(shop)
    assert other.get(path).status_code == 410
    assert other.post_raw(path, {"csrf_token": other.token("/log-in")}).status_code == 410
    assert other.get("/credits").status_code == 303


def test_looking_at_a_link_does_not_use_it_up(shop: Flask, product: Caller, browser: Browser) -> None:
    """As a mail scanner does, or a messenger that wants a preview."""
    path = link_to(product, product.new_account())
    for _ in range(3):
        answer = Browser(shop).get(path)
        assert answer.status_code == 200
        assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "same-origin")
    assert browser.client.head(path).status_code == 200
    assert enter(browser, path).status_code == 303


def test_who_goes_back_to_the_link_is_where_they_were(product: Caller, browser: Browser) -> None:
    path = link_to(product, product.new_account(), page="plan")
    assert enter(browser, path).headers["Location"] == "/plan"
    assert browser.get(path).headers["Location"] == "/credits"


def test_a_link_is_good_for_minutes(product: Caller, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    path = link_to(product, product.new_account())
    real = portal_session.now
    monkeypatch.setattr(portal_session, "now", lambda: real() + portal_session.LINK_FOR)
    assert browser.get(path).status_code == 410


def test_a_session_ends_when_it_is_not_used_and_at_last(
    product: Caller, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = portal_session.now
    passed = timedelta()
    monkeypatch.setattr(portal_session, "now", lambda: real() + passed)
    enter(browser, link_to(product, product.new_account()))
    while passed + timedelta(hours=1) < portal_session.AT_MOST_FOR:
        passed += timedelta(hours=1)
        assert browser.get("/credits").status_code == 200
    passed = portal_session.AT_MOST_FOR
    assert browser.get("/credits").status_code == 303


def test_pages_about_a_person_know_no_visitors(product: Caller, browser: Browser, member: Member) -> None:
    """Not even those of the account's own person."""
    enter(browser, link_to(product, member.external_id))
    assert browser.get("/credits").status_code == 200
    assert member.email not in browser.get("/credits").text
    for path in ("/settings", "/settings/security", "/settings/data", "/settings/delete", "/admin"):
        answer = browser.get(path)
        assert answer.status_code in (303, 404), path
        assert member.email not in answer.text
    token = browser.token("/credits")
    fields = {"csrf_token": token, "current_password": "x" * 12, "password": "y" * 12, "name": "Eve"}
    for path in ("/settings", "/settings/security", "/settings/security/sessions/end-others", "/confirm-address"):
        assert browser.post_raw(path, fields).status_code == 303
        assert "/log-in" in browser.post_raw(path, fields).headers["Location"]
    page = browser.get("/credits").text
    assert 'href="/settings' not in page
    assert member.get("/settings").status_code == 200


def test_a_visitor_cannot_reach_another_account(product: Caller, browser: Browser, member: Member) -> None:
    entry = member.grant(5)
    enter(browser, link_to(product, product.new_account(credits=1)))
    assert browser.get(f"/credits/entries/{entry.seq + 1}").status_code == 404
    assert "Gift" not in browser.get("/credits/history").text
    assert browser.get("/checkout/cancelled/1").status_code == 404


def test_the_language_of_the_link_holds_until_another_is_chosen(product: Caller, browser: Browser) -> None:
    path = link_to(product, product.new_account(), locale="de-AT")
    assert 'lang="de"' in browser.get(path).text
    enter(browser, path)
    assert 'lang="de"' in browser.get("/credits").text
    browser.post("/language", {"locale": "ar", "back": "/credits"}, form="/credits")
    assert 'lang="ar"' in browser.get("/credits").text


def test_leaving_ends_the_session_for_every_copy_of_its_cookie(product: Caller, browser: Browser) -> None:
    enter(browser, link_to(product, product.new_account()))
    copy = browser.cookie
    left = browser.post("/log-out", form="/credits")
    assert left.status_code == 200
    assert f'href="{BACK}"' in left.text
    browser.cookie = copy
    assert browser.get("/credits").status_code == 303


def test_a_person_sees_and_ends_portal_sessions_of_their_account(
    product: Caller, browser: Browser, member: Member
) -> None:
    enter(browser, link_to(product, member.external_id))
    page = member.get("/settings/security").text
    assert "by way of app.example.com" in page
    [number] = re.findall(r'data-portal-session="(\d+)"', page)
    assert member.post(f"/settings/security/portal-sessions/{number}/end", form="/settings/security").status_code == 303
    assert browser.get("/credits").status_code == 303


def test_nobody_ends_portal_sessions_of_another_account(
    product: Caller, browser: Browser, member: Member, new_stranger: Callable[[], Member]
) -> None:
    enter(browser, link_to(product, member.external_id))
    [number] = re.findall(r'data-portal-session="(\d+)"', member.get("/settings/security").text)
    stranger = new_stranger()
    stranger.post(f"/settings/security/portal-sessions/{number}/end", form="/settings/security")
    assert browser.get("/credits").status_code == 200


@pytest.fixture
def new_stranger(shop: Flask) -> Callable[[], Member]:
    return lambda: Member(shop)


def test_a_new_password_ends_portal_sessions_and_waiting_links(shop: Flask, product: Caller, browser: Browser) -> None:
    person = Browser(shop)
    person.sign_up()
    with shop.app_context(), unit_of_work() as session:
        from webapp.people.log_in import find_user

        user = find_user(session, email=person.email)
        assert user is not None
        account = user.external_id
    enter(browser, link_to(product, account))
    waiting = link_to(product, account)
    changed = {"current_password": PASSWORD, "password": "another long password"}
    assert person.post("/settings/security", changed).status_code == 303
    assert browser.get("/credits").status_code == 303
    assert browser.get(waiting).status_code == 410


def test_who_is_logged_in_as_somebody_else_is_asked_and_not_carried_off(product: Caller, member: Member) -> None:
    path = link_to(product, product.new_account())
    page = member.get(path).text
    assert "data-submit" not in page
    assert member.email in page
    own = link_to(product, member.external_id)
    assert "data-submit" in member.get(own).text


def test_a_link_is_refused_without_the_token_of_the_form(product: Caller, browser: Browser) -> None:
    path = link_to(product, product.new_account())
    assert browser.post_raw(path).status_code == 400
    assert enter(browser, path).status_code == 303


def test_the_database_holds_no_link_and_no_token(shop: Flask, product: Caller, browser: Browser) -> None:
    path = link_to(product, name := product.new_account())
    enter(browser, path)
    token = path.rpartition("/")[2]
    with shop.app_context(), unit_of_work() as session:
        from sqlalchemy import text

        for table in ("portal_sessions", "api_answers"):
            rows = session.execute(text(f"SELECT t::text FROM {table} t WHERE t::text LIKE :n"), {"n": f"%{name}%"})
            found = [row[0] for row in rows]
            assert found
            assert not any(token in row or "portal." in row for row in found)


def test_names_of_accounts_are_text(product: Caller, browser: Browser) -> None:
    name = new_name()
    product.put(f"/accounts/{name}", {"name": "<b>%(x)s & Söhne</b>"})
    path = link_to(product, name)
    assert "&lt;b&gt;%(x)s &amp; Söhne&lt;/b&gt;" in browser.get(path).text
    enter(browser, path)
    assert "<b>%(x)s" not in browser.get("/credits").text
