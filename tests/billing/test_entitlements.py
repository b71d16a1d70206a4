"""Credits for being on a plan: one grant for each period, whoever makes it, in whatever order it is heard of."""

import random
from datetime import timedelta
from functools import partial
from itertools import permutations
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.billing.plans import (
    STUDIO,
    YEARLY_STUDIO,
    Member,
    Story,
    advance,
    assert_ledger_sound,
    grant_now,
    make_member,
    now_of,
    offer,
    paid_late,
)
from tests.billing.shop import at_once
from webapp import ledger
from webapp.billing.entitlement import payment_for
from webapp.billing.free_plan import HasBetterPlan, start_free
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.plan import Plan
from webapp.catalog.validity import add_months
from webapp.database import unit_of_work

DAY = timedelta(days=1)


@pytest.fixture(scope="session")
def plans(app: Flask) -> Flask:
    """An application with the shipped plans and bigger ones."""
    _offer_all(app)
    return app


@pytest.fixture
def alone(fresh_app: Flask) -> Flask:
    """One whose clock may be moved: nobody else is in its database."""
    _offer_all(fresh_app)
    return fresh_app


def _offer_all(app: Flask) -> None:
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
        offer(session, STUDIO)
        offer(session, YEARLY_STUDIO)


@pytest.fixture
def member(plans: Flask) -> Member:
    return make_member(plans)


def take_free(member: Member) -> None:
    def act(session: Session) -> None:
        start_free(session, plan=session.get_one(Plan, "free"), user=member.user(session), mode="sandbox")

    member.do(act)


# ---------------------------------------------------------------- free


def test_the_free_plan_grants_at_once_and_once(member: Member) -> None:
    for _ in range(3):
        take_free(member)
    assert member.grants() == [("plan", 100, 100, 0)]
    (stretch,) = member.stretches()
    assert (stretch.kind, stretch.next_period) == ("free", 1)
    assert stretch.next_at == add_months(stretch.anchor_at, 1)


def test_asked_for_at_once_the_free_plan_grants_once(member: Member) -> None:
    at_once([partial(take_free, member)] * 4)
    assert member.grants() == [("plan", 100, 100, 0)]


def test_each_month_is_granted_and_what_was_left_has_expired(alone: Flask) -> None:
    member = make_member(alone)
    take_free(member)
    for month in range(2, 5):
        advance(alone, timedelta(days=31))
        assert member.available() == 100
        assert len(member.grants()) == month
    assert_ledger_sound(alone)


def test_after_an_outage_every_missed_month_is_granted_and_expired(alone: Flask) -> None:
    member = make_member(alone, time_zone="Pacific/Auckland")
    take_free(member)
    advance(alone, timedelta(days=200))
    rows = member.periods()
    assert [row.number for row in rows] == list(range(7))
    assert [row.ends_at for row in rows[:-1]] == [row.starts_at for row in rows[1:]]
    assert [left for _, _, left, _ in member.grants()] == [0] * 6 + [100]
    assert_ledger_sound(alone)


def test_two_schedulers_grant_a_month_once(alone: Flask) -> None:
    members = [make_member(alone) for _ in range(5)]
    for member in members:
        take_free(member)
    with alone.app_context(), unit_of_work() as session:
        ledger.advance_clock(session, by=timedelta(days=40))
    at_once([partial(grant_now, alone)] * 3)
    while grant_now(alone):
        pass
    assert [len(member.grants()) for member in members] == [2] * 5


def test_leaving_the_free_plan_and_coming_back_grants_no_month_twice(alone: Flask) -> None:
    member = make_member(alone)
    take_free(member)
    story = Story(member, now_of(alone))
    story.pay("pro", story.started_at)
    story.tell()
    assert member.stretches()[0].ends_at is not None
    with pytest.raises(HasBetterPlan):
        take_free(member)
    story.status, story.ended_at = "canceled", now_of(alone)
    story.tell()
    take_free(member)
    story.tell()  # an event of the old subscription that comes late ends nothing
    assert [grant for grant in member.grants() if grant[0] == "plan"] == [("plan", 100, 100, 0)]
    assert member.stretches()[0].ends_at is None
    advance(alone, timedelta(days=31))
    assert [amount for source, amount, _, _ in member.grants() if source == "plan"] == [100, 100]


# ---------------------------------------------------------------- monthly, by invoices


