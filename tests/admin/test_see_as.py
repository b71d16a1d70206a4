"""Seeing as a customer: their pages as they see them, reading only, for half an hour, on record."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from jobs import tidy_sessions
from tests.credits.member import Member
from webapp.admin.audit import AuditLine
from webapp.database import unit_of_work
from webapp.people import seen_as
from webapp.people.user import User

WHY = {"reason": "Ticket 12"}


def lines(app: Flask, account_id: int) -> list[tuple[str, str]]:
    with app.app_context(), unit_of_work() as session:
        found = select(AuditLine.act, AuditLine.who).where(AuditLine.account_id == account_id).order_by(AuditLine.id)
        return [(act, who) for act, who in session.execute(found)]


@pytest.fixture
def support(person: Callable[..., Member]) -> Member:
    return person("support")


def begin(by: Member, member: Member) -> None:
    answer = by.post(f"/admin/accounts/{member.account_id}/see-as", WHY)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/credits")


def test_the_customers_pages_are_seen_as_they_see_them_and_marked(support: Member, member: Member) -> None:
    member.grant(321, description="Their very own gift")
    support.grant(5)
    begin(support, member)
    for path in ("/credits", "/credits/history", "/credits/usage", "/plan", "/pricing"):
        page = support.get(path)
        assert page.status_code == 200, path
        assert "You see the pages of" in page.text, path
        assert 'action="/admin/see-as/stop"' in page.text, path
        assert 'data-available="321"' in page.text, path
        assert "/settings/security" not in page.text, path
    assert "Their very own gift" in support.get("/credits/history").text
    assert support.get("/credits/entries/1").status_code == 200
    assert "You see the pages of" in support.get("/admin/accounts/1/see-as").text
    assert "You see the pages of" in support.get("/credits/entries/99").text  # an error's page


def test_nothing_can_be_changed_meanwhile(support: Member, member: Member, shop: Flask) -> None:
    member.grant(321)
    begin(support, member)
    token = support.token("/credits")
    posts = [str(rule) for rule in shop.url_map.iter_rules() if "POST" in (rule.methods or ()) and not rule.arguments]
    left = {"/language", "/log-out", "/admin/see-as/stop"}
    for path in posts:
        if path not in left and not path.startswith(("/api/", "/webhook", "/stripe", "/log-in", "/sign-up")):
            answer = support.post_raw(path, {"csrf_token": token, "feature": "image", "quantity": "1"})
            assert answer.status_code == 403, path
            assert "Nothing can be changed until you stop" in answer.text, path
    assert member.balance() == 321


@pytest.mark.parametrize("path", ["/settings", "/settings/security", "/settings/cards", "/settings/data", "/log-in"])
def test_pages_about_the_person_are_not_among_them(support: Member, member: Member, path: str) -> None:
    begin(support, member)
    answer = support.get(path)
    assert answer.status_code == 403
    assert "This page is not shown now" in answer.text
    assert member.email not in answer.text


def test_stop_leads_back_and_forms_of_before_are_stale(support: Member, member: Member, shop: Flask) -> None:
    begin(support, member)
    token = support.token("/credits")
    assert support.post("/admin/see-as/stop", form="/credits").status_code == 303
    page = support.get("/credits").text
    assert "You see the pages of" not in page
    assert 'data-available="0"' in page
    assert support.post_raw("/language", {"csrf_token": token, "locale": "de"}).status_code == 400
    assert lines(shop, member.account_id) == [
        ("account.see_as", support.email),
        ("account.see_as_end", support.email),
    ]


def test_it_is_over_after_half_an_hour(
    support: Member, member: Member, shop: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(support, member)
    token = support.token("/credits")
    real = seen_as.now
    monkeypatch.setattr(seen_as, "now", lambda: real() + seen_as.LASTS)
    answer = support.post_raw("/settings", {"csrf_token": token, "name": "Eve"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin")
    assert "You see the pages of" not in support.get("/credits").text
    assert lines(shop, member.account_id)[-1] == ("account.see_as_end", support.email)


@pytest.mark.parametrize("by", ["log-out", "job"])
def test_however_it_ends_is_on_record(
    support: Member, member: Member, shop: Flask, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    begin(support, member)
    if by == "log-out":
        support.post("/log-out", form="/credits")
    else:
        real = seen_as.now
        monkeypatch.setattr(seen_as, "now", lambda: real() + seen_as.LASTS + timedelta(hours=1))
        monkeypatch.setattr(tidy_sessions, "application", lambda: shop)
        tidy_sessions.tidy_sessions()
    assert lines(shop, member.account_id)[-1] == ("account.see_as_end", support.email)


def test_never_toward_somebody_with_a_role(
    support: Member, person: Callable[..., Member], member: Member, shop: Flask
) -> None:
    other = person("translator")
    answer = support.post(f"/admin/accounts/{other.account_id}/see-as", WHY)
    assert answer.status_code == 422
    assert "has a role here" in answer.text
    begin(support, member)
    with shop.app_context(), unit_of_work() as session:
        session.query(User).filter_by(email=member.email).one().role = "finance"
    assert support.get("/credits").status_code == 303
    assert "You see the pages of" not in support.get("/credits").text


def test_of_two_clicks_at_once_one_counts(support: Member, member: Member, shop: Flask) -> None:
    path = f"/admin/accounts/{member.account_id}/see-as"
    token, cookie = support.token(path), support.cookie
    for _click in range(2):
        support.cookie = cookie
        assert support.post_raw(path, {**WHY, "csrf_token": token}).status_code == 303
    assert [act for act, _who in lines(shop, member.account_id)] == [
        "account.see_as",
        "account.see_as_end",
        "account.see_as",
    ]


def test_a_reason_is_required(support: Member, member: Member, shop: Flask) -> None:
    answer = support.post(f"/admin/accounts/{member.account_id}/see-as", {"reason": " "})
    assert answer.status_code == 422
    assert 'href="#reason"' in answer.text
    assert lines(shop, member.account_id) == []


@pytest.mark.parametrize("role", [None, "translator"])
def test_who_lacks_the_role_finds_nothing(person: Callable[..., Member], member: Member, role: str | None) -> None:
    assert person(role).get(f"/admin/accounts/{member.account_id}/see-as").status_code == 404


def test_a_copied_mark_is_worth_nothing(support: Member, member: Member, person: Callable[..., Member]) -> None:
    """The cookie says that somebody is seen; whom, says the row of the browser's own session."""
    begin(support, member)
    other = person("support")
    with other.client.session_transaction() as cookie:
        cookie[seen_as.MARK] = True
    assert "You see the pages of" not in other.get("/credits").text


def test_the_language_of_what_is_seen_changes_and_not_ones_own(
    support: Member, new_member: Callable[..., Member], shop: Flask
) -> None:
    customer = new_member(locale="de")
    begin(support, customer)
    assert 'lang="de"' in support.get("/credits").text
    support.post("/language", {"locale": "fr", "back": "/credits"}, form="/credits")
    assert 'lang="fr"' in support.get("/credits").text
    with shop.app_context(), unit_of_work() as session:
        kept = {user.email: user.locale for user in session.scalars(select(User))}
    assert (kept[support.email], kept[customer.email]) == ("en", "de")
