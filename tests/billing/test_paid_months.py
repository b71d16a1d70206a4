"""Plans paid by the month: one grant for each paid invoice, in whatever order it is heard of."""

import random
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import permutations
from typing import Any

import pytest
from flask import Flask

from tests.billing.entitled import DAY
from tests.billing.plans import (
    Member,
    Story,
    assert_ledger_sound,
    make_member,
    now_of,
    paid_late,
)
from tests.billing.shop import at_once
from webapp import ledger
from webapp.catalog.validity import add_months


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
    story.invoices[-1] = replace(story.invoices[-1], billing_reason=reason)
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
