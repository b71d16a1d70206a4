"""The audit log's pages: each act has words, each line a page with what was before beside what was after."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

import webapp
from tests.admin.test_acts import doer, lines_about, perform
from tests.credits.member import Member
from webapp.admin.act_words import NOTED, act_words
from webapp.admin.acts import ACTS
from webapp.admin.audit import AuditLine
from webapp.admin.figure_words import NAMES
from webapp.admin.subjects import subject_link
from webapp.database import unit_of_work


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


def test_every_act_that_the_code_notes_has_words() -> None:
    noted = set()
    for path in (Path(webapp.__file__).parent / "admin").glob("*.py"):
        noted |= set(re.findall(r'\bact="([a-z_.]+)"', path.read_text(encoding="utf-8")))
    assert noted
    assert noted - set(ACTS) - set(NOTED) == set()


def test_acts_are_words_to_readers_and_keys_to_programs(shop: Flask, finance: Member, member: Member) -> None:
    perform(shop, doer(shop, finance, "finance"), member.account_id, 50)
    page = finance.get(f"/admin/audit-log?account={member.account_id}").text
    assert ">Grant credits</bdi>" in page
    assert f'href="/admin/accounts/{member.account_id}"' in page
    rows = finance.download(f"/admin/audit-log.csv?account={member.account_id}").text
    assert "account.grant" in rows
    with shop.test_request_context():
        assert act_words("of.old.times") == "of.old.times"


@pytest.mark.parametrize("by", ["number", "external id", "address"])
def test_lines_are_found_by_account(shop: Flask, finance: Member, member: Member, by: str) -> None:
    perform(shop, doer(shop, finance, "finance"), member.account_id, 50)
    named = {"number": member.account_id, "external id": member.external_id, "address": member.email}[by]
    page = finance.get(f"/admin/audit-log?account={named}").text
    assert page.count("<tr data-id=") == 1


def test_a_line_shows_before_and_after(shop: Flask, finance: Member, member: Member) -> None:
    perform(shop, doer(shop, finance, "finance"), member.account_id, 50)
    (line,) = lines_about(shop, member.account_id)
    page = finance.get(f"/admin/audit-log/{line.id}").text
    assert "An outage" in page
    assert finance.email in page
    row = re.search(r'<tr data-figure="available">.*?</tr>', page, re.DOTALL)
    assert row
    assert str(NAMES["available"]) in row[0]
    assert re.findall(r"<bdi>(\d+)</bdi>", row[0]) == ["0", "50"]
    assert f"/admin/audit-log?subject=account:{member.account_id}" in page.replace("%3A", ":")


def test_a_line_that_never_was_is_no_page(finance: Member) -> None:
    assert finance.get(f"/admin/audit-log/{2**63 - 1}").status_code == 404


@pytest.mark.parametrize("role", [None, "support", "translator"])
def test_who_lacks_the_role_finds_nothing(shop: Flask, person: Callable[..., Member], role: str | None) -> None:
    with shop.app_context(), unit_of_work() as session:
        some = session.scalar(select(AuditLine.id).limit(1)) or 1
    for path in ("/admin/audit-log", "/admin/audit-log.csv", f"/admin/audit-log/{some}"):
        assert person(role).get(path).status_code == 404


@pytest.mark.parametrize("subject", ["account:1", "account:x", "account:", "nothing", "", "package:../../x", "user:7"])
def test_subjects_lead_to_pages_that_are_there(shop: Flask, subject: str) -> None:
    with shop.test_request_context():  # nobody is signed in: nothing may be opened
        assert subject_link(subject) == ("", subject)
