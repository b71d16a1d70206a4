"""Packages in the admin pages: made once, changed by one at a time, sold as promised, escaped wherever they show."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from tests.credits.member import Member
from webapp.admin.audit import AuditLine
from webapp.billing.checkout import start_purchase
from webapp.billing.purchase import Purchase
from webapp.catalog.package import Package, find_package
from webapp.database import unit_of_work

PAGE = "/admin/packages"
_numbers = count(1)


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


@pytest.fixture
def code() -> str:
    return f"pack-{next(_numbers)}"


def fields_of(member: Member, path: str) -> dict[str, str]:
    """Version and submission as the form of that page has them."""
    page = member.get(path).text
    return dict(re.findall(r'name="(version|submission)" value="([^"]*)"', page))


def wanted(**changes: str) -> dict[str, str]:
    return {
        "name": "Weekend pack",
        "description": "For two days.",
        "credits": "300",
        "price_EUR": "5.90",
        "valid": "30",
        "valid_in": "days",
        "who_may_buy": "everyone",
    } | changes


def make(member: Member, code: str, **changes: str) -> Any:
    return member.post(f"{PAGE}/new", wanted(code=code, **changes))


def change(member: Member, code: str, seen: dict[str, str] | None = None, **changes: str) -> Any:
    path = f"{PAGE}/{code}/edit"
    return member.post(path, wanted(**changes) | (seen or fields_of(member, path)))


def stored(app: Flask, code: str) -> Package | None:
    with app.app_context(), unit_of_work() as session:
        found = find_package(session, code=code)
        if found is not None:
            for one in [found, *found.prices]:
                session.refresh(one)
                session.expunge(one)
    return found


def lines_about(app: Flask, code: str) -> list[AuditLine]:
    with app.app_context(), unit_of_work() as session:
        about = select(AuditLine).where(AuditLine.subject == f"package:{code}").order_by(AuditLine.id)
        found = list(session.scalars(about))
        session.expunge_all()
    return found


def test_a_package_is_made_and_sold_and_on_record(shop: Flask, finance: Member, code: str) -> None:
    answer = make(finance, code, active="1", popular="1", price_JPY="900")
    assert answer.headers["Location"] == f"{PAGE}/{code}/edit"
    made = stored(shop, code)
    assert made is not None
    assert (made.credits, made.valid_days, made.valid_months, made.popular, made.active) == (300, 30, None, True, True)
    assert {price.currency: price.price_minor for price in made.prices} == {"EUR": 590, "JPY": 900}
    assert f'href="/admin/packages/{code}/edit"' in finance.get(PAGE).text
    assert "Weekend pack" in finance.get("/pricing").text
    (line,) = lines_about(shop, code)
    assert (line.act, line.who, line.before) == ("package.create", finance.email, {})
    assert line.after["prices"] == [{"minor": 590, "currency": "EUR"}, {"minor": 900, "currency": "JPY"}]


def test_a_form_sent_twice_makes_one_package(shop: Flask, finance: Member, code: str) -> None:
    seen = fields_of(finance, f"{PAGE}/new")
    for _attempt in range(2):
        assert finance.post(f"{PAGE}/new", wanted(code=code) | seen).status_code == 303
    assert len(lines_about(shop, code)) == 1
    other = finance.post(f"{PAGE}/new", wanted(code=f"{code}-b") | seen)
    assert other.status_code == 422
    assert "Begin anew" in other.text
    assert stored(shop, f"{code}-b") is None


def test_a_change_is_on_record_with_what_was_before(shop: Flask, finance: Member, code: str) -> None:
    make(finance, code)
    seen = fields_of(finance, f"{PAGE}/{code}/edit")
    for _attempt in range(2):
        assert change(finance, code, seen, price_EUR="6,50", valid="", who_may_buy="subscribers").status_code == 303
    changed = stored(shop, code)
    assert changed is not None
    assert (changed.price_minor("EUR"), changed.validity.never_ends, changed.for_subscribers) == (650, True, True)
    _made, line = lines_about(shop, code)
    assert (line.before["prices"], line.after["prices"]) == (
        [{"minor": 590, "currency": "EUR"}],
        [{"minor": 650, "currency": "EUR"}],
    )
    assert change(finance, code, price_EUR="6.50", valid="", who_may_buy="subscribers").status_code == 303
    assert len(lines_about(shop, code)) == 2  # nothing changed, nothing is on record


def test_who_comes_second_is_told_what_changed_and_keeps_their_input(
    shop: Flask, finance: Member, person: Callable[..., Member], code: str
) -> None:
    make(finance, code)
    other = person("owner")
    seen = fields_of(other, f"{PAGE}/{code}/edit")
    change(finance, code, credits="400")
    late = change(other, code, seen, credits="350", name="Week pack")
    assert late.status_code == 409
    told = late.text.partition('id="meanwhile"')[2].partition("<form")[0]
    assert finance.email in told
    assert re.search(r'data-figure="credits".*300.*400', told, re.S)
    assert 'data-figure="name"' not in told
    assert 'value="350"' in late.text
    assert 'value="Week pack"' in late.text
    unchanged = stored(shop, code)
    assert unchanged is not None
    assert unchanged.credits == 400
    again = dict(re.findall(r'name="(version|submission)" value="([^"]*)"', late.text))
    assert change(other, code, again, credits="350", name="Week pack").status_code == 303
    after = stored(shop, code)
    assert after is not None
    assert (after.credits, after.name) == (350, "Week pack")


def test_two_at_once_make_one_package_and_one_change_of_it(shop: Flask, finance: Member, code: str) -> None:
    token = finance.token(f"{PAGE}/new")
    once = wanted(code=code, csrf_token=token, submission=str(uuid4()))
    changes = [
        wanted(credits=credits, csrf_token=token, submission=str(uuid4()), version="1") for credits in ("400", "500")
    ]
    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(finance.post_raw, f"{PAGE}/new", once) for _attempt in range(2)]
        assert [one.result().status_code for one in made] == [303, 303]
        done = [pool.submit(finance.post_raw, f"{PAGE}/{code}/edit", fields) for fields in changes]
        assert sorted(one.result().status_code for one in done) == [303, 409]
    assert [line.act for line in lines_about(shop, code)] == ["package.create", "package.change"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": "Not A Code"}, "code"),
        ({"code": "starter"}, "code"),
        ({"name": " \0 "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"description": "x" * 201}, "description"),
        ({"credits": "0"}, "credits"),
        ({"credits": "9" * 5000}, "credits"),
        ({"price_EUR": "five"}, "price_EUR"),
        ({"price_EUR": "1.999"}, "price_EUR"),
        ({"price_EUR": "0"}, "price_EUR"),
        ({"price_EUR": "1000000"}, "price_EUR"),
        ({"price_EUR": ""}, "price_EUR"),
        ({"price_JPY": "9.50"}, "price_JPY"),
        ({"valid": "-1"}, "valid"),
        ({"valid": "1201", "valid_in": "months"}, "valid"),
        ({"valid_in": "eons"}, "valid_in"),
        ({"who_may_buy": "cats"}, "who_may_buy"),
    ],
)
def test_bad_input_names_its_field_and_writes_nothing(
    shop: Flask, finance: Member, code: str, changes: dict[str, str], field: str
) -> None:
    answer = finance.post(f"{PAGE}/new", wanted(**({"code": code} | changes)))
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', answer.text)
    assert stored(shop, code) is None


def test_what_is_bought_keeps_what_was_promised(shop: Flask, finance: Member, code: str) -> None:
    make(finance, code, active="1")
    with shop.app_context(), unit_of_work() as session:
        package = find_package(session, code=code)
        assert package is not None
        promised = start_purchase(
            session,
            package=package,
            price_minor=590,
            currency="EUR",
            user_id=7,
            account_id=finance.account_id,
            external_id=finance.external_id,
            intent=code,
            mode="sandbox",
            shown_name=package.name,
            locale="en",
        )
        number = promised.id
    change(finance, code, name="Something else", credits="1", price_EUR="99", valid="1")
    with shop.app_context(), unit_of_work() as session:
        kept = session.get_one(Purchase, number)
        assert (kept.package_name, kept.credits, kept.price_minor, kept.valid_days) == ("Weekend pack", 300, 590, 30)


def test_a_package_is_taken_off_sale_and_moved_by_a_button(shop: Flask, finance: Member, code: str) -> None:
    make(finance, code, active="1")
    make(finance, f"{code}-b", active="1")
    finance.post(f"{PAGE}/{code}/sale", {"active": "0"}, form=PAGE)
    finance.post(f"{PAGE}/{code}-b/move", {"to": "front"}, form=PAGE)
    page = finance.get(PAGE).text
    assert page.index(f'id="package-{code}-b"') < page.index(f'id="package-{code}"')
    taken = stored(shop, code)
    assert taken is not None
    assert not taken.active
    assert finance.get(f"/buy/{code}").status_code != 200
    assert [line.act for line in lines_about(shop, code)] == ["package.create", "package.deactivate"]
    assert [line.act for line in lines_about(shop, f"{code}-b")] == ["package.create", "package.move"]


def test_stored_markup_shows_as_text_everywhere(finance: Member, code: str) -> None:
    bad = "<script>alert(1)</script>\"'"
    make(finance, code, active="1", name=bad, description=bad)
    change(finance, code, name=bad + "!", description=bad)
    for path in (PAGE, f"{PAGE}/{code}/edit", "/pricing", f"/admin/audit-log?subject=package:{code}"):
        page = finance.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text, path
        assert 'value="<' not in page.text
    finance.post(f"{PAGE}/{code}/sale", {"active": "0"}, form=PAGE)


def test_the_list_as_csv_runs_nothing_in_a_spreadsheet(finance: Member, code: str) -> None:
    make(finance, code, name="=1+1", price_JPY="900")
    lines = finance.download(f"{PAGE}.csv").data.decode().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{code},")]
    assert line == f'{code},0,\'=1+1,For two days.,300,"590 EUR, 900 JPY",,30,0,0,1'


@pytest.mark.parametrize("role", [None, "support", "translator"])
def test_who_lacks_the_role_finds_nothing(shop: Flask, person: Callable[..., Member], role: str | None) -> None:
    one = person(role)
    for path in (PAGE, f"{PAGE}.csv", f"{PAGE}/new", f"{PAGE}/starter/edit"):
        assert one.get(path).status_code == 404
    for path in ("new", "starter/edit", "starter/sale", "starter/move"):
        assert one.post(f"{PAGE}/{path}", wanted(code="stolen"), form="/settings").status_code == 404
    assert stored(shop, "stolen") is None


@pytest.mark.parametrize("path", ["nothing/edit", "nothing/sale", "nothing/move", "a%00b/edit", "A/edit"])
def test_what_does_not_exist_is_not_found(finance: Member, path: str) -> None:
    assert finance.post(f"{PAGE}/{path}", wanted(version="1"), form=PAGE).status_code == 404
