"""A forgotten password."""

import email
import email.policy
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from jobs import send_mail
from tests.conftest import TestServers
from tests.people.browser import PASSWORD, Browser, unique_email
from webapp import clock
from webapp.database import unit_of_work
from webapp.people.log_in import find_user
from webapp.people.password_reset import LinkUnusable, PasswordReset, issue_token, request_reset, reset_password
from webapp.people.passwords import BadPassword
from webapp.people.sign_up import sign_up

NEW = "another good sentence"


def run_mail_jobs(app: Flask, session: Session, *, mail: str, to: str) -> list[Any]:
    """Do the outbox rows that concern `to` and are undone, as the worker would; returns the mails."""
    session.rollback()
    user = find_user(session, email=to)
    before = set(mail_files(app))
    for row_id, args in session.execute(
        text("SELECT id, args FROM outbox WHERE job = 'send_mail' AND done_at IS NULL ORDER BY id")
    ).all():
        concerns = args.get("email_key") == to or (user is not None and args.get("user_id") == user.id)
        if args["mail"] == mail and concerns:
            args.pop("mail")
            send_mail.effect(session, mail=mail, **args)
            session.execute(text("UPDATE outbox SET done_at = now() WHERE id = :id"), {"id": row_id})
    session.commit()
    return [read(path) for path in sorted(set(mail_files(app)) - before)]


def mail_files(app: Flask) -> Iterator[Path]:
    yield from (app.config["SETTINGS"].data_dir / "mail").glob("*.eml")


def read(path: Path) -> Any:
    return email.message_from_bytes(path.read_bytes(), policy=email.policy.default)


def text_of(message: Any) -> str:
    return str(message.get_body(("plain",)).get_content())


def link_in(message: Any) -> str:
    found = re.search(r"http://localhost:8000(/reset-password/\S+)", text_of(message))
    assert found
    return found[1]


def ask_for_link(app: Flask, session: Session, address: str) -> str:
    """Ask for a link as a stranger would; returns its path from the mail."""
    answer = Browser(app).post("/forgot-password", {"email": address})
    assert answer.status_code == 200
    [message] = run_mail_jobs(app, session, mail="password_reset", to=address)
    return link_in(message)


def test_the_link_in_the_mail_changes_the_password(app: Flask, session: Session, ada: Browser) -> None:
    path = ask_for_link(app, session, ada.email)
    browser = Browser(app)
    assert "Choose a new password" in browser.get(path).text
    answer = browser.post(path, {"password": NEW})
    assert (answer.status_code, answer.location) == (303, "/log-in")
    assert browser.log_in(ada.email, PASSWORD).status_code == 422
    assert browser.log_in(ada.email, NEW).status_code == 303


def test_a_link_works_once(app: Flask, session: Session, ada: Browser) -> None:
    path = ask_for_link(app, session, ada.email)
    first, second = Browser(app), Browser(app)
    token = second.token(path)
    assert first.post(path, {"password": NEW}).status_code == 303
    answer = second.post_raw(path, {"csrf_token": token, "password": "a thief's password"})
    assert answer.status_code == 410
    assert "no longer valid" in answer.text
    assert second.get(path).status_code == 410
    assert second.log_in(ada.email, NEW).status_code == 303


def test_a_link_is_dead_after_an_hour(app: Flask, session: Session, ada: Browser) -> None:
    path = ask_for_link(app, session, ada.email)
    user = find_user(session, email=ada.email)
    assert user is not None
    [reset] = session.scalars(select(PasswordReset).where(PasswordReset.user_id == user.id))
    assert timedelta(minutes=59) < reset.expires_at - clock.now() <= timedelta(hours=1)
    session.execute(
        update(PasswordReset).where(PasswordReset.id == reset.id).values(expires_at=clock.now() - timedelta(seconds=1))
    )
    session.commit()
    assert Browser(app).get(path).status_code == 410


def test_one_used_link_kills_the_others_and_every_session(app: Flask, session: Session, ada: Browser) -> None:
    user = find_user(session, email=ada.email)
    assert user is not None
    first, second = issue_token(session, user_id=user.id), issue_token(session, user_id=user.id)
    session.commit()
    copy = ada.cookie
    reset_password(session, token=second, password=NEW)
    session.commit()
    with pytest.raises(LinkUnusable):
        reset_password(session, token=first, password=NEW)
    ada.cookie = copy
    assert not ada.signed_in


def test_a_refused_password_uses_no_link_up(session: Session) -> None:
    user = sign_up(session, email=unique_email(), password=PASSWORD)
    token = issue_token(session, user_id=user.id)
    with pytest.raises(BadPassword):
        reset_password(session, token=token, password="short")
    assert reset_password(session, token=token, password=NEW).confirmed_at is not None


