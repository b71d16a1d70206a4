"""Who may do what in the admin pages: roles are given by owners, on one page, and passwords are not guessed."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.credits.member import Member
from tests.people.browser import PASSWORD
from webapp import clock
from webapp.admin.audit import AuditLine
from webapp.database import unit_of_work
from webapp.people.passwords import hash_password
from webapp.people.role_change import LastOwner, change_role
from webapp.people.sessions import SessionRow
from webapp.people.user import User


@pytest.fixture
def owner(person: Callable[..., Member]) -> Member:
    return person("owner")


def change(app: Flask, member: Member, **values: Any) -> None:
    with app.app_context(), unit_of_work() as session:
        session.execute(update(User).where(User.email == member.email).values(**values))


def role_of(app: Flask, member: Member) -> str | None:
    with app.app_context(), unit_of_work() as session:
        return session.scalars(select(User.role).where(User.email == member.email)).one()


def submission_of(page: str) -> str:
    found = re.search(r'name="submission" value="([^"]+)"', page)
    assert found, page
    return found[1]


def give(owner: Member, email: str, role: str, **more: str) -> Any:
    fields = {"email": email, "role": role, "reason": "Joins the team", **more}
    shown = owner.post("/admin/people", fields)
    if shown.status_code != 200:
        return shown
    return owner.post("/admin/people", {**fields, "step": "confirm", "submission": submission_of(shown.text)})


def test_an_owner_gives_a_role_and_takes_it(shop: Flask, owner: Member, member: Member) -> None:
    change(shop, member, confirmed_at=clock.now())
    answer = give(owner, member.email.upper(), "support")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/people")
    assert role_of(shop, member) == "support"
    assert member.get("/credits").status_code == 303  # logged out everywhere
    page = owner.get("/admin/people").text
    assert f'data-person="{member.email}"' in page
    assert give(owner, member.email, "").status_code == 303
    assert role_of(shop, member) is None
    with shop.app_context(), unit_of_work() as session:
        found = select(AuditLine).where(AuditLine.account_id == member.account_id).order_by(AuditLine.id)
        lines = [(line.act, line.before["role"], line.after["role"], line.reason) for line in session.scalars(found)]
    assert lines == [
        ("person.role", None, "support", "Joins the team"),
        ("person.role", "support", None, "Joins the team"),
    ]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"email": ""}, "email"),
        ({"email": "nobody@people.example.com"}, "email"),
        ({"role": "god"}, "role"),
        ({"reason": " "}, "reason"),
    ],
)
def test_what_is_wrong_is_named(owner: Member, fields: dict[str, str], name: str) -> None:
    answer = owner.post("/admin/people", {"email": owner.email, "role": "support", "reason": "x", **fields})
    assert answer.status_code == 422
    assert f'href="#{name}"' in answer.text


def test_an_address_that_nobody_confirmed_gets_no_role(shop: Flask, owner: Member, member: Member) -> None:
    """Anybody can sign up with a colleague's address."""
    answer = give(owner, member.email, "owner")
    assert answer.status_code == 422
    assert "not confirmed" in answer.text
    assert role_of(shop, member) is None


def test_the_last_owner_stays(fresh_app: Flask) -> None:
    with fresh_app.app_context():
        first, second = Member(fresh_app), Member(fresh_app)
        change(fresh_app, first, role="owner")
        change(fresh_app, second, role="owner")
        with unit_of_work() as session:
            change_role(session, email=first.email, role="support")
        with pytest.raises(LastOwner), unit_of_work() as session:
            change_role(session, email=second.email, role=None)
    assert role_of(fresh_app, second) == "owner"


def test_owners_who_dismiss_each_other_at_once_leave_one(fresh_app: Flask) -> None:
    owners = [Member(fresh_app), Member(fresh_app)]
    for owner in owners:
        change(fresh_app, owner, role="owner")

    def dismiss(email: str) -> bool:
        with fresh_app.app_context():
            try:
                with unit_of_work() as session:
                    change_role(session, email=email, role=None)
            except LastOwner:
                return False
        return True

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(dismiss, [owner.email for owner in owners])) == [False, True]
    assert sorted(str(role_of(fresh_app, owner)) for owner in owners) == ["None", "owner"]


def test_no_other_form_gives_a_role(shop: Flask, member: Member, person: Callable[..., Member]) -> None:
    wanted = {"role": "owner", "admin": "1", "user_id": "1"}
    member.post("/settings", {"name": "Eve", "locale": "en", "time_zone": "UTC", **wanted})
    assert role_of(shop, member) is None
    finance = person("finance")
    finance.post("/settings", {"name": "Eve", "locale": "en", "time_zone": "UTC", **wanted})
    assert (
        finance.post_raw(
            "/admin/people", {**wanted, "email": finance.email, "reason": "x", "csrf_token": finance.token("/settings")}
        ).status_code
        == 404
    )
    assert role_of(shop, finance) == "finance"
    stranger = Member(shop)
    stranger.client.delete_cookie("tallystick")
    assert stranger.sign_up(**wanted).status_code == 303
    assert role_of(shop, stranger) is None


def test_passwords_are_not_guessed(shop: Flask, person: Callable[..., Member], member: Member) -> None:
    """Who has somebody's cookie alone: a few guesses, then none, not even the right one."""
    finance = person("finance")
    with shop.app_context(), unit_of_work() as session:
        user = session.scalars(select(User).where(User.email == finance.email)).one()
        user.password_hash = hash_password(PASSWORD)
        theirs = update(SessionRow).where(SessionRow.user_id == user.id)
        session.execute(theirs.values(password_at=None))
    path, fields = f"/admin/accounts/{member.account_id}/grant", {"credits": "5", "reason": "x"}
    shown = finance.post(path, fields)
    assert 'name="confirm_password"' in shown.text
    confirm = {**fields, "step": "confirm", "submission": submission_of(shown.text)}
    answers = [finance.post(path, {**confirm, "confirm_password": f"guess {n}"}) for n in range(4)]
    assert {answer.status_code for answer in answers} == {422}
    assert finance.post(path, {**confirm, "confirm_password": PASSWORD}).status_code == 303
    with shop.app_context(), unit_of_work() as session:
        session.execute(theirs.values(password_at=None))
    late = finance.post(path, {**confirm, "confirm_password": PASSWORD})
    assert late.status_code == 429
    assert "Too many attempts" in late.text
    assert late.headers["Retry-After"]
    assert member.balance() == 5
