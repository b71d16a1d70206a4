"""Logging in and out, and what a cookie is worth."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tests.people.browser import PASSWORD, Browser, unique_email
from tests.statements import sent_through
from webapp import clock
from webapp.extensions import db
from webapp.people import passwords, sessions
from webapp.people.log_in import authenticate, find_user
from webapp.people.sessions import SessionRow
from webapp.people.sign_up import sign_up
from webapp.people.user import User

NewBrowser = Callable[[], Browser]


def rows_of(session: Session, email: str) -> list[SessionRow]:
    user = find_user(session, email=email)
    assert user is not None
    return list(session.scalars(select(SessionRow).where(SessionRow.user_id == user.id)))


def test_the_right_password_lets_in_whatever_the_spelling_of_the_address(browser: Browser, ada: Browser) -> None:
    assert browser.log_in(f" {ada.email.upper()} ").location == "/credits"
    assert browser.signed_in


def test_wrong_password_and_unknown_address_get_the_same_answer(new_browser: NewBrowser, ada: Browser) -> None:
    known = new_browser().log_in(ada.email, "not the password")
    unknown = new_browser().log_in(unique_email(), "not the password")
    assert known.status_code == unknown.status_code == 422
    sentence = "Address and password do not belong together."
    assert sentence in known.text
    assert sentence in unknown.text


@pytest.mark.usefixtures("costly_passwords")
def test_an_unknown_address_costs_one_hash_like_a_known_one(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    user = sign_up(session, email=unique_email(), password=PASSWORD)
    checked: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: Any, password: Any) -> Any:
            checked.append(hash)
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "_hasher", Counting())
    for email, password in (
        (user.email, PASSWORD),
        (user.email, "not the password"),
        (user.email, "x" * 100_000),
        (unique_email(), PASSWORD),
        (unique_email(), "the password of nobody"),
        ("\x00", PASSWORD),
    ):
        checked.clear()
        found = authenticate(session, email=email, password=password)
        assert (found is user) == (email == user.email and password == PASSWORD)
        assert len(checked) == 1
        assert checked[0].startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.usefixtures("costly_passwords")
def test_a_weaker_hash_is_replaced_when_its_password_is_seen(session: Session) -> None:
    user = sign_up(session, email=unique_email(), password=PASSWORD)
    user.password_hash = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    assert authenticate(session, email=user.email, password=PASSWORD) is user
    assert "m=65536,t=3,p=4" in user.password_hash
    assert authenticate(session, email=user.email, password=PASSWORD) is user


def test_the_same_password_from_another_keyboard_matches(session: Session) -> None:
    user = sign_up(session, email=unique_email(), password="cafe\u0301 und Straße")
    assert authenticate(session, email=user.email, password="caf\u00e9 und Straße") is user


def test_log_in_gives_a_new_session_a_new_form_token_and_nothing_of_before(app: Flask, ada: Browser) -> None:
    browser = Browser(app)
    token_before = browser.token("/log-in")
    with browser.client.session_transaction() as before:
        before["left_over"] = "from a stranger"
        raw_before = before["csrf_token"]
    browser.log_in(ada.email)
    with browser.client.session_transaction() as after:
        assert "left_over" not in after
        assert after.get("csrf_token") != raw_before
    answer = browser.post_raw("/settings", {"csrf_token": token_before, "name": "Eve"})
    assert answer.status_code == 400


def test_a_planted_session_token_is_worth_nothing(app: Flask) -> None:
    for token in ("1", "x" * 43, "\x00", 7, None, ["a"], "\ud800"):
        browser = Browser(app)
        with browser.client.session_transaction() as planted:
            planted["_user_id"] = token
        assert browser.get("/settings").status_code == 303


def test_a_copied_cookie_is_dead_after_log_out(app: Flask, ada: Browser) -> None:
    copy = Browser(app)
    copy.cookie = ada.cookie
    assert copy.signed_in
    stolen = ada.cookie
    answer = ada.log_out()
    assert (answer.status_code, answer.location) == (303, "/")
    assert not ada.signed_in
    copy.cookie = stolen
    assert not copy.signed_in


def test_log_out_ends_this_browser_only(app: Flask, ada: Browser) -> None:
    other = Browser(app)
    other.log_in(ada.email)
    ada.log_out()
    assert other.signed_in


def test_the_token_of_a_session_is_stored_nowhere(session: Session, ada: Browser) -> None:
    with ada.client.session_transaction() as cookie:
        token = cookie["_user_id"]
    [row] = rows_of(session, ada.email)
    assert row.token_hash == sessions.hash_token(token)
    assert token.encode() not in row.token_hash
    assert sessions.find(session, token=row.token_hash.hex()) is None


def test_stay_logged_in_outlives_the_browser_and_else_the_cookie_does_not(app: Flask, ada: Browser) -> None:
    leaves, stays = Browser(app), Browser(app)
    assert "Expires" not in leaves.log_in(ada.email).headers["Set-Cookie"]
    cookie = stays.log_in(ada.email, stay="1").headers["Set-Cookie"]
    assert "Expires" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_a_session_ends_by_not_being_used(session: Session, ada: Browser) -> None:
    [row] = rows_of(session, ada.email)
    assert row.expires_at - row.last_seen_at == timedelta(hours=24)
    move(session, row, by=timedelta(hours=23))
    assert ada.signed_in
    session.refresh(row)
    assert row.expires_at - row.last_seen_at == timedelta(hours=24)
    move(session, row, by=timedelta(hours=24, seconds=1))
    assert not ada.signed_in


def move(session: Session, row: SessionRow, *, by: timedelta) -> None:
    """As if the session had last been used that much earlier."""
    session.refresh(row)
    session.execute(
        update(SessionRow)
        .where(SessionRow.id == row.id)
        .values(last_seen_at=row.last_seen_at - by, expires_at=row.expires_at - by)
    )
    session.commit()


def test_moving_the_sandboxs_clock_by_a_month_logs_nobody_out(ada: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_ahead", timedelta(days=31))
    monkeypatch.setattr(clock, "_read_at", float("inf"))
    assert ada.signed_in


def test_being_here_is_noted_once_a_minute_at_most(session: Session, ada: Browser) -> None:
    [row] = rows_of(session, ada.email)
    seen = row.last_seen_at
    assert ada.signed_in
    session.refresh(row)
    assert row.last_seen_at == seen
    move(session, row, by=timedelta(seconds=61))
    assert ada.signed_in
    session.refresh(row)
    assert row.last_seen_at > seen - timedelta(seconds=61)


def test_knowing_who_asks_costs_one_statement_and_holds_no_database_transaction(app: Flask, ada: Browser) -> None:
    from flask_login import current_user

    with app.app_context():
        engine = db.engine
    with (
        sent_through(engine) as statements,
        app.test_request_context("/", headers={"Cookie": f"tallystick={ada.cookie}"}),
    ):
        assert current_user.email == ada.email
        assert current_user.locale
        assert current_user.account_id
        assert not db.session().in_transaction()
        db.session.rollback()
        assert current_user.external_id.startswith("usr_")
    assert len(statements) == 1


def test_who_is_logged_in_is_led_past_the_forms(ada: Browser) -> None:
    assert ada.get("/log-in?next=/settings").location == "/settings"
    assert ada.get("/sign-up").location == "/credits"


def test_logging_out_twice_is_no_error(browser: Browser, ada: Browser) -> None:
    token = ada.token("/settings")
    stale = ada.cookie
    ada.log_out()
    ada.cookie = stale
    assert ada.post_raw("/log-out", {"csrf_token": token}).status_code == 303
    assert browser.post("/log-out", form="/log-in").status_code == 303


def test_expired_sessions_of_a_person_go_when_they_log_in(app: Flask, session: Session, ada: Browser) -> None:
    [row] = rows_of(session, ada.email)
    row_id = row.id
    move(session, row, by=timedelta(days=2))
    Browser(app).log_in(ada.email)
    session.expunge_all()
    [left] = rows_of(session, ada.email)
    assert left.id > row_id


def test_a_user_is_never_shown_with_their_hash() -> None:
    assert "argon2" not in repr(User(email="ada@example.com", password_hash="$argon2id$secret"))
