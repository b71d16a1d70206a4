"""Plans paid by the year and paid out by the month, trials, and the terms of a period's grant."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.billing.entitled import DAY
from tests.billing.plans import (
    STUDIO,
    Member,
    Story,
    advance,
    assert_ledger_sound,
    make_member,
    now_of,
    offer,
)
from tests.billing.shop import at_once
from webapp import ledger
from webapp.billing.entitlement import payment_for
from webapp.catalog.validity import add_months
from webapp.database import unit_of_work


def test_a_paid_year_is_paid_out_by_the_month_and_costs_exactly_its_price(alone: Flask) -> None:
    member = make_member(alone)
    start = now_of(alone)
    story = Story(member, start)
    story.pay("pro-yearly", start, amount=11999)
    story.tell()
    assert member.grants() == [("subscription", 1000, 1000, 999)]
    for _ in range(14):
        advance(alone, timedelta(days=31))
    rows = member.periods()
    assert [row.number for row in rows] == list(range(12)), "the second year is not paid"
    assert sum(row.cost_minor for row in rows) == 11999
    story.pay("pro-yearly", add_months(start, 12), amount=12000)
    story.tell()
    assert [row.number for row in member.periods()] == list(range(15))
    assert_ledger_sound(alone)


def test_a_year_pauses_while_a_payment_is_missing(alone: Flask) -> None:
    member = make_member(alone)
    story = Story(member, now_of(alone))
    story.pay("pro-yearly", story.started_at, amount=12000)
    story.tell()
    story.status = "unpaid"
    story.tell()
    advance(alone, timedelta(days=62))
    assert len(member.periods()) == 1
    story.status = "active"
    story.tell()
    assert len(member.periods()) == 3


def test_a_bigger_year_from_the_middle_of_one(member: Member) -> None:
    start = add_months(now_of(member.app).replace(microsecond=0) - 10 * DAY, -2)
    story = Story(member, start)
    story.pay("pro-yearly", start, amount=12000)
    moment = add_months(start, 2) + (add_months(start, 3) - add_months(start, 2)) / 4
    story.change("pro-yearly", "studio-yearly", moment, add_months(start, 12), back=9500, rest=39000)
    story.tell()
    story.tell()
    assert [row.credits for row in member.periods()] == [1000, 1000, 1000, 3000]
    bigger = member.stretches()[-1]
    assert (bigger.plan, bigger.next_period, bigger.paid_periods) == ("studio-yearly", 3, 12)
    to_come = member.do(lambda s: sum(_payment(s, bigger).share(number) for number in range(3, 12)))
    spent = sum(row.cost_minor for row in member.periods())
    assert spent + to_come == 12000 + 39000 - 9500, "every cent that was paid, and no other"


def test_a_trial_grants_the_trial_s_credits_and_the_first_payment_the_month_s(plans: Flask) -> None:
    with plans.app_context(), unit_of_work() as session:
        offer(session, {**STUDIO, "code": "trying", "trial_days": 14, "trial_credits": 50})
    member = make_member(plans)
    start = now_of(plans).replace(microsecond=0) - 15 * DAY
    story = Story(member, start, status="trialing", trial_ends_at=start + 14 * DAY)
    story.pay("trying", start, amount=0)
    line = story.invoices[0].lines[0]
    story.invoices[0] = replace(story.invoices[0], lines=(replace(line, ends_at=start + 14 * DAY),))
    story.tell()
    assert [row.credits for row in member.periods()] == [50]
    story.status = "active"
    story.pay("trying", start + 14 * DAY, amount=4900)
    story.tell()
    assert [(row.credits, row.cost_minor) for row in member.periods()] == [(50, 0), (5000, 4900)]
    assert [one.trial for one in member.stretches()] == [True, False]


@pytest.mark.parametrize(("expiry", "days", "expires"), [("never", None, None), ("days", 90, timedelta(days=90))])
def test_other_rules_of_expiry(plans: Flask, expiry: str, days: int | None, expires: timedelta | None) -> None:
    code = f"rule-{expiry}"
    with plans.app_context(), unit_of_work() as session:
        offer(session, {**STUDIO, "code": code, "expiry": expiry, "expiry_days": days, "rollover_cap": 0})
    member = make_member(plans)
    story = Story(member, now_of(plans).replace(microsecond=0) - DAY)
    story.pay(code, story.started_at)
    story.tell()
    (grant,) = member.do(lambda s: ledger.open_grants(s, account_id=member.account_id))
    assert grant.expires_at == (None if expires is None else story.started_at + expires)


def test_a_period_is_granted_in_one_row_and_one_grant(member: Member) -> None:
    story = Story(member, now_of(member.app) - DAY)
    story.pay("pro", story.started_at)
    at_once([story.tell] * 4)
    assert member.grants() == [("subscription", 1000, 1000, 1200)]
    stretch = member.stretches()[0]
    key = f"grant:{stretch.id}:0"
    found = member.do(lambda s: ledger.grant_by_source_key(s, account_id=member.account_id, source_key=key))
    assert found.amount == 1000


def _payment(session: Session, entitlement: Any) -> Any:
    return payment_for(session, entitlement=entitlement, number=entitlement.next_period)
