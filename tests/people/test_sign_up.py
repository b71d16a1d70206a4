"""Signing up."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.people.browser import PASSWORD, Browser, unique_email
from webapp import clock, ledger
from webapp.database import unit_of_work
from webapp.people.email_address import BadEmail
from webapp.people.first_credits import Terms
from webapp.people.log_in import find_user
from webapp.people.passwords import BadPassword
from webapp.people.profile import BadName, BadTimeZone
from webapp.people.sign_up import EmailTaken, sign_up

NewBrowser = Callable[[], Browser]


def test_who_signs_up_is_signed_in_at_once(browser: Browser) -> None:
    answer = browser.sign_up()
    assert (answer.status_code, answer.location) == (303, "/credits")
    assert browser.signed_in


def test_sign_up_opens_an_account_and_grants_the_welcome_credits_once(browser: Browser, session: Session) -> None:
    browser.sign_up(name="Ada Lovelace", time_zone="Europe/Berlin")
    user = find_user(session, email=browser.email)
    assert user is not None
    assert re.fullmatch(r"usr_[a-z2-7]{16}", user.external_id)
    account = ledger.find_account(session, external_id=user.external_id)
    assert (account.account_id, account.name, account.time_zone) == (user.account_id, "Ada Lovelace", "Europe/Berlin")
    page = ledger.entries(session, account_id=user.account_id)
    assert [(entry.amount, entry.description) for entry in page.entries] == [(100, "Welcome credits")]
    grant = ledger.grant_by_source_key(session, account_id=user.account_id, source_key=f"sign-up:{user.external_id}")
    assert grant is not None
    assert grant.source == "sign-up"
    assert abs(grant.expires_at - clock.now() - timedelta(days=30)) < timedelta(minutes=1)


def test_no_credits_are_granted_where_none_are_configured(session: Session) -> None:
    user = sign_up(session, email=unique_email(), password=PASSWORD)
    assert ledger.balance(session, account_id=user.account_id).balance == 0
    forever = sign_up(session, email=unique_email(), password=PASSWORD, first=Terms(credits=7, days=None))
    [grant] = ledger.open_grants(session, account_id=forever.account_id)
    assert (grant.remaining, grant.expires_at) == (7, None)


def test_ten_simultaneous_sign_ups_make_one_person_with_one_grant(app: Flask, session: Session) -> None:
    email = unique_email("twin")

    def attempt(number: int) -> str:
        with app.app_context():
            try:
                with unit_of_work() as own:
                    spelling = email.upper() if number % 2 else email
                    return sign_up(
                        own, email=spelling, password=PASSWORD, first=Terms(credits=100, days=30)
                    ).external_id
            except EmailTaken:
                return "taken"

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(attempt, range(10)))
    assert sorted(results)[:9] == ["taken"] * 9
    user = find_user(session, email=email)
    assert user is not None
    assert ledger.balance(session, account_id=user.account_id).balance == 100
    assert len(ledger.entries(session, account_id=user.account_id).entries) == 1


def test_a_form_sent_twice_at_once_signs_in_both_times(app: Flask, session: Session) -> None:
    email = unique_email("double")
    browsers = [Browser(app) for _ in range(4)]
    tokens = [browser.token("/sign-up") for browser in browsers]

    def submit(pair: tuple[Browser, str]) -> int:
        browser, token = pair
        fields = {"email": email, "password": PASSWORD, "csrf_token": token}
        return browser.post_raw("/sign-up", fields).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(submit, zip(browsers, tokens, strict=True))) == [303] * 4
    assert all(browser.signed_in for browser in browsers)
    user = find_user(session, email=email)
    assert user is not None
    assert ledger.balance(session, account_id=user.account_id).balance == 100


def test_a_taken_address_is_refused_with_a_way_on(browser: Browser, ada: Browser) -> None:
    answer = browser.sign_up(ada.email.upper(), "another password")
    assert answer.status_code == 422
    assert "There is already an account with this address" in answer.text
    assert not browser.signed_in


def test_who_signs_up_again_with_their_password_is_signed_in(browser: Browser, ada: Browser) -> None:
    assert browser.sign_up(ada.email).status_code == 303
    assert browser.signed_in


def test_a_refused_sign_up_writes_nothing(session: Session) -> None:
    email = unique_email()
    sign_up(session, email=email, password=PASSWORD)

    def rows() -> int:
        return session.execute(text("SELECT count(*) FROM ledger.accounts_v")).scalar_one()

    before = rows()
    with pytest.raises(EmailTaken):
        sign_up(session, email=email, password=PASSWORD, first=Terms(credits=5, days=None))
    for bad in (
        {"email": "nobody"},
        {"password": "short"},
        {"name": "a\u202eb"},
        {"time_zone": "Mars/Phobos"},
    ):
        with pytest.raises((BadEmail, BadPassword, BadName, BadTimeZone)):
            sign_up(session, **{"email": unique_email(), "password": PASSWORD, **bad})
    assert rows() == before


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("email", "", "Enter your email address."),
        ("email", "ada", "This is not a complete email address."),
        ("email", "ada@", "This is not a complete email address."),
        ("email", "a@b@example.com", "This is not a complete email address."),
        ("email", "ada\u202e@example.com", "This is not a complete email address."),
        ("email", "ada\x00@example.com", "This is not a complete email address."),
        ("email", "ada@example.com\r\nBcc: eve@example.com", "This is not a complete email address."),
        ("email", "a" * 250 + "@example.com", "at most 254 characters"),
        ("password", "", "Choose a password."),
        ("password", "ninechars", "Use at least 10 characters"),
        ("password", "x" * 201, "Use at most 200 characters"),
        ("name", "x" * 101, "Use at most 100 characters"),
        ("name", "Ada\x00", "invisible control characters"),
        ("name", "\u202eAda", "invisible control characters"),
    ],
)
def test_each_field_says_what_is_wrong_with_it(browser: Browser, field: str, value: str, message: str) -> None:
    fields: dict[str, Any] = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada <b>", field: value}
    answer = browser.post("/sign-up", fields)
    assert answer.status_code == 422
    assert message in answer.text
    assert re.search(rf'id="{field}"[^>]* aria-invalid="true"', answer.text)
    assert 'class="alert"' in answer.text


def test_what_was_typed_is_kept_except_the_password(browser: Browser) -> None:
    answer = browser.post("/sign-up", {"email": "ada@", "password": "a secret sentence", "name": 'A "%s" <b>'})
    assert 'value="ada@"' in answer.text
    assert "A &#34;%s&#34; &lt;b&gt;" in answer.text
    assert "a secret sentence" not in answer.text


def test_the_password_must_not_be_the_address(browser: Browser) -> None:
    email = unique_email()
    answer = browser.sign_up(email, email.upper())
    assert answer.status_code == 422
    assert "must not be your email address" in answer.text


def test_an_unknown_time_zone_of_the_browser_is_utc(browser: Browser, session: Session) -> None:
    assert browser.sign_up(time_zone="Mars/Phobos\x00").status_code == 303
    user = find_user(session, email=browser.email)
    assert user is not None
    assert user.time_zone == "UTC"


def test_the_language_of_the_page_becomes_the_persons(app: Flask, session: Session) -> None:
    browser = Browser(app)
    browser.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "de-AT,de;q=0.9"
    browser.sign_up()
    user = find_user(session, email=browser.email)
    assert user is not None
    assert user.locale == "de"


def test_an_address_in_other_spelling_is_the_same_address(session: Session) -> None:
    user = sign_up(session, email=" Straße.Ａ@Example.COM\n".replace("Ａ", "a"), password=PASSWORD)
    assert user.email == "Straße.a@example.com"
    with pytest.raises(EmailTaken):
        sign_up(session, email="STRASSE.A@example.com", password=PASSWORD)


def test_sign_up_leads_on_to_a_page_of_ours_only(new_browser: NewBrowser) -> None:
    here = {"password": PASSWORD, "next": "/packages/starter/buy"}
    assert new_browser().post("/sign-up", {"email": unique_email(), **here}).location == "/packages/starter/buy"
    away = {"password": PASSWORD, "next": "//evil.example"}
    assert new_browser().post("/sign-up", {"email": unique_email(), **away}).location == "/credits"
    page = new_browser().get("/sign-up?next=/packages/starter/buy").text
    assert 'name="next" value="/packages/starter/buy"' in page
    assert "/log-in?next=/packages/starter/buy" in page
