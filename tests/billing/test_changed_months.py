"""Other plans in the middle of a period: what is granted for the rest of it."""

from tests.billing.entitled import DAY
from tests.billing.plans import (
    Member,
    Story,
    now_of,
)
from webapp.catalog.validity import add_months


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