def test_known_and_unknown_addresses_get_the_same_answer_and_cost_the_same(
    app: Flask, session: Session, ada: Browser
) -> None:
    nobody = unique_email("nobody")

    def rows() -> int:
        session.rollback()
        return session.execute(text("SELECT count(*) FROM outbox WHERE args->>'mail' = 'password_reset'")).scalar_one()

    pages = []
    for address in (ada.email, nobody):
        before = rows()
        answer = Browser(app).post("/forgot-password", {"email": address})
        pages.append((answer.status_code, re.sub(r'value="[^"]+"', "", answer.text)))
        assert rows() == before + 1
    assert pages[0] == pages[1]
    assert "If there is an account with this address" in pages[0][1]
    assert run_mail_jobs(app, session, mail="password_reset", to=nobody) == []


def test_asking_again_within_a_minute_sends_one_mail(
    app: Flask, session: Session, ada: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = clock.now().replace(second=0)
    for seconds in (0, 30, 59):
        monkeypatch.setattr(clock, "now", lambda at=moment + timedelta(seconds=seconds): at)
        request_reset(session, email=ada.email.upper())
    session.commit()
    assert len(run_mail_jobs(app, session, mail="password_reset", to=ada.email)) == 1


def test_no_token_lies_in_the_outbox_or_the_database_or_the_log(app: Flask, session: Session, ada: Browser) -> None:
    with capture_logs() as events:
        path = ask_for_link(app, session, ada.email)
        browser = Browser(app)
        browser.get(path)
        browser.post(path, {"password": NEW})
    token = path.rpartition("/")[2]
    session.rollback()
    for table in ("outbox", "password_resets"):
        dump = session.execute(text(f"SELECT string_agg(t::text, ' ') FROM {table} t")).scalar_one()
        assert token not in dump
        assert token.encode().hex() not in dump
    log = repr(events)
    assert "/reset-password/<token>" in log
    assert token not in log
    assert NEW not in log


def test_the_mail_is_in_the_persons_language(app: Flask, session: Session) -> None:
    user = sign_up(session, email=unique_email(), password=PASSWORD, name="Jörg %(x)s <b>", locale="de")
    session.commit()
    answer = Browser(app).post("/forgot-password", {"email": user.email})
    assert answer.status_code == 200
    [message] = run_mail_jobs(app, session, mail="password_reset", to=user.email)
    assert message["To"] == user.email
    assert message["Content-Language"] == "de"
    assert "Jörg %(x)s <b>" in text_of(message)


def test_a_changed_password_is_told_by_mail(app: Flask, session: Session, ada: Browser) -> None:
    path = ask_for_link(app, session, ada.email)
    Browser(app).post(path, {"password": NEW})
    [message] = run_mail_jobs(app, session, mail="password_changed", to=ada.email)
    assert message["Subject"] == "Your Tallystick password was changed"
    assert NEW not in message.as_string()


@pytest.mark.parametrize(
    "token", ["x", "%00", "%ff%fe", "..%2f", "x" * 5_000, "%E2%80%AE", "'; DROP TABLE users --", "%F0%9F%92%A9"]
)
def test_a_garbled_link_is_an_unusable_one(browser: Browser, token: str) -> None:
    answer = browser.get(f"/reset-password/{token}")
    assert answer.status_code in {404, 410}


def test_the_page_of_a_link_tells_no_other_site_about_it(app: Flask, session: Session, ada: Browser) -> None:
    answer = Browser(app).get(ask_for_link(app, session, ada.email))
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "https://" not in re.sub(r"<svg.*?</svg>", "", answer.text, flags=re.DOTALL)


def put_reset_mail(app: Flask, address: str) -> int:
    """Ask for a link; returns the outbox row that a worker gets."""
    with app.app_context(), unit_of_work() as session:
        request_reset(session, email=address)
        return session.execute(text("SELECT max(id) FROM outbox")).scalar_one()


def mails_to(app: Flask, address: str) -> list[Any]:
    return [message for message in map(read, mail_files(app)) if message["To"] == address]


def test_the_job_run_twice_sends_one_mail(app: Flask, ada: Browser) -> None:
    row_id = put_reset_mail(app, ada.email)
    for _ in range(2):
        with app.app_context():
            send_mail.send_mail(row_id)
    assert len(mails_to(app, ada.email)) == 1


def test_a_mail_that_cannot_be_sent_leaves_no_link_behind_and_is_tried_again(
    make_app: Callable[..., Flask], servers: TestServers, app: Flask, session: Session, ada: Browser
) -> None:
    cut_off = make_app(servers, MAIL_URL="smtp://127.0.0.1:1")
    row_id = put_reset_mail(app, ada.email)
    user = find_user(session, email=ada.email)
    assert user is not None
    user_id = user.id
    session.rollback()
    with cut_off.app_context():
        send_mail.send_mail(row_id)
    links = select(PasswordReset).where(PasswordReset.user_id == user_id)
    assert session.scalars(links).all() == []
    row = session.execute(text("SELECT attempts, done_at FROM outbox WHERE id = :id"), {"id": row_id}).one()
    assert (row.attempts, row.done_at) == (1, None)
    session.rollback()
    with app.app_context():
        send_mail.send_mail(row_id)
    assert len(mails_to(app, ada.email)) == 1
    assert len(session.scalars(links).all()) == 1
