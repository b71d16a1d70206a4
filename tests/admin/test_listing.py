"""Lists: pages by cursor, filters, orders and CSV, whatever stands in the address."""

import base64
import csv
import io
import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select
from werkzeug.datastructures import MultiDict

from tests.credits.member import Member, statements
from webapp import clock
from webapp.admin.audit import AuditLine
from webapp.admin.listing import PAGE, Column, Filter, Listing, ListPage, Rows, Sort, read_page
from webapp.database import unit_of_work
from webapp.layout.csv_file import safe_cell

__all__ = ["statements"]

LINES = 2 * PAGE + 20
OF_NO_CONCERN = {"ip": "", "before": {}, "after": {}, "credits": 0, "price_minor": 0, "currency": "", "act": "test.act"}


@pytest.fixture(scope="module")
def who(shop: Flask) -> str:
    """Somebody of whom the log has many lines: three to each subject, which differ by their reason."""
    name = f"{secrets.token_hex(6)}@people.example.com"
    with shop.app_context(), unit_of_work() as session:
        rows = [
            {
                **OF_NO_CONCERN,
                "who": name,
                "at": clock.now(),
                "subject": f"test:{number // 3:03}",
                "reason": f"={number}+1",
            }
            for number in range(LINES)
        ]
        session.execute(insert(AuditLine), rows)
    return name


def lines_of(values: Mapping[str, str]) -> Rows:
    statement: Rows = select(AuditLine.id, AuditLine.subject, AuditLine.reason, AuditLine.at)
    return statement.where(AuditLine.who == values.get("who", ""))


LISTING = Listing(
    key="test",
    title="Test",
    path="/test",
    id=AuditLine.id,
    selection=lines_of,
    columns=(Column(key="reason", label="Reason", show=lambda row: row.reason),),
    sorts=(
        Sort(key="newest", label="Newest", by=AuditLine.at),
        Sort(key="subject", label="Subject", by=AuditLine.subject, ascending=True),
    ),
    filters=(Filter(key="who", label="Who"),),
)


def page_of(app: Flask, **args: str) -> ListPage:
    with app.app_context(), unit_of_work() as session:
        return read_page(session, LISTING, MultiDict(args))


def all_pages(app: Flask, **args: str) -> list[ListPage]:
    pages = [page_of(app, **args)]
    while pages[-1].next is not None:
        assert len(pages) < 10
        pages.append(page_of(app, **args, after=pages[-1].next))
    return pages


@pytest.mark.parametrize("sort", ["newest", "subject", "", "no-such-order"])
def test_every_row_stands_on_one_page(shop: Flask, who: str, sort: str) -> None:
    pages = all_pages(shop, who=who, sort=sort)
    assert [len(page.rows) for page in pages] == [PAGE, PAGE, LINES - 2 * PAGE]
    assert [page.is_first for page in pages] == [True, False, False]
    numbers = [int(row.reason[1:-2]) for page in pages for row in page.rows]
    assert sorted(numbers) == list(range(LINES))
    assert numbers == sorted(numbers, reverse=sort != "subject")


def test_rows_that_come_meanwhile_move_none_to_another_page(shop: Flask, who: str) -> None:
    first = page_of(shop, who=who)
    assert first.next is not None
    before = [row.id for row in page_of(shop, who=who, after=first.next).rows]
    with shop.app_context(), unit_of_work() as session:
        session.add(AuditLine(**{**OF_NO_CONCERN, "who": who, "at": clock.now(), "subject": "late", "reason": "=0+1"}))
        session.flush()
        try:
            after = [row.id for row in read_page(session, LISTING, MultiDict({"who": who, "after": first.next})).rows]
        finally:
            session.rollback()
    assert after == before


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