def test_each_paid_invoice_grants_its_month_and_carries_over_what_was_left(member: Member) -> None:
    start = add_months(now_of(member.app) - 2 * DAY, -2)
    story = Story(member, start)
    for month in range(3):
        story.pay("pro", add_months(start, month))
    story.tell()
    assert member.grants() == [
        ("subscription", 1000, 0, 1200),
        ("rollover", 1000, 0, 1200),
        ("subscription", 1000, 0, 1200),
        ("rollover", 1000, 1000, 1200),
        ("subscription", 1000, 1000, 1200),
    ]
    (stretch,) = member.stretches()
    assert [row.number for row in member.periods()] == [0, 1, 2]
    assert (stretch.kind, stretch.next_at) == ("monthly", None)
    assert_ledger_sound(member.app)


@pytest.mark.parametrize("reason", ["subscription_update", "manual", "subscription_threshold"])
def test_no_other_invoice_grants_a_month(member: Member, reason: str) -> None:
    start = now_of(member.app) - DAY
    story = Story(member, start)
    story.pay("pro", start)
    until = add_months(start, 1)
    story.change("pro", "pro", start + DAY / 2, until, back=600, rest=600)
    story.invoices[-1] = _with_reason(story.invoices[-1], reason)
    story.tell()
    assert member.grants() == [("subscription", 1000, 1000, 1200)]


def test_what_is_unpaid_grants_nothing_until_it_is_paid(member: Member) -> None:
    start = add_months(now_of(member.app) - 3 * DAY, -1)
    story = Story(member, start)
    story.pay("pro", start)
    open_invoice = story.pay("pro", add_months(start, 1), status="open")
    story.status = "past_due"
    story.tell()
    assert member.grants() == [("subscription", 1000, 0, 1200)]
    assert not member.subscribes()
    paid_at = (now_of(member.app) - DAY).replace(microsecond=0)
    story.invoices[-1] = paid_late(open_invoice, paid_at)
    story.status = "active"
    story.tell()
    assert [grant[:3] for grant in member.grants()] == [
        ("subscription", 1000, 0),
        ("rollover", 1000, 1000),
        ("subscription", 1000, 1000),
    ]
    assert member.subscribes()
    entries = member.do(lambda s: ledger.entries(s, account_id=member.account_id, kinds=["grant"]).entries)
    assert paid_at in [entry.occurred_at for entry in entries], "late money counts from when it came"


def test_an_order_at_no_cost_grants_like_any_other(member: Member) -> None:
    story = Story(member, now_of(member.app) - DAY)
    story.pay("pro", story.started_at, amount=0)
    story.tell()
    assert member.grants() == [("subscription", 1000, 1000, 0)]


def test_the_end_of_a_subscription_takes_nothing_away(member: Member) -> None:
    story = Story(member, now_of(member.app) - 3 * DAY)
    story.pay("pro", story.started_at)
    story.tell()
    story.status, story.ended_at = "canceled", now_of(member.app) - DAY
    story.tell()
    assert member.grants() == [("subscription", 1000, 1000, 1200)]
    assert member.stretches()[0].ends_at == story.ended_at


def test_invoices_heard_of_in_any_order_end_alike(plans: Flask) -> None:
    start = add_months(now_of(plans) - 2 * DAY, -3)
    expected = None
    for order in list(permutations(range(4)))[::4]:
        member = make_member(plans)
        story = Story(member, start)
        for month in range(4):
            story.pay("pro", add_months(start, month))
        for known in range(1, 5):
            told = [story.invoices[place] for place in order[:known]]
            story.tell(told)
            story.tell(told)
        found = (
            sorted(member.grants()),
            [(row.starts_at, row.credits, row.rolled_into is None) for row in member.periods()],
        )
        expected = expected or found
        assert found == expected, order
    assert_ledger_sound(plans)


