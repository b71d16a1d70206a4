"""Campaigns and sign-up credits in the admin pages: shown before they are promised, promised once, on record."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from tests.credits.member import Member
from webapp.admin.audit import AuditLine
from webapp.billing.campaign_grants import grant_chunk
from webapp.billing.sign_up_terms import sign_up_terms
from webapp.catalog.campaign import Campaign
from webapp.database import unit_of_work

PAGE = "/admin/campaigns"
NEW = f"{PAGE}/new"
SIGN_UP = f"{PAGE}/sign-up"
_numbers = count(1)


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance", time_zone="Europe/Berlin")


@pytest.fixture
def code() -> str:
    return f"gift-{next(_numbers)}"


def wanted(code: str, **changes: str) -> dict[str, str]:
    return {
        "code": code,
        "name": "A <b>gift</b>",
        "credits": "50",
        "audience": "everyone",
        "reason": "Spring",
    } | changes


def confirm(member: Member, path: str, fields: dict[str, str]) -> list[Any]:
    """The act confirmed, twice by an impatient finger; nothing had happened when it was shown."""
    shown = member.post(path, fields, form=NEW)
    assert shown.status_code == 200, shown.text
    assert "Nothing has happened yet" in shown.text
    found = re.search(r'name="submission" value="([^"]+)"', shown.text)
    assert found
    return [member.post(path, {**fields, "step": "confirm", "submission": found[1]}, form=NEW) for _attempt in range(2)]


def stored(app: Flask, code: str) -> Campaign | None:
    with app.app_context(), unit_of_work() as session:
        found = session.get(Campaign, code, populate_existing=True)
        if found is not None:
            session.expunge(found)
    return found


def lines_about(app: Flask, subject: str) -> list[AuditLine]:
    with app.app_context(), unit_of_work() as session:
        found = list(session.scalars(select(AuditLine).where(AuditLine.subject == subject).order_by(AuditLine.id)))
        session.expunge_all()
    return found


def test_a_campaign_for_a_list_is_made_once_and_given_to_that_list(
    shop: Flask, finance: Member, member: Member, code: str
) -> None:
    listed = wanted(code, audience="accounts", accounts=f"{member.external_id}\r\n\r\n{member.external_id}")
    for answer in confirm(finance, NEW, listed | {"ends_at": "2099-09-01T08:00", "expires_days": "30"}):
        assert answer.headers["Location"] == PAGE
    made = stored(shop, code)
    assert made is not None
    assert (made.credits, made.audience, made.expires_days) == (50, "accounts", 30)
    assert made.ends_at == datetime(2099, 9, 1, 6, tzinfo=UTC)  # eight o'clock in Berlin
    (line,) = lines_about(shop, f"campaign:{code}")
    assert (line.act, line.reason, line.credits, line.after["accounts"]) == ("campaign.create", "Spring", 50, 1)
    with shop.app_context(), unit_of_work() as session:
        grant_chunk(session, code=code, mode="sandbox", after=0, limit=10)
    assert member.balance() == 50
    listed_page = finance.get(PAGE).text
    assert f'href="{PAGE}/{code}/details"' in listed_page
    assert "<b>gift</b>" not in listed_page


def test_a_running_campaign_is_ended_and_one_not_begun_is_removed(shop: Flask, finance: Member, code: str) -> None:
    confirm(finance, NEW, wanted(code))
    confirm(finance, NEW, wanted(f"{code}-b", starts_at="2099-01-01T00:00"))
    page = finance.get(f"{PAGE}/{code}/details").text
    assert "<b>gift</b>" not in page
    for one in (code, f"{code}-b"):
        for answer in confirm(finance, f"{PAGE}/{one}/details", {"reason": "Enough"}):
            assert answer.status_code == 303
    ended = stored(shop, code)
    assert ended is not None
    assert ended.ends_at is not None
    assert stored(shop, f"{code}-b") is None
    assert [line.act for line in lines_about(shop, f"campaign:{code}")] == ["campaign.create", "campaign.end"]
    assert finance.post(f"{PAGE}/{code}/details", {"reason": "Again"}, form=NEW).status_code == 422
    assert finance.get(f"{PAGE}/{code}-b/details").status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": "Not a code"}, "code"),
        ({"name": ""}, "name"),
        ({"credits": "0"}, "credits"),
        ({"expires_days": "0"}, "expires_days"),
        ({"audience": "cats"}, "audience"),
        ({"audience": "plan", "plan": "no-such"}, "plan"),
        ({"audience": "accounts"}, "accounts"),
        ({"audience": "accounts", "accounts": "usr_nobody"}, "accounts"),
        ({"starts_at": "soon"}, "starts_at"),
        ({"ends_at": "2001-01-01T00:00"}, "ends_at"),
        ({"starts_at": "2099-01-01T00:00", "ends_at": "2098-01-01T00:00"}, "ends_at"),
        ({"reason": " "}, "reason"),
    ],
)
def test_bad_input_names_its_field_and_writes_nothing(
    shop: Flask, finance: Member, code: str, changes: dict[str, str], field: str
) -> None:
    answer = finance.post(NEW, wanted(code) | changes)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert f'id="{field}"' in answer.text
    assert stored(shop, code) is None


def test_a_campaign_of_a_code_that_there_is_is_refused(finance: Member, code: str) -> None:
    confirm(finance, NEW, wanted(code, starts_at="2099-01-01T00:00"))
    answer = finance.post(NEW, wanted(code))
    assert answer.status_code == 422
    assert "already" in answer.text


def test_sign_up_credits_are_changed_for_who_comes_later(
    shop: Flask, finance: Member, owner_connection: psycopg.Connection
) -> None:
    fields = {"credits": "77", "expires_days": "9", "confirmed_only": "1", "reason": "Abuse"}
    try:
        for answer in confirm(finance, SIGN_UP, fields):
            assert answer.status_code == 303
        with shop.app_context(), unit_of_work() as session:
            terms = sign_up_terms(session)
        assert (terms.credits, terms.days, terms.confirmed_only) == (77, 9, True)
        assert [line.after["credits"] for line in lines_about(shop, "sign-up")] == [77]
        assert "77 credits, for 9 days, when the address is confirmed" in finance.get(SIGN_UP).text
        assert finance.post(SIGN_UP, fields | {"credits": "-1"}).status_code == 422
    finally:  # the environment counts again, for other tests
        owner_connection.execute("DELETE FROM sign_up_grants")


@pytest.mark.parametrize("role", [None, "support", "translator"])
def test_who_lacks_the_role_finds_nothing(shop: Flask, person: Callable[..., Member], role: str | None) -> None:
    one = person(role)
    for path in (PAGE, f"{PAGE}.csv", NEW, SIGN_UP, f"{PAGE}/gift-1/details"):
        assert one.get(path).status_code == 404
    for path in (NEW, SIGN_UP):
        assert one.post(path, wanted("stolen"), form="/settings").status_code == 404
    assert stored(shop, "stolen") is None