NOW = {"at": "2026-11-21T20:00:00+00:00"}


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "%",
        "é",
        "\0",
        "a" * 5_000,
        cursor(),
        cursor("newest"),
        cursor("newest", NOW, 1, 2),
        cursor("subject", "test:001", 1),  # of another order
        cursor("newest", "test:001", 1),
        cursor("newest", {"at": "2026-11-21T20:00:00"}, 1),
        cursor("newest", {"at": 17}, 1),
        cursor("newest", {"of": "x"}, 1),
        cursor("newest", NOW, "1"),
        cursor("newest", NOW, None),
        cursor("newest", NOW, True),
        cursor("newest", NOW, 2**63),
        cursor("newest", None, 1),
        cursor("newest", [[[]]], 1),
    ],
)
def test_what_is_no_cursor_is_the_first_page(shop: Flask, who: str, after: str) -> None:
    page = page_of(shop, who=who, after=after)
    assert page.is_first
    assert len(page.rows) == PAGE


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


def test_the_page_keeps_its_filters_and_leads_on(finance: Member, who: str) -> None:
    page = finance.get("/admin/audit-log", query_string={"who": who}).text
    assert page.count("<tr data-id=") == PAGE
    found = re.search(r'href="(/admin/audit-log\?[^"]+)"[^>]*rel="next"', page)
    assert found
    follow = found[1].replace("&amp;", "&")
    second = finance.get(follow).text
    assert second.count("<tr data-id=") == PAGE
    assert f'value="{who}"' in second
    assert "First page" in second
    fragment = finance.fragment(follow, "list")
    assert fragment.status_code == 200
    assert 'id="list"' in fragment.text


def test_csv_has_every_row_and_no_formula(finance: Member, who: str) -> None:
    answer = finance.download(f"/admin/audit-log.csv?who={who}")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    header, *rows = list(csv.reader(io.StringIO(answer.text)))
    assert header == ["Time", "Who", "What", "To what", "Reason"]
    assert len(rows) == LINES
    assert {row[4] for row in rows} == {f"'={number}+1" for number in range(LINES)}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", rows[0][0])


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("a;=1+1;", "a;'=1+1;"),
        ('a;"=1+1"', 'a;\'"=1+1"'),
        ("a\n@SUM(1)", "a\n'@SUM(1)"),
        ("=1;-2", "'=1;'-2"),
        ("Thanks ;-)", "Thanks ;-)"),
        ("3; -2 a day", "3; -2 a day"),
        (-5, -5),
        (None, ""),
    ],
)
def test_no_formula_begins_where_a_spreadsheet_may_part_a_cell(cell: str | int | None, safe: str | int) -> None:
    assert safe_cell(cell) == safe


@pytest.mark.parametrize(
    "values", [{"who": "nobody"}, {"who": "\0"}, {"act": "'--"}, {"account": "9" * 60}, {"x": "1"}]
)
def test_filters_take_anything(finance: Member, values: dict[str, str]) -> None:
    for path in ("/admin/audit-log", "/admin/audit-log.csv"):
        assert finance.get(path, query_string=values, buffered=True).status_code == 200


def test_nothing_that_matches_says_so_with_the_way_out(finance: Member) -> None:
    page = finance.get("/admin/audit-log?who=nobody-at-all").text
    assert "Nothing matches" in page
    assert 'href="/admin/audit-log">Show everything' in page


def test_a_page_is_one_statement_whatever_its_length(finance: Member, who: str, statements: list[str]) -> None:
    finance.get("/admin/audit-log")
    counts = []
    for path in ("/admin/audit-log?who=nobody", f"/admin/audit-log?who={who}"):
        statements.clear()
        finance.get(path)
        counts.append(len([one for one in statements if "audit_log" in one]))
    assert counts == [1, 1]


def test_what_stands_in_a_row_is_text(finance: Member, shop: Flask, member: Member) -> None:
    with shop.app_context(), unit_of_work() as session:
        values = {
            "who": "<b>who</b>",
            "act": "<i>act</i>",
            "subject": "<u>it</u>",
            "reason": "<script>alert(1)</script>",
        }
        more = {"at": clock.now(), "account_id": member.account_id, "before": {"<s>": "<b>"}}
        session.add(AuditLine(**{**OF_NO_CONCERN, **values, **more}))
    page = finance.get(f"/admin/audit-log?account={member.account_id}").text
    found = re.search(r"/admin/audit-log/(\d+)", page)
    assert found
    for shown in (page, finance.get(found[0]).text):
        assert "&lt;script&gt;alert" in shown
        for tag in ("<script>alert", "<b>who", "<i>act", "<u>it", "<s>"):
            assert tag not in shown
