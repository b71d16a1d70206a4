"""The list of accounts: found by what one has at hand, page by page, and as CSV."""

import csv
import io
import re
import secrets
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from jobs.rank_accounts import rank_accounts
from tests.credits.member import Member, statements
from webapp import ledger
from webapp.admin import account_ranks
from webapp.database import unit_of_work
from webapp.people.suspension import suspend
from webapp.people.user import User

__all__ = ["statements"]


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


def shown(by: Member, query: str) -> list[int]:
    answer = by.get(f"/admin/accounts?{query}")
    assert answer.status_code == 200
    return [int(number) for number in re.findall(r'<tr data-id="(\d+)"', answer.text)]


def change(app: Flask, member: Member, **columns: str) -> None:
    with app.app_context(), unit_of_work() as session:
        user = session.query(User).filter_by(email=member.email).one()
        for name, value in columns.items():
            setattr(user, name, value)


def opened(app: Flask, *names: str) -> list[int]:
    with app.app_context(), unit_of_work() as session:
        return [ledger.open_account(session, external_id=name)[0].account_id for name in names]


def test_accounts_are_found_by_address_name_and_external_id(shop: Flask, finance: Member, member: Member) -> None:
    mark = secrets.token_hex(4)
    change(shop, member, email_key=f"zoe{mark}@{mark}.example", name=f"Émile {mark}")
    (acme,) = opened(shop, f"Acme{mark}_1")
    for words in (f"zoe{mark}", f"ZOE{mark}@", f"@{mark}.example", f"émile {mark}", member.external_id):
        assert shown(finance, f"q={words}") == [member.account_id], words
    assert shown(finance, f"q=Acme{mark}_") == [acme]
    assert shown(finance, f"q=Acme{mark}%25") == []
    assert shown(finance, f"q=Acme{mark}__") == []
    assert shown(finance, "q=%00") != []


def test_newest_and_oldest_come_page_by_page(shop: Flask, finance: Member) -> None:
    mark = secrets.token_hex(4)
    numbers = opened(shop, *(f"{mark}-{number}" for number in range(60)))
    first = finance.get(f"/admin/accounts?q={mark}")
    assert shown(finance, f"q={mark}") == numbers[:9:-1]
    following = re.search(r'href="/admin/accounts\?([^"]*after=[^"]+)"', first.text)
    assert following
    assert shown(finance, following[1].replace("&amp;", "&")) == numbers[9::-1]
    assert shown(finance, f"q={mark}&sort=oldest") == numbers[:50]


def test_the_greatest_balance_comes_first(shop: Flask, finance: Member, new_member: Callable[..., Member]) -> None:
    mark = secrets.token_hex(4)
    members = [new_member() for _number in range(3)]
    for number, one in enumerate(members):
        change(shop, one, name=f"{mark} {number}")
        one.grant(10 + number)
    for _time in range(2):
        with shop.app_context():
            rank_accounts()
    assert shown(finance, f"q={mark}&sort=balance") == [one.account_id for one in reversed(members)]
    members[0].grant(90)
    with shop.app_context():
        rank_accounts()
    assert shown(finance, f"q={mark}&sort=balance")[0] == members[0].account_id
    with shop.app_context(), unit_of_work() as session:
        assert account_ranks.rank_accounts(session, after=0)[1] == 0


def test_those_that_need_a_look_are_a_choice(shop: Flask, finance: Member, new_member: Callable[..., Member]) -> None:
    owing, suspended, frozen, calm = (new_member() for _number in range(4))
    for one in (owing, suspended, frozen, calm):
        one.grant(10)
    owing.spend(10)
    owing.write(ledger.revoke, grant_id=1, target=10, actor="admin", reason="x")
    frozen.write(ledger.freeze, grant_id=1, reference="admin", actor="admin")
    with shop.app_context(), unit_of_work() as session:
        suspend(session, account_id=suspended.account_id, reason="Chargebacks", actor="admin")
    for status, one in (("debt", owing), ("suspended", suspended), ("frozen", frozen)):
        found = shown(finance, f"status={status}")
        assert one.account_id in found
        assert calm.account_id not in found
        assert shown(finance, f"status={status}&q={one.external_id}") == [one.account_id]
        assert shown(finance, f"status={status}&q={calm.external_id}") == []
    assert calm.account_id in shown(finance, "status=nonsense")


def test_figures_are_those_of_now(shop: Flask, finance: Member, member: Member) -> None:
    with shop.app_context(), unit_of_work() as session:
        now = ledger.now(session)
    member.grant(70, effective_at=now + timedelta(days=9))
    member.grant(30)
    (row,) = csv.DictReader(io.StringIO(finance.download(f"/admin/accounts.csv?q={member.external_id}").text))
    assert (row["Balance"], row["Available"], row["Debt"], row["Suspended"]) == ("100", "30", "0", "0")


def test_the_csv_has_all_that_the_filters_leave_and_no_formula(shop: Flask, finance: Member, member: Member) -> None:
    mark = secrets.token_hex(4)
    change(shop, member, name=f'=HYPERLINK("{mark}")')
    opened(shop, *(f"{mark}-{number}" for number in range(60)))
    rows = list(csv.DictReader(io.StringIO(finance.download(f"/admin/accounts.csv?q={mark}&sort=oldest").text)))
    assert [row["External id"] for row in rows] == [f"{mark}-{number}" for number in range(60)]
    (row,) = csv.DictReader(io.StringIO(finance.download(f"/admin/accounts.csv?q={member.external_id}").text))
    assert not row["Name"].startswith("=")


def test_a_hostile_name_is_a_text(shop: Flask, finance: Member, member: Member) -> None:
    change(shop, member, name="<script>alert(1)</script>")
    answer = finance.get(f"/admin/accounts?q={member.external_id}")
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert "<script>alert" not in finance.get("/admin/accounts?q=<script>alert(1)</script>").text


def test_a_page_is_one_statement_however_many_there_are(shop: Flask, finance: Member, statements: list[str]) -> None:
    mark = secrets.token_hex(4)
    opened(shop, *(f"{mark}-{number}" for number in range(55)))
    finance.get(f"/admin/accounts?q={mark}")
    statements.clear()
    finance.get(f"/admin/accounts?q={mark}-54")
    few = len(statements)
    statements.clear()
    finance.get(f"/admin/accounts?q={mark}")
    assert len(statements) == few
    assert sum("ledger.balance" in one for one in statements) == 1


@pytest.mark.parametrize("role", [None, "translator"])
def test_who_lacks_the_role_finds_nothing(person: Callable[..., Member], role: str | None) -> None:
    one = person(role)
    assert one.get("/admin/accounts").status_code == 404
    assert one.get("/admin/accounts.csv").status_code == 404
