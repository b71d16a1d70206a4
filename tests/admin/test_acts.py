"""Acts of the admin pages: shown before they are done, done once, on record, and agreed to by a second person."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from tests.credits.member import Member
from webapp import ledger
from webapp.admin import acts
from webapp.admin.account_grant import GRANT
from webapp.admin.acts import Limits, Refused
from webapp.admin.approvals import CannotDecide
from webapp.admin.audit import AuditLine, Doer
from webapp.database import unit_of_work
from webapp.extensions import limiter
from webapp.people.sessions import SessionRow
from webapp.people.user import User

NO_LIMITS = Limits(approval_credits=0, approval_minor=0, support_grant_limit=500)


def lines_about(app: Flask, account_id: int) -> list[AuditLine]:
    with app.app_context(), unit_of_work() as session:
        found = list(session.scalars(select(AuditLine).where(AuditLine.account_id == account_id)))
        session.expunge_all()
    return found


def doer(app: Flask, member: Member, role: str) -> Doer:
    with app.app_context(), unit_of_work() as session:
        user_id = session.scalars(select(User.id).where(User.email == member.email)).one()
    return Doer(user_id=user_id, who=member.email, actor=f"admin:{member.external_id}", role=role, ip="10.0.0.1")


def perform(app: Flask, by: Doer, account_id: int, credits: int = 50, **more: Any) -> acts.Outcome:
    with app.app_context():
        return acts.perform(
            GRANT,
            by=by,
            limits=more.pop("limits", NO_LIMITS),
            reason="An outage",
            arguments={"account_id": account_id, "credits": credits, "days": None, "text": ""},
            submission=more.pop("submission", None) or uuid.uuid4(),
        )


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


def submission_of(page: str) -> str:
    found = re.search(r'name="submission" value="([^"]+)"', page)
    assert found
    return found[1]


def test_a_grant_is_shown_then_done_once_and_on_record(shop: Flask, finance: Member, member: Member) -> None:
    path = f"/admin/accounts/{member.account_id}/grant"
    fields = {"credits": "50", "days": "30", "text": "Sorry for the outage", "reason": "Ticket 4711"}
    shown = finance.post(path, fields)
    assert shown.status_code == 200, shown.text
    assert "Nothing has happened yet" in shown.text
    assert 'data-figure="available"' in shown.text
    assert member.balance() == 0
    confirmed = {**fields, "step": "confirm", "submission": submission_of(shown.text)}
    for _attempt in range(2):  # sent twice by an impatient finger
        answer = finance.post(path, confirmed)
        assert answer.status_code == 303, answer.text
        assert answer.headers["Location"] == f"/admin/accounts/{member.account_id}"
    assert member.balance() == 50
    (line,) = lines_about(shop, member.account_id)
    assert (line.act, line.who, line.reason, line.credits) == ("account.grant", finance.email, "Ticket 4711", 50)
    assert (line.before["available"], line.after["available"]) == (0, 50)
    assert line.ip == finance.ip


def forget_password_of(app: Flask, person: Member) -> None:
    """As when it was typed long ago."""
    with app.app_context(), unit_of_work() as session:
        user = session.scalars(select(User).where(User.email == person.email)).one()
        for row in session.scalars(select(SessionRow).where(SessionRow.user_id == user.id)):
            row.password_at = None


def test_a_password_typed_long_ago_is_asked_for_again(shop: Flask, finance: Member, member: Member) -> None:
    forget_password_of(shop, finance)
    path = f"/admin/accounts/{member.account_id}/grant"
    fields = {"credits": "50", "reason": "Ticket 4711"}
    shown = finance.post(path, fields)
    assert 'name="confirm_password"' in shown.text
    confirmed = {**fields, "step": "confirm", "submission": submission_of(shown.text), "confirm_password": "guess"}
    answer = finance.post(path, confirmed)
    assert answer.status_code == 422
    assert "This is not your password" in answer.text
    assert member.balance() == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"credits": "0", "reason": "x"}, "credits"),
        ({"credits": "many", "reason": "x"}, "credits"),
        ({"credits": "5", "reason": " "}, "reason"),
        ({"credits": "5", "reason": "x", "days": "-1"}, "days"),
    ],
)
def test_bad_input_names_its_field(finance: Member, member: Member, fields: dict[str, str], message: str) -> None:
    answer = finance.post(f"/admin/accounts/{member.account_id}/grant", fields)
    assert answer.status_code == 422
    assert f'href="#{message}"' in answer.text


@pytest.mark.parametrize("role", [None, "translator"])
def test_who_lacks_the_role_finds_nothing(person: Callable[..., Member], member: Member, role: str | None) -> None:
    assert person(role).get(f"/admin/accounts/{member.account_id}/grant").status_code == 404


def test_support_gives_little(shop: Flask, person: Callable[..., Member], member: Member) -> None:
    by = doer(shop, person("support"), "support")
    perform(shop, by, member.account_id, 300)
    with shop.test_request_context(), pytest.raises(Refused, match="200 more credits today"):
        perform(shop, by, member.account_id, 201)
    perform(shop, by, member.account_id, 200)
    assert member.balance() == 500


def test_above_an_amount_a_second_person_agrees(shop: Flask, person: Callable[..., Member], member: Member) -> None:
    asker, other = doer(shop, person("finance"), "finance"), doer(shop, person("owner"), "owner")
    limits = Limits(approval_credits=100, approval_minor=0, support_grant_limit=0)
    submission = uuid.uuid4()
    for _attempt in range(2):
        asked = perform(shop, asker, member.account_id, 101, limits=limits, submission=submission).approval_id
        assert asked is not None
    assert member.balance() == 0
    assert lines_about(shop, member.account_id) == []
    with shop.test_request_context():
        with pytest.raises(CannotDecide, match="somebody else"):
            acts.approve(asked, by=asker, limits=limits)
        acts.approve(asked, by=other, limits=limits)
        with pytest.raises(CannotDecide, match="already"):
            acts.approve(asked, by=other, limits=limits)
    assert member.balance() == 101
    agreed, line = lines_about(shop, member.account_id)
    assert (agreed.act, agreed.who) == ("approval.agree", other.who)
    assert (line.who, line.approval_id) == (asker.who, asked)
    with shop.app_context(), unit_of_work() as session:
        entry = ledger.entries(session, account_id=member.account_id, limit=1).entries[0]
    assert entry.actor == asker.actor


def test_what_is_declined_never_happens(shop: Flask, person: Callable[..., Member], member: Member) -> None:
    asker, other = doer(shop, person("finance"), "finance"), doer(shop, person("finance"), "finance")
    limits = Limits(approval_credits=100, approval_minor=0, support_grant_limit=0)
    asked = perform(shop, asker, member.account_id, 101, limits=limits).approval_id
    assert asked is not None
    with shop.test_request_context():
        acts.decline(asked, by=other)
        with pytest.raises(CannotDecide):
            acts.approve(asked, by=other, limits=limits)
    assert member.balance() == 0


def test_without_redis_nobody_guesses_a_password(
    shop: Flask, finance: Member, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_password_of(shop, finance)
    path = f"/admin/accounts/{member.account_id}/grant"
    fields = {"credits": "50", "reason": "Ticket 4711"}
    shown = finance.post(path, fields)
    token = finance.token(path)
    away = storage_from_string("redis+unix:///nonexistent/redis.sock", socket_connect_timeout=1)
    monkeypatch.setattr(limiter, "_limiter", MovingWindowRateLimiter(away))
    confirmed = {"step": "confirm", "submission": submission_of(shown.text), "confirm_password": "x"}
    answer = finance.post_raw(path, {**fields, **confirmed, "csrf_token": token})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert member.balance() == 0


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET who = 'nobody'", "DELETE FROM audit_log"])
def test_the_audit_log_is_written_once(shop: Flask, statement: str) -> None:
    with shop.app_context(), pytest.raises(DBAPIError, match=r"denied|written once"), unit_of_work() as session:
        session.execute(text(statement))