def test_a_year_of_a_subscription_told_at_random_and_at_once_ends_alike(plans: Flask) -> None:
    """Renewals, a failed payment that was made good, an upgrade and the end."""
    chance = random.Random(7)
    start = add_months(now_of(plans) - 2 * DAY, -11)

    def tell(member: Member, shuffled: bool) -> Any:
        story = Story(member, start)
        for month in range(5):
            story.pay("pro", add_months(start, month))
        story.change("pro", "studio", add_months(start, 4) + 10 * DAY, add_months(start, 5), back=800, rest=3200)
        for month in range(5, 12):
            late = add_months(start, month) + (4 * DAY if month == 8 else timedelta(0))
            story.pay("studio", add_months(start, month), amount=4900, paid_at=late)
        tellings = [story.invoices[: chance.randint(1, 13)] for _ in range(12)] if shuffled else []
        at_once([partial(story.tell, told) for told in tellings[:4]]) if shuffled else None
        for told in tellings[4:]:
            story.tell(told)
        story.status, story.ended_at = "canceled", add_months(start, 12) - DAY * 20
        story.tell()
        story.tell()
        return (
            sorted(member.grants()),
            [(row.number, row.starts_at, row.credits, row.cost_minor) for row in member.periods()],
            [(one.plan, one.starts_at, one.ends_at) for one in member.stretches()],
        )

    expected = tell(make_member(plans), shuffled=False)
    for _ in range(6):
        assert tell(make_member(plans), shuffled=True) == expected
    assert_ledger_sound(plans)


# ---------------------------------------------------------------- changes


def test_an_upgrade_grants_the_difference_for_the_rest_of_the_period_once(member: Member) -> None:
    start = now_of(member.app).replace(microsecond=0) - 10 * DAY
    until = add_months(start, 1)
    story = Story(member, start)
    story.pay("pro", start)
    moment = start + (until - start) / 4
    story.change("pro", "studio", moment, until, back=900, rest=3675)
    for _ in range(3):
        story.tell()
    assert member.grants() == [("subscription", 1000, 1000, 1200), ("subscription", 3000, 3000, 2775)]
    assert [(one.plan, one.ends_at) for one in member.stretches()] == [("pro", moment), ("studio", None)]
    story.pay("studio", until, amount=4900)
    assert [row.credits for row in member.periods()] == [1000, 3000]


def test_after_an_upgrade_both_remainders_are_carried_over(member: Member) -> None:
    start = add_months(now_of(member.app).replace(microsecond=0) - 2 * DAY, -1)
    until = add_months(start, 1)
    story = Story(member, start)
    story.pay("pro", start)
    story.change("pro", "studio", start + (until - start) / 2, until, back=600, rest=2450)
    story.pay("studio", until, amount=4900)
    story.tell()
    assert [(source, amount) for source, amount, left, _ in member.grants() if left] == [
        ("rollover", 1000),
        ("rollover", 1000),
        ("subscription", 5000),
    ]


def test_a_downgrade_at_the_period_s_end_takes_no_credits(member: Member) -> None:
    start = add_months(now_of(member.app).replace(microsecond=0) - 2 * DAY, -1)
    story = Story(member, start)
    story.pay("studio", start, amount=4900)
    story.pay("pro", add_months(start, 1))
    story.tell()
    assert [(one.plan, one.anchor_at) for one in member.stretches()] == [("studio", start), ("pro", start)]
    assert [row.credits for row in member.periods()] == [5000, 1000]


def test_from_monthly_to_yearly_what_was_paid_back_in_money_is_not_granted_twice(member: Member) -> None:
    start = now_of(member.app).replace(microsecond=0) - 20 * DAY
    until = add_months(start, 1)
    story = Story(member, start)
    story.pay("pro", start)
    moment = start + (until - start) / 2
    story.pay("pro-yearly", moment, amount=12000, reason="subscription_update")
    story.tell()
    assert [(row.credits, row.cost_minor) for row in member.periods()] == [(1000, 1200), (500, 1000)]
    yearly = member.stretches()[-1]
    assert (yearly.kind, yearly.paid_periods, yearly.next_period) == ("yearly", 12, 1)
    assert yearly.next_at == add_months(moment, 1)


# ---------------------------------------------------------------- yearly, trial


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
    story.invoices[0] = _with_line(story.invoices[0], _until(line, start + 14 * DAY))
    story.tell()
    assert [row.credits for row in member.periods()] == [50]
    story.status = "active"
    story.pay("trying", start + 14 * DAY, amount=4900)
    story.tell()
    assert [(row.credits, row.cost_minor) for row in member.periods()] == [(50, 0), (5000, 4900)]
    assert [one.trial for one in member.stretches()] == [True, False]


# ---------------------------------------------------------------- terms


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


def _with_reason(invoice: Any, reason: str) -> Any:
    from dataclasses import replace

    return replace(invoice, billing_reason=reason)


def _with_line(invoice: Any, line: Any) -> Any:
    from dataclasses import replace

    return replace(invoice, lines=(line,))


def _until(line: Any, ends_at: Any) -> Any:
    from dataclasses import replace

    return replace(line, ends_at=ends_at)
