"""The free plan: a grant each month, whoever makes it, and no month twice."""

from datetime import timedelta
from functools import partial

import pytest
from flask import Flask

from tests.billing.entitled import take_free
from tests.billing.plans import (
    Member,
    Story,
    advance,
    assert_ledger_sound,
    grant_now,
    make_member,
    now_of,
)
from tests.billing.shop import at_once
from webapp import ledger
from webapp.billing.free_plan import HasBetterPlan
from webapp.catalog.validity import add_months
from webapp.database import unit_of_work


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


def test_months_that_fell_due_before_the_free_plan_was_left_are_granted_when_it_is_resumed(alone: Flask) -> None:
    member = make_member(alone)
    take_free(member)
    pass_without_jobs(alone, timedelta(days=70))
    story = Story(member, now_of(alone))
    story.pay("pro", story.started_at)
    story.tell()
    story.status, story.ended_at = "canceled", now_of(alone)
    story.tell()
    pass_without_jobs(alone, timedelta(days=95))
    take_free(member)
    (stretch,) = [one for one in member.stretches() if one.kind == "free"]
    numbers = [row.number for row in member.periods() if row.entitlement_id == stretch.id]
    assert numbers == [0, 1, 2, 5], "1 and 2 fell due before it was left, 3 and 4 are not made up for"
    assert stretch.next_period == 6
    assert_ledger_sound(alone)


def pass_without_jobs(app: Flask, by: timedelta) -> None:
    with app.app_context(), unit_of_work() as session:
        ledger.advance_clock(session, by=by)
