"""The page of an account and of its entries: everything about it, escaped, in a bounded number of statements."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.credits.member import Member, statements
from webapp import ledger
from webapp.admin import account_entry
from webapp.database import unit_of_work
from webapp.people.user import User

__all__ = ["statements"]

HOSTILE = "<script>alert(1)</script>‮\" onload='x' %(name)s {{ 7*7 }}"


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


def home(member: Member) -> str:
    return f"/admin/accounts/{member.account_id}"


def rename(app: Flask, member: Member, name: str) -> None:
    with app.app_context(), unit_of_work() as session:
        session.query(User).filter_by(email=member.email).one().name = name


def test_it_shows_who_it_is_and_what_it_has(finance: Member, member: Member) -> None:
    member.grant(100, "Gift")
    bought = {"source": "opening", "source_key": "opening:1", "cost_minor": 900, "cost_currency": "EUR"}
    member.grant(900, "Starter", priority=5, **bought)
    member.spend(30)
    member.write(ledger.place_hold, amount=20, idempotency_key="h", actor="api:test", description="A long film")
    page = finance.get(home(member)).text
    assert member.email in page
    assert member.external_id in page
    figures = dict(re.findall(r'data-figure="(\w+)"><bdi dir="ltr">([^<]+)<', page))
    assert figures == {"balance": "970", "available": "950", "held": "20", "debt": "0", "overdraft_limit": "0"}
    gift, starter = re.findall(r'<tr data-grant="(\d+)">(.*?)</tr>', page, re.DOTALL)
    assert gift[0] == "1"
    assert "€9.00" in starter[1]
    assert ">5<" in starter[1]
    assert "take-back" in gift[1]
    assert "take-back" not in starter[1]
    assert "A long film" in page
    assert 'id="tally"' in page


def test_the_ledger_stands_there_newest_first_fifty_at_a_time(finance: Member, member: Member) -> None:
    member.grant(1000)
    for _number in range(60):
        member.spend(1)
    first = finance.get(home(member)).text
    assert [int(seq) for seq in re.findall(r'data-entry="(\d+)"', first)] == list(range(61, 11, -1))
    older = re.search(rf'href="({home(member)}\?before=12)#timeline"', first)
    assert older
    second = finance.get(older[1]).text
    assert [int(seq) for seq in re.findall(r'data-entry="(\d+)"', second)] == list(range(11, 0, -1))
    assert 'rel="next"' not in second
    grants = finance.get(f"{home(member)}?kind=grant").text
    assert re.findall(r'data-entry="(\d+)"', grants) == ["1"]


@pytest.mark.parametrize(
    "query", ["before=x", "before=-1", "before=0", "before=" + "9" * 400, "kind=nothing", "kind=%00"]
)
def test_a_choice_that_means_nothing_shows_the_newest(finance: Member, member: Member, query: str) -> None:
    member.grant(10)
    answer = finance.get(f"{home(member)}?{query}")
    assert answer.status_code == 200
    assert 'data-entry="1"' in answer.text


def test_an_entry_says_why_it_was_charged(finance: Member, member: Member) -> None:
    member.grant(100, "Gift")
    member.grant(50, "Second gift")
    pricing = {"rate_card_version": 3, "lines": [{"quantity": 6, "credits_per_unit": 20, "credits": 120}]}
    spend = member.spend(120, feature="image", quantity=6, reference="job 7", pricing=pricing, metadata={"model": "x"})
    page = finance.get(f"{home(member)}/entries/{spend.seq}").text
    assert "× 20" in page
    draws = re.findall(r'<tr data-grant="(\d+)">.*?</bdi></b>.*?<td class="num" data-label="Credits"><bdi>(\d+)', page)
    assert draws == [("1", "100"), ("2", "20")]
    for text in ("job 7", "model", "api:test", f"{member.external_id}:{spend.seq}", spend.hash.hex()):
        assert text in page, text
    assert ">3<" in page  # the rate card's version
    member.write(ledger.refund_spend, seq=spend.seq, amount=5, actor="api:test", reason="Too dark")
    page = finance.get(f"{home(member)}/entries/{spend.seq}").text
    assert "Too dark" in page
    assert f'href="{home(member)}/entries/{spend.seq + 1}"' in page


def test_a_spend_of_many_grants_has_a_page_of_bounded_length(
    finance: Member, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_entry, "SLICES", 3)
    for _number in range(5):
        member.grant(10)
    spend = member.spend(50)
    page = finance.get(f"{home(member)}/entries/{spend.seq}").text
    assert len(re.findall(r'<tr data-grant="', page)) == 3
    assert re.search(r"2 further grants</th><td[^>]*><bdi>20<", page)


def test_what_was_done_by_an_admin_stands_with_the_account(finance: Member, member: Member) -> None:
    path = f"{home(member)}/overdraft"
    fields = {"limit": "7", "reason": "They pay by invoice"}
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', finance.post(path, fields).text))
    finance.post_raw(path, hidden)
    page = finance.get(home(member)).text
    assert "They pay by invoice" in page
    assert finance.email in page
    assert f"/admin/audit-log?subject=account:{member.account_id}" in page


def test_hostile_texts_are_texts(shop: Flask, finance: Member, member: Member) -> None:
    rename(shop, member, HOSTILE)
    member.grant(100, HOSTILE, metadata={HOSTILE: HOSTILE}, reference=HOSTILE)
    member.spend(3, description=HOSTILE, reference=HOSTILE, metadata={"x": HOSTILE})
    member.write(
        ledger.place_hold, amount=2, idempotency_key="h", actor="api:test", description=HOSTILE, reference=HOSTILE
    )
    paths = ("", "/entries/1", "/entries/2", "/entries/2/refund", "/holds/1/void", "/grants/1/freeze")
    for path in (*paths, "/grants/1/take-back", "/grant", "/suspend"):
        answer = finance.get(home(member) + path)
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text, path
        assert " onload='x'" not in answer.text, path
        assert "49" not in re.findall(r"7\*7|{{ *(49) *}}", answer.text), path


def test_an_account_that_nobody_logs_in_with_has_its_page(shop: Flask, finance: Member) -> None:
    with shop.app_context(), unit_of_work() as session:
        account, _ = ledger.open_account(session, external_id="acme-nobody", name="Acme", metadata={"tier": "gold"})
    page = finance.get(f"/admin/accounts/{account.account_id}").text
    for text in ("Acme", "acme-nobody", "Nobody logs in with it", "tier", "gold"):
        assert text in page, text


def count(statements: list[str], finance: Member, path: str) -> int:
    finance.get(path)
    statements.clear()
    assert finance.get(path).status_code == 200
    return len(statements)


def grow(member: Member, times: int) -> None:
    for number in range(times):
        member.grant(10 + number, f"Gift {number}")
        member.spend(2, feature="image", quantity=1)
        member.write(ledger.place_hold, amount=1, idempotency_key=f"h{number}{times}", actor="api:test")


def test_more_of_everything_is_not_more_statements(finance: Member, member: Member, statements: list[str]) -> None:
    grow(member, 2)
    paths: dict[str, Any] = {home(member): 24, f"{home(member)}/entries/2": 16}
    few = {path: count(statements, finance, path) for path in paths}
    grow(member, 12)
    for path, most in paths.items():
        many = count(statements, finance, path)
        assert many <= few[path] + 1, path
        assert many <= most, (path, many, statements)
