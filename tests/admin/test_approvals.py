"""The page of what waits for a second person."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.admin.test_acts import doer, perform
from tests.credits.member import Member
from webapp.admin import acts
from webapp.admin.acts import ACTS, Done, Limits, Refused
from webapp.admin.approvals import Approval
from webapp.admin.audit import Doer
from webapp.database import unit_of_work
from webapp.people.sessions import SessionRow
from webapp.people.user import User

LOW = Limits(approval_credits=100, approval_minor=0, support_grant_limit=0)


@pytest.fixture
def asker(person: Callable[..., Member]) -> Member:
    return person("finance")


@pytest.fixture
def other(person: Callable[..., Member]) -> Member:
    return person("finance")


@pytest.fixture
def asked(shop: Flask, asker: Member, member: Member) -> int:
    found = perform(shop, doer(shop, asker, "finance"), member.account_id, 150, limits=LOW).approval_id
    assert found is not None
    return found


def decision_of(app: Flask, approval_id: int) -> str | None:
    with app.app_context(), unit_of_work() as session:
        return session.scalars(select(Approval.decision).where(Approval.id == approval_id)).one()


def test_what_waits_is_shown_counted_and_agreed_to(
    shop: Flask, asker: Member, other: Member, member: Member, asked: int
) -> None:
    page = other.get("/admin/approvals").text
    assert f'data-approval="{asked}"' in page
    assert asker.email in page
    assert 'class="count"' in other.get("/admin/audit-log").text
    shown = other.get(f"/admin/approvals/{asked}").text
    assert 'data-figure="available"' in shown
    assert ">150<" in shown
    assert member.balance() == 0
    answer = other.post(f"/admin/approvals/{asked}", {"decision": "agree"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/approvals")
    assert member.balance() == 150
    page = other.get("/admin/approvals").text
    assert f'data-approval="{asked}"' not in page
    assert f'/admin/approvals/{asked}"' in page
    assert other.email in other.download("/admin/approvals.csv").text
    again = other.post_raw(
        f"/admin/approvals/{asked}", {"decision": "agree", "csrf_token": other.token("/admin/approvals")}
    )
    assert again.status_code == 409
    assert "Somebody has decided this already" in again.text
    assert member.balance() == 150


def test_who_asked_cannot_agree_and_may_take_it_back(shop: Flask, asker: Member, member: Member, asked: int) -> None:
    shown = asker.get(f"/admin/approvals/{asked}").text
    assert 'value="agree"' not in shown
    refused = asker.post(f"/admin/approvals/{asked}", {"decision": "agree"})
    assert refused.status_code == 409
    assert "somebody else has to agree" in refused.text
    assert asker.post(f"/admin/approvals/{asked}", {"decision": "decline"}).status_code == 303
    assert decision_of(shop, asked) == "declined"
    assert member.balance() == 0


def test_the_same_form_does_not_ask_again_for_what_was_declined(
    shop: Flask, asker: Member, other: Member, member: Member
) -> None:
    by, submission = doer(shop, asker, "finance"), uuid.uuid4()
    asked = perform(shop, by, member.account_id, 150, limits=LOW, submission=submission).approval_id
    assert asked is not None
    assert perform(shop, by, member.account_id, 150, limits=LOW, submission=submission).approval_id == asked
    other.post(f"/admin/approvals/{asked}", {"decision": "decline"})
    with pytest.raises(Refused, match="decided this already"):
        perform(shop, by, member.account_id, 150, limits=LOW, submission=submission)
    assert member.balance() == 0


def test_agreeing_asks_for_the_password(shop: Flask, other: Member, member: Member, asked: int) -> None:
    with shop.app_context(), unit_of_work() as session:
        by = doer(shop, other, "finance")
        session.execute(update(SessionRow).where(SessionRow.user_id == by.user_id).values(password_at=None))
    assert 'name="confirm_password"' in other.get(f"/admin/approvals/{asked}").text
    answer = other.post(f"/admin/approvals/{asked}", {"decision": "agree", "confirm_password": "guess"})
    assert answer.status_code == 422
    assert "This is not your password" in answer.text
    assert decision_of(shop, asked) is None
    assert member.balance() == 0


def test_what_cannot_be_done_any_more_says_so(
    shop: Flask, other: Member, member: Member, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:

    def full(*_given: Any, **_arguments: Any) -> Done:
        raise Refused("The account is full.")

    monkeypatch.setitem(ACTS, "account.grant", replace(ACTS["account.grant"], do=full))
    shown = other.get(f"/admin/approvals/{asked}")
    assert shown.status_code == 200
    assert "The account is full." in shown.text
    assert 'value="agree"' not in shown.text
    assert other.post(f"/admin/approvals/{asked}", {"decision": "agree"}).status_code == 409
    assert decision_of(shop, asked) is None
    assert other.post(f"/admin/approvals/{asked}", {"decision": "decline"}).status_code == 303


@pytest.mark.parametrize("decision", ["", "maybe", "agree\0"])
def test_another_decision_is_none(shop: Flask, other: Member, asked: int, decision: str) -> None:
    assert other.post(f"/admin/approvals/{asked}", {"decision": decision}).status_code == 422
    assert decision_of(shop, asked) is None


def test_support_sees_what_support_may_do(
    shop: Flask, person: Callable[..., Member], asked: int, asker: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    support = person("support")
    assert support.get(f"/admin/approvals/{asked}").status_code == 200
    monkeypatch.setitem(ACTS, "account.grant", replace(ACTS["account.grant"], roles=("finance",)))
    assert support.get(f"/admin/approvals/{asked}").status_code == 404
    assert f'data-approval="{asked}"' not in support.get("/admin/approvals").text
    refused = support.post_raw(
        f"/admin/approvals/{asked}", {"decision": "agree", "csrf_token": support.token("/admin/approvals")}
    )
    assert refused.status_code == 404


def approve(app: Flask, asked: int, *, by: Doer, limits: Limits) -> None:
    with app.test_request_context():
        acts.approve(asked, by=by, limits=limits)


def test_support_agrees_to_no_more_than_support_may_give(
    shop: Flask, person: Callable[..., Member], member: Member, asked: int
) -> None:
    one, two = doer(shop, person("support"), "support"), doer(shop, person("support"), "support")
    limits = Limits(approval_credits=50, approval_minor=0, support_grant_limit=100)
    with pytest.raises(Refused, match="100 more credits today"):
        approve(shop, asked, by=two, limits=limits)  # finance asked for 150 of them
    first, second = (perform(shop, one, member.account_id, 90, limits=limits).approval_id for _ in range(2))
    assert first is not None
    assert second is not None
    approve(shop, first, by=two, limits=limits)
    with pytest.raises(Refused, match="10 more credits today"):
        approve(shop, second, by=two, limits=limits)
    assert (member.balance(), decision_of(shop, second)) == (90, None)
    approve(shop, second, by=doer(shop, person("finance"), "finance"), limits=limits)
    assert member.balance() == 180


def test_nobody_agrees_with_somebody_who_has_lost_the_role(
    shop: Flask, asker: Member, other: Member, member: Member, asked: int
) -> None:
    with shop.app_context(), unit_of_work() as session:
        session.execute(update(User).where(User.email == asker.email).values(role="translator"))
    shown = other.get(f"/admin/approvals/{asked}").text
    assert "There is nothing to decide here." in shown
    assert 'value="agree"' not in shown
    assert other.post(f"/admin/approvals/{asked}", {"decision": "agree"}).status_code == 409
    assert (member.balance(), decision_of(shop, asked)) == (0, None)
    assert other.post(f"/admin/approvals/{asked}", {"decision": "decline"}).status_code == 303


def test_a_grant_in_parts_needs_the_second_person_too(
    shop: Flask, asker: Member, person: Callable[..., Member], member: Member, new_member: Callable[..., Member]
) -> None:
    by, another = doer(shop, asker, "finance"), new_member()
    assert perform(shop, by, member.account_id, 60, limits=LOW).approval_id is None
    with shop.app_context():
        arguments = {"account_id": member.account_id, "credits": 41, "days": None, "text": ""}
        shown = acts.rehearse(ACTS["account.grant"], by=by, limits=LOW, reason="x", arguments=arguments)
    assert shown.needs_approval
    assert perform(shop, by, member.account_id, 41, limits=LOW).approval_id is not None
    assert perform(shop, by, member.account_id, 40, limits=LOW).approval_id is None
    assert perform(shop, by, another.account_id, 60, limits=LOW).approval_id is None
    assert (
        perform(shop, doer(shop, person("finance"), "finance"), member.account_id, 60, limits=LOW).approval_id is None
    )
    assert member.balance() == 160
