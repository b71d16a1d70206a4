"""ledger.usage: what was spent, by feature and stretch of time."""

import random
from collections import defaultdict
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.credits.member import Member
from webapp import clock, ledger
from webapp.database import retried


def days_back(*numbers: int) -> list[datetime]:
    return [clock.now() - timedelta(days=number) for number in numbers]


def read(member: Member, bounds: list[datetime]) -> dict[tuple[int, str | None], tuple[int, int, int]]:
    rows = member.write(ledger.usage, bounds=bounds)
    return {(row.stretch, row.feature): (row.spent, row.refunded, row.spends) for row in rows}


def test_spends_are_added_up_by_feature_between_two_bounds(member: Member) -> None:
    member.grant(1000)
    member.spend(5, feature="image", occurred_at=clock.now() - timedelta(days=3))
    member.spend(7, feature="image", occurred_at=clock.now() - timedelta(days=3, minutes=1))
    member.spend(2, feature="export", occurred_at=clock.now() - timedelta(days=3))
    member.spend(1, description="By hand", occurred_at=clock.now() - timedelta(days=1))
    member.spend(100, feature="image", occurred_at=clock.now() - timedelta(days=9))
    assert read(member, days_back(4, 2, 0)) == {
        (0, "image"): (12, 0, 2),
        (0, "export"): (2, 0, 1),
        (1, None): (1, 0, 1),
    }


def test_bounds_belong_to_the_stretch_that_they_begin(member: Member) -> None:
    member.grant(100)
    noon = (clock.now() - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
    member.spend(5, feature="image", occurred_at=noon)
    hour = timedelta(hours=1)
    assert list(read(member, [noon - hour, noon, noon + hour])) == [(1, "image")]
    assert read(member, [noon - 2 * hour, noon - hour, noon]) == {}


def test_a_refund_counts_where_its_spend_does(member: Member) -> None:
    member.grant(100)
    late = member.spend(10, feature="image", occurred_at=clock.now() - timedelta(days=5))
    now = member.spend(10, feature="image")
    for entry, amount in ((late, 4), (late, 1), (now, 10)):
        member.write(ledger.refund_spend, seq=entry.seq, amount=amount, actor="api:test", reason="It failed")
    bounds = [*days_back(6, 1), clock.now() + timedelta(hours=1)]
    assert read(member, bounds) == {(0, "image"): (10, 5, 1), (1, "image"): (10, 10, 1)}
    assert read(member, days_back(4, 1)) == {}


def test_a_captured_hold_is_a_spend_and_an_open_one_is_not(member: Member) -> None:
    member.grant(100)
    first = member.write(ledger.place_hold, amount=20, feature="image", actor="api", idempotency_key="a")
    member.write(ledger.place_hold, amount=30, feature="image", actor="api", idempotency_key="b")
    member.write(ledger.capture_hold, number=first.hold.number, amount=15, actor="api", idempotency_key="c")
    bounds = [*days_back(1), clock.now() + timedelta(hours=1)]
    assert read(member, bounds) == {(0, "image"): (15, 0, 1)}


def test_grants_expiries_and_other_accounts_are_no_usage(member: Member) -> None:
    member.grant(100)
    other = Member(member.app)
    other.grant(100)
    other.spend(9, feature="image")
    assert read(member, [*days_back(1), clock.now() + timedelta(hours=1)]) == {}


def test_more_than_can_be_added_up_is_refused_before_it_is_read(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.ledger.usages.MOST_ENTRIES", 3)
    member.grant(100)
    member.spend(1, feature="image")
    bounds = [*days_back(3), clock.now() + timedelta(hours=1)]
    assert read(member, bounds)
    member.spend(1, feature="image", occurred_at=clock.now() - timedelta(days=2))
    with pytest.raises(ledger.TooMuchUsage):
        read(member, bounds)


@pytest.mark.parametrize("seed", range(4))
def test_sums_of_hours_say_what_the_entries_do(fresh_app: Flask, seed: int) -> None:
    """Bounds on and off the hour, spends booked late, refunds on both sides of the mark, and marks at any time."""
    chance = random.Random(seed)
    member, end = Member(fresh_app), clock.now() + timedelta(hours=1)
    member.grant(100_000)
    spends: list[tuple[ledger.Entry, int]] = []
    for _ in range(60):
        step = chance.random()
        if step < 0.6 or not spends:
            late = timedelta(minutes=chance.choice([0, 20, 45, 60, 170, 1440]))
            feature = chance.choice(["image", "export", None])
            spends.append((member.spend(chance.randint(1, 9), feature=feature, occurred_at=clock.now() - late), 0))
        elif step < 0.85:
            entry, back = spends.pop(chance.randrange(len(spends)))
            if back < -entry.amount:
                member.write(ledger.refund_spend, seq=entry.seq, amount=1, actor="api:test", reason="It failed")
                back += 1
            spends.append((entry, back))
        else:
            with fresh_app.app_context():
                retried(lambda session: ledger.sum_usage(session, least=1, accounts=5, entries=chance.choice([3, 99])))
    hour = end.replace(minute=0, second=0, microsecond=0)
    for bounds in (
        [hour - timedelta(hours=48), hour - timedelta(hours=3), hour - timedelta(hours=1), end],
        [end - timedelta(hours=30), end - timedelta(minutes=100), end - timedelta(minutes=65), end],
    ):
        told: dict[tuple[int, str | None], list[int]] = defaultdict(lambda: [0, 0, 0])
        for entry, back in spends:
            stretch = sum(bound <= entry.occurred_at for bound in bounds) - 1
            if 0 <= stretch < len(bounds) - 1:
                sums = told[stretch, entry.feature]
                sums[0], sums[1], sums[2] = sums[0] - entry.amount, sums[1] + back, sums[2] + 1
        assert read(member, bounds) == {key: tuple(sums) for key, sums in told.items()}


def test_a_feature_that_no_index_could_hold_is_refused(member: Member) -> None:
    member.grant(100)
    assert member.spend(1, feature="ß" * 500).feature == "ß" * 500
    with pytest.raises(ledger.InvalidRequest, match="500"):
        member.spend(1, feature="f" * 501)


def test_spends_are_read_from_the_index_alone(session: Session) -> None:
    """The covering index is what makes a busy account's page quick: it has to hold all that is added up."""
    shape = session.execute(
        text("SELECT indexdef FROM pg_indexes WHERE schemaname = 'ledger' AND indexname = 'entries_usage_idx'")
    ).scalar_one()
    assert "(account_id, occurred_at) INCLUDE (feature, amount)" in shape
