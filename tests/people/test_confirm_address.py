"""Confirming an address, and the first credits that may wait for it: once in a life."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from jobs.send_mail import effect
from tests.people.browser import PASSWORD, Browser, unique_email
from webapp import clock, ledger
from webapp.catalog.sign_up_grant import change_sign_up_grant
from webapp.database import unit_of_work
from webapp.people.confirm_address import LinkUnusable, confirm_address, make_token, request_confirmation
from webapp.people.first_credits import Terms, give, promise, waiting
from webapp.people.log_in import find_user
from webapp.people.sign_up import sign_up

SECRET = "a secret key of the tests"
LATER = Terms(credits=60, days=10, confirmed_only=True)


@pytest.fixture
def strict(fresh_app: Flask) -> Flask:
    """Who signs up gets 60 credits when the address is confirmed."""
    with fresh_app.app_context(), unit_of_work() as session:
        change_sign_up_grant(session, credits=60, expires_days=10, confirmed_only=True, actor="test")
    return fresh_app


def balance_of(app: Flask, email: str) -> int:
    with app.app_context(), unit_of_work() as session:
        user = find_user(session, email=email)
        assert user is not None
        return ledger.balance(session, account_id=user.account_id).balance


def link_mailed_to(app: Flask, email: str) -> str:
    """Sends what the outbox holds for that person, and returns the path of the link in the newest mail."""
    with app.app_context():
        with unit_of_work() as session:
            user = find_user(session, email=email)
            assert user is not None
            effect(session, mail="confirm_address", user_id=user.id)
        folder = app.config["SETTINGS"].data_dir / "mail"
    newest = max(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    found = re.search(r"/confirm-address/[\w.\-]+", newest.read_text().replace("=\n", ""))
    assert found is not None
    return found[0]


def mails_asked_for(app: Flask) -> int:
    with app.app_context(), unit_of_work() as session:
        query = "SELECT count(*) FROM outbox WHERE args ->> 'mail' = 'confirm_address'"
        return int(session.execute(text(query)).scalar_one())


def test_credits_wait_until_the_address_is_confirmed_and_come_once(strict: Flask) -> None:
    browser = Browser(strict)
    page = browser.get("/sign-up").text
    assert "as soon as you have confirmed your address" in page
    assert browser.sign_up().status_code == 303
    assert mails_asked_for(strict) == 1
    assert "60 credits wait for you" in browser.get("/credits").text
    assert balance_of(strict, browser.email) == 0
    link = link_mailed_to(strict, browser.email)
    assert "Yes, it is mine" in browser.get(link).text
    assert balance_of(strict, browser.email) == 0, "a mail scanner that opens links confirms nothing"
    for _ in range(2):
        assert browser.post(link, form="/settings").status_code == 303
        assert balance_of(strict, browser.email) == 60
    assert "Your address is confirmed" in browser.get(link).text
    assert "wait for you" not in browser.get("/credits").text
    assert "confirmed" in browser.get("/settings").text


def test_a_link_works_for_three_days_for_this_address_and_from_us_alone(session: Session) -> None:
    user = sign_up(session, email=unique_email(), password=PASSWORD)
    token = make_token(user, secret_key=SECRET)
    for bad, key in ((token + "x", SECRET), ("nonsense", SECRET), (token, "another secret key")):
        with pytest.raises(LinkUnusable):
            confirm_address(session, token=bad, secret_key=key)
    user.email_key = unique_email()
    session.flush()
    with pytest.raises(LinkUnusable):
        confirm_address(session, token=token, secret_key=SECRET)
    fresh = make_token(user, secret_key=SECRET)
    assert confirm_address(session, token=fresh, secret_key=SECRET).confirmed is False
    assert confirm_address(session, token=fresh, secret_key=SECRET).confirmed is True


def test_an_old_link_says_so(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    user = sign_up(session, email=unique_email(), password=PASSWORD)
    token = make_token(user, secret_key=SECRET)
    later = clock.now() + timedelta(days=3)
    monkeypatch.setattr(clock, "now", lambda: later)
    with pytest.raises(LinkUnusable):
        confirm_address(session, token=token, secret_key=SECRET)


def test_a_page_for_a_link_that_is_no_good_changes_nothing(browser: Browser) -> None:
    assert browser.get("/confirm-address/nonsense").status_code == 410
    assert browser.post("/confirm-address/nonsense", form="/log-in").status_code == 410


def test_nobody_gets_first_credits_twice_under_one_address(session: Session) -> None:
    email = unique_email()
    first = sign_up(session, email=email, password=PASSWORD, first=Terms(credits=60, days=None))
    assert ledger.balance(session, account_id=first.account_id).balance == 60
    assert give(session, user=first) == 0
    session.delete(first)  # the person goes, the account and the promise stay
    session.flush()
    again = sign_up(session, email=email.upper(), password=PASSWORD, first=Terms(credits=60, days=None))
    assert again.account_id != first.account_id
    assert ledger.balance(session, account_id=again.account_id).balance == 0
    assert waiting(session, user=again) == 0


def test_who_left_before_confirming_is_promised_anew(session: Session) -> None:
    email = unique_email()
    first = sign_up(session, email=email, password=PASSWORD, first=LATER)
    session.delete(first)
    session.flush()
    again = sign_up(session, email=email, password=PASSWORD, first=LATER)
    assert (waiting(session, user=again), give(session, user=again)) == (60, 60)


def test_what_was_promised_stays_when_the_catalog_changes(session: Session) -> None:
    user = sign_up(session, email=unique_email(), password=PASSWORD, first=LATER)
    promise(session, user=user, terms=Terms(credits=0, days=None))
    assert give(session, user=user) == 60
    [grant] = ledger.open_grants(session, account_id=user.account_id)
    assert abs(grant.expires_at - clock.now() - timedelta(days=10)) < timedelta(minutes=1)


def test_another_mail_is_sent_at_most_once_a_minute_and_to_nobody_who_has_confirmed(
    strict: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser(strict)
    browser.sign_up()
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=5))
    for _ in range(3):
        answer = browser.post("/confirm-address", {"next": "/credits"}, form="/settings")
        assert (answer.status_code, answer.location) == (303, "/credits")
    assert mails_asked_for(strict) == 2
    for _ in range(2):
        browser.post("/confirm-address", form="/settings")
    assert browser.post("/confirm-address", form="/settings").status_code == 429
    browser.post(link_mailed_to(strict, browser.email), form="/settings")
    with strict.app_context(), unit_of_work() as session:
        user = find_user(session, email=browser.email)
        assert user is not None
        request_confirmation(session, user=user)
    assert mails_asked_for(strict) == 2


def test_who_chooses_a_new_password_by_mail_has_confirmed_the_address(strict: Flask) -> None:
    from webapp.people.password_reset import issue_token

    browser = Browser(strict)
    browser.sign_up()
    with strict.app_context(), unit_of_work() as session:
        user = find_user(session, email=browser.email)
        assert user is not None
        token = issue_token(session, user_id=user.id)
    other = Browser(strict)
    answer = other.post(f"/reset-password/{token}", {"password": "another hazel otter 9"})
    assert answer.status_code == 303
    assert balance_of(strict, browser.email) == 60


def test_the_catalog_says_what_new_people_get_and_keeps_every_change(fresh_app: Flask) -> None:
    def run(*arguments: str) -> Any:
        answer = fresh_app.test_cli_runner().invoke(args=["catalog", "sign-up", *arguments])
        return answer.output

    assert "In force: 100 credits for 30 days, at once." in run("show")
    assert run("change", "--credits", "250", "--confirmed", "--actor", "Ada") == (
        "In force: 250 credits for ever, when the address is confirmed.\n"
    )
    assert run("change", "--credits", "0") == "In force: no credits.\n"
    lines = run("show").splitlines()
    assert len(lines) == 3
    assert "Ada" in lines[2]
    assert "whole number" in run("change", "--credits", "-1") or "range" in run("change", "--credits", "-1")
    browser = Browser(fresh_app)
    browser.sign_up()
    assert balance_of(fresh_app, browser.email) == 0


def test_the_application_cannot_alter_what_was_in_force(strict: Flask) -> None:
    from sqlalchemy.exc import ProgrammingError

    for statement in ("UPDATE sign_up_grants SET credits = 1", "DELETE FROM sign_up_grants"):
        with (
            strict.app_context(),
            pytest.raises(ProgrammingError, match="permission denied"),
            unit_of_work() as session,
        ):
            session.execute(text(statement))
