"""One's own settings, password and sessions."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.people.browser import PASSWORD, Browser
from webapp import ledger
from webapp.people.log_in import find_user
from webapp.people.user import User

NEW = "another good sentence"
SETTINGS = {"name": "Ada", "locale": "en", "time_zone": "UTC", "spend_order": "free_first"}
NewBrowser = Callable[[], Browser]


def user_of(session: Session, browser: Browser) -> User:
    session.rollback()
    session.expire_all()
    user = find_user(session, email=browser.email)
    assert user is not None
    return user


@pytest.mark.parametrize("path", ["/settings", "/settings/security"])
def test_settings_are_for_people_who_are_logged_in(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, answer.location) == (303, f"/log-in?next={path}")
    assert browser.post(path, form="/log-in").location == f"/log-in?next={path}"


def test_settings_are_saved_for_the_person_and_their_account(session: Session, ada: Browser) -> None:
    sent = {"name": " Ada  Lovelace ", "locale": "ar", "time_zone": "Asia/Tokyo", "spend_order": "paid_first"}
    answer = ada.post("/settings", sent)
    assert (answer.status_code, answer.location) == (303, "/settings")
    user = user_of(session, ada)
    assert (user.name, user.locale, user.time_zone) == ("Ada Lovelace", "ar", "Asia/Tokyo")
    account = ledger.get_account(session, account_id=user.account_id)
    assert (account.name, account.time_zone, account.spend_order) == ("Ada Lovelace", "Asia/Tokyo", "paid_first")
    page = ada.get("/settings").text
    assert re.search(r'<html lang="ar" dir="rtl"', page)
    assert re.search(r'<option value="Asia/Tokyo" selected', page)
    assert re.search(r'<option value="paid_first" selected', page)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 101),
        ("name", "a\u2066b"),
        ("locale", "xx"),
        ("locale", "../de"),
        ("locale", ""),
        ("time_zone", "Mars/Phobos"),
        ("time_zone", "../../etc/passwd"),
        ("time_zone", "UTC\x00"),
        ("spend_order", "rich_first"),
        ("spend_order", ""),
    ],
)
def test_bad_settings_are_refused_by_field_and_nothing_is_saved(
    session: Session, ada: Browser, field: str, value: str
) -> None:
    answer = ada.post("/settings", {**SETTINGS, "name": "Eve", field: value})
    assert answer.status_code == 422
    assert re.search(rf'id="{field}"[^>]* aria-invalid="true"', answer.text)
    assert user_of(session, ada).name == "Ada"


def test_fields_that_are_not_sent_stay_as_they_are(session: Session, ada: Browser) -> None:
    assert ada.post("/settings", {"time_zone": "Europe/Berlin"}).status_code == 303
    user = user_of(session, ada)
    assert (user.name, user.locale, user.time_zone) == ("Ada", "en", "Europe/Berlin")


def test_a_hostile_name_is_shown_as_it_is(ada: Browser) -> None:
    name = "<script>alert('%s')</script> {{ 7777*9999 }} \"'"
    ada.post("/settings", {**SETTINGS, "name": name})
    page = ada.get("/settings").text
    assert "<script>alert" not in page
    assert "77762223" not in page
    assert "{{ 7777*9999 }}" in page


def test_a_changed_password_leaves_this_browser_in_and_every_copy_out(app: Flask, ada: Browser) -> None:
    copy, other = Browser(app), Browser(app)
    copy.cookie = ada.cookie
    other.log_in(ada.email)
    assert copy.signed_in
    answer = ada.post("/settings/security", {"current_password": PASSWORD, "password": NEW})
    assert (answer.status_code, answer.location) == (303, "/settings/security")
    assert ada.signed_in
    assert not copy.signed_in
    assert not other.signed_in
    assert other.log_in(ada.email, PASSWORD).status_code == 422
    assert other.log_in(ada.email, NEW).status_code == 303


def test_the_present_password_is_asked_for(ada: Browser) -> None:
    answer = ada.post("/settings/security", {"current_password": "not the password", "password": NEW})
    assert answer.status_code == 422
    assert "This is not your present password." in answer.text
    assert NEW not in answer.text
    answer = ada.post("/settings/security", {"current_password": PASSWORD, "password": "short"})
    assert answer.status_code == 422
    assert "Use at least 10 characters" in answer.text
    assert ada.signed_in


def test_a_stayed_session_stays_after_the_password_was_changed(app: Flask, ada: Browser) -> None:
    stays = Browser(app)
    stays.log_in(ada.email, stay="1")
    answer = stays.post("/settings/security", {"current_password": PASSWORD, "password": NEW})
    assert "Expires" in answer.headers["Set-Cookie"]


def session_ids(page: str) -> list[str]:
    return re.findall(r'data-session="(\d+)"', page)


def test_sessions_are_listed_and_ended_one_by_one(app: Flask, ada: Browser) -> None:
    other = Browser(app)
    other.client.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko Firefox/140.0"
    other.log_in(ada.email)
    page = ada.get("/settings/security").text
    assert "Firefox on Linux" in page
    assert other.ip in page
    assert page.count("this browser") == 1
    [newest, _own] = sorted(session_ids(page), key=int, reverse=True)
    answer = ada.post(f"/settings/security/sessions/{newest}/end", form="/settings/security")
    assert (answer.status_code, answer.location) == (303, "/settings/security")
    assert not other.signed_in
    assert len(session_ids(ada.get("/settings/security").text)) == 1


def test_ending_the_session_of_this_browser_logs_out(ada: Browser) -> None:
    [own] = session_ids(ada.get("/settings/security").text)
    answer = ada.post(f"/settings/security/sessions/{own}/end", form="/settings/security")
    assert answer.location == "/log-in"
    assert not ada.signed_in


def test_nobody_ends_the_sessions_of_others(app: Flask, ada: Browser) -> None:
    eve = Browser(app)
    eve.sign_up()
    [target] = session_ids(ada.get("/settings/security").text)
    assert eve.post(f"/settings/security/sessions/{target}/end", form="/settings/security").status_code == 303
    assert ada.signed_in


def test_all_other_browsers_can_be_logged_out(app: Flask, ada: Browser) -> None:
    others = [Browser(app), Browser(app)]
    for other in others:
        other.log_in(ada.email)
    ada.post("/settings/security/sessions/end-others", form="/settings/security")
    assert ada.signed_in
    assert not any(other.signed_in for other in others)


@pytest.mark.parametrize("number", ["0", "999999999999999999", "9" * 5_000, "-1", "x", "%00", "١٢", "1%2F2"])
def test_a_session_that_is_not_there_is_no_error(ada: Browser, number: str) -> None:
    answer = ada.post(f"/settings/security/sessions/{number}/end", form="/settings/security")
    assert answer.status_code in {303, 404}


def test_a_hostile_user_agent_is_only_text(app: Flask, ada: Browser) -> None:
    browser = Browser(app)
    browser.client.environ_base["HTTP_USER_AGENT"] = "<script>\x00\x1b[2J\u202e" + "x" * 10_000
    assert browser.log_in(ada.email).status_code == 303
    page = ada.get("/settings/security").text
    assert "Another program" in page
    assert "<script>\x00" not in page
