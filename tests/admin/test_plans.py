"""Plans in the admin pages: changed for who comes later, while who is on one keeps what was promised."""

import re
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.credits.member import Member
from webapp.admin.audit import AuditLine
from webapp.billing.entitlement import running
from webapp.billing.free_plan import start_free
from webapp.catalog.plan import Plan, find_plan
from webapp.clock import now
from webapp.database import unit_of_work
from webapp.people.user import User

PAGE = "/admin/plans"
_numbers = count(1)


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


@pytest.fixture
def code() -> str:
    return f"team-{next(_numbers)}"


def wanted(**changes: str) -> dict[str, str]:
    return {
        "name": "Team",
        "description": "For small teams.",
        "billed": "monthly",
        "credits_per_month": "2000",
        "price_EUR": "19.50",
        "expiry": "period",
        "rollover_cap": "500",
    } | changes


def make(member: Member, code: str, **changes: str) -> Any:
    return member.post(f"{PAGE}/new", wanted(code=code, **changes))


def change(member: Member, code: str, **changes: str) -> Any:
    path = f"{PAGE}/{code}/edit"
    seen = dict(re.findall(r'name="(version|submission)" value="([^"]*)"', member.get(path).text))
    return member.post(path, wanted(**changes) | seen)


def stored(app: Flask, code: str) -> Plan | None:
    with app.app_context(), unit_of_work() as session:
        found = find_plan(session, code=code)
        if found is not None:
            for one in [found, *found.prices]:
                session.refresh(one)
                session.expunge(one)
    return found


def lines_about(app: Flask, code: str) -> list[AuditLine]:
    with app.app_context(), unit_of_work() as session:
        found = list(session.scalars(select(AuditLine).where(AuditLine.subject == f"plan:{code}")))
        session.expunge_all()
    return found


def test_a_plan_is_made_with_all_its_terms(shop: Flask, finance: Member, code: str) -> None:
    answer = make(
        finance,
        code,
        active="1",
        trial_days="14",
        trial_credits="50",
        grant_priority="-1",
        features="image",
    )
    assert answer.status_code == 303, answer.text
    made = stored(shop, code)
    assert made is not None
    assert (made.billed, made.credits_per_month, made.expiry, made.rollover_cap) == ("monthly", 2000, "period", 500)
    assert (made.trial_days, made.trial_credits, made.grant_priority, made.features) == (14, 50, -1, ["image"])
    assert {price.currency: price.price_minor for price in made.prices} == {"EUR": 1950}
    assert f'id="plan-{code}"' in finance.get(PAGE).text
    assert "Team" in finance.get("/pricing").text
    (line,) = lines_about(shop, code)
    assert (line.act, line.after["billed"]) == ("plan.create", "monthly")


def test_who_is_on_a_plan_keeps_its_terms_and_the_page_says_how_many_they_are(
    shop: Flask, finance: Member, member: Member, code: str
) -> None:
    make(finance, code, active="1", billed="never", price_EUR="", rollover_cap="0")
    with shop.app_context(), unit_of_work() as session:
        plan = find_plan(session, code=code)
        user = session.scalars(select(User).where(User.email == member.email)).one()
        assert plan is not None
        start_free(session, plan=plan, user=user, mode="sandbox")
    assert "1 account is on this plan" in finance.get(f"{PAGE}/{code}/edit").text
    changed = change(
        finance, code, price_EUR="", credits_per_month="5", expiry="days", expiry_days="9", rollover_cap=""
    )
    assert changed.status_code == 303, changed.text
    with shop.app_context(), unit_of_work() as session:
        (stretch,) = running(session, account_id=member.account_id, mode="sandbox", now=now())
        assert (stretch.credits_per_month, stretch.expiry) == (2000, "period")
    after = stored(shop, code)
    assert after is not None
    assert (after.credits_per_month, after.expiry, after.expiry_days) == (5, "days", 9)


def test_how_a_plan_is_billed_is_said_once(shop: Flask, finance: Member, code: str) -> None:
    make(finance, code)
    assert change(finance, code, billed="never", price_EUR="").status_code == 422
    assert change(finance, code, billed="yearly").status_code == 303
    kept = stored(shop, code)
    assert kept is not None
    assert (kept.billed, kept.price_minor("EUR")) == ("monthly", 1950)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"billed": "sometimes"}, "billed"),
        ({"credits_per_month": "0"}, "credits_per_month"),
        ({"expiry": "days", "rollover_cap": ""}, "expiry_days"),
        ({"expiry": "never"}, "rollover_cap"),
        ({"expiry": "whenever", "rollover_cap": ""}, "expiry"),
        ({"trial_days": "731"}, "trial_days"),
        ({"trial_days": "7", "billed": "once"}, "trial_days"),
        ({"trial_credits": "7"}, "trial_days"),
        ({"grant_priority": "101"}, "grant_priority"),
        ({"features": "no-such-thing"}, "features"),
        ({"price_EUR": ""}, "price_EUR"),
        ({"billed": "never"}, "price_EUR"),
        ({"name": ""}, "name"),
    ],
)
def test_bad_input_names_its_field_and_writes_nothing(
    shop: Flask, finance: Member, code: str, changes: dict[str, str], field: str
) -> None:
    answer = finance.post(f"{PAGE}/new", wanted(**({"code": code} | changes)))
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert f'id="{field}"' in answer.text
    assert stored(shop, code) is None


def test_who_comes_second_is_told_and_a_renamed_plan_is_renamed_at_stripe(
    shop: Flask, finance: Member, code: str
) -> None:
    from webapp.billing.stripe_price import StripePrice
    from webapp.outbox import OutboxRow

    make(finance, code)
    with shop.app_context(), unit_of_work() as session:
        session.add(
            StripePrice(
                mode="sandbox",
                stripe_price_id=f"price_{code}",
                stripe_product_id=f"prod_{code}",
                plan=code,
                currency="EUR",
                price_minor=1950,
                billed="monthly",
            )
        )
    old = dict(re.findall(r'name="(version|submission)" value="([^"]*)"', finance.get(f"{PAGE}/{code}/edit").text))
    change(finance, code, name="Crew")
    late = finance.post(f"{PAGE}/{code}/edit", wanted(name="Gang") | old | {"submission": ""})
    assert late.status_code == 409
    assert 'data-figure="name"' in late.text
    with shop.app_context(), unit_of_work() as session:
        told = session.scalars(select(OutboxRow).where(OutboxRow.key.startswith(f"product-name:{code}:"))).all()
        assert [one.args for one in told] == [{"plan": code, "mode": "sandbox"}]


@pytest.mark.parametrize("role", [None, "support", "translator"])
def test_who_lacks_the_role_finds_nothing(person: Callable[..., Member], role: str | None) -> None:
    one = person(role)
    for path in (PAGE, f"{PAGE}/new", f"{PAGE}/pro/edit"):
        assert one.get(path).status_code == 404
    for path in ("new", "pro/edit", "pro/sale", "pro/move"):
        assert one.post(f"{PAGE}/{path}", wanted(code="stolen"), form="/settings").status_code == 404
