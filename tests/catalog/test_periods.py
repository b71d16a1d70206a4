"""Months from an anchor: no drift, no gap, no overlap, in any zone."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.catalog.periods import months_between, period, period_of, period_start, share_left

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe")
zones = st.sampled_from(ZONES)
anchors = st.datetimes(min_value=datetime(2023, 1, 1), max_value=datetime(2032, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def in_zone(zone: str, *parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold)


def days(anchor: datetime, zone: str, count: int) -> list[str]:
    return [f"{period_start(anchor, n, zone).astimezone(ZoneInfo(zone)):%m-%d}" for n in range(count)]


def test_months_are_counted_from_the_anchor_and_do_not_drift() -> None:
    assert days(in_zone("UTC", 2027, 1, 31), "UTC", 4) == ["01-31", "02-28", "03-31", "04-30"]
    assert days(in_zone("UTC", 2027, 1, 30), "UTC", 3) == ["01-30", "02-28", "03-30"]
    assert days(in_zone("UTC", 2028, 1, 30), "UTC", 3) == ["01-30", "02-29", "03-30"]


def test_a_29_february_comes_back_after_four_years() -> None:
    anchor = in_zone("Europe/Berlin", 2028, 2, 29, 8)
    assert days(anchor, "Europe/Berlin", 49)[12::12] == ["02-28", "02-28", "02-28", "02-29"]


def test_the_day_is_the_zones_own() -> None:
    anchor = datetime(2027, 1, 31, 23, 30, tzinfo=UTC)  # 1 February in Berlin
    assert days(anchor, "Europe/Berlin", 3) == ["02-01", "03-01", "04-01"]
    assert days(anchor, "UTC", 3) == ["01-31", "02-28", "03-31"]


def test_the_time_of_day_stays_when_clocks_change() -> None:
    anchor = in_zone("Europe/Berlin", 2027, 3, 10, 9)
    starts = [period_start(anchor, n, "Europe/Berlin") for n in range(3)]
    assert [start.hour for start in starts] == [8, 7, 7]


def test_a_skipped_time_is_moved_forward() -> None:
    anchor = in_zone("Europe/Berlin", 2027, 2, 28, 2, 30)  # 28 March 2027: 02:00 becomes 03:00
    assert period_start(anchor, 1, "Europe/Berlin") == in_zone("Europe/Berlin", 2027, 3, 28, 3, 30)


def test_of_a_time_that_comes_twice_the_first_is_meant() -> None:
    anchor = in_zone("Europe/Berlin", 2027, 9, 30, 2, 30)  # 31 October 2027: 03:00 becomes 02:00
    one_later = in_zone("Europe/Berlin", 2027, 8, 31, 2, 30)
    assert period_start(one_later, 2, "Europe/Berlin") == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert period_start(anchor, 1, "Europe/Berlin").day == 30


def test_period_0_begins_at_the_anchor_even_in_a_repeated_hour() -> None:
    anchor = in_zone("Europe/Berlin", 2027, 10, 31, 2, 30, fold=1)
    assert period_start(anchor, 0, "Europe/Berlin") == datetime(2027, 10, 31, 1, 30, tzinfo=UTC)


@given(anchor=anchors, zone=zones, number=st.integers(-24, 60))
def test_periods_follow_each_other_without_gap_or_overlap(anchor: datetime, zone: str, number: int) -> None:
    one, next_one = period(anchor, number, zone), period(anchor, number + 1, zone)
    assert one.ends_at == next_one.starts_at
    assert timedelta(days=27) < one.ends_at - one.starts_at < timedelta(days=32, hours=2)


@given(anchor=anchors, zone=zones, number=st.integers(1, 60))
def test_each_start_is_the_anchors_day_or_the_months_last(anchor: datetime, zone: str, number: int) -> None:
    local = anchor.astimezone(ZoneInfo(zone))
    start = period_start(anchor, number, zone).astimezone(ZoneInfo(zone))
    assert (start.year - local.year) * 12 + start.month - local.month == number
    assert start.day == min(local.day, monthrange(start.year, start.month)[1])


@given(anchor=anchors, zone=zones, ahead=st.timedeltas(timedelta(days=-700), timedelta(days=2000)))
def test_every_moment_lies_in_the_period_that_is_found_for_it(anchor: datetime, zone: str, ahead: timedelta) -> None:
    found = period_of(anchor, anchor + ahead, zone)
    assert found.starts_at <= anchor + ahead < found.ends_at
    assert found == period(anchor, found.number, zone)


@given(anchor=anchors, zone=zones, number=st.integers(0, 240))
def test_months_are_counted_right_however_the_ends_of_months_are_clamped(
    anchor: datetime, zone: str, number: int
) -> None:
    assert months_between(anchor, period_start(anchor, number, zone)) == number
    assert months_between(anchor, period_start(anchor, number, zone) - timedelta(days=1)) == number or number == 0


@given(credits=st.integers(0, 10**15), left=st.integers(0, 31 * 86_400))
def test_a_share_is_between_nothing_and_all(credits: int, left: int) -> None:
    starts_at = datetime(2027, 1, 1, tzinfo=UTC)
    ends_at = datetime(2027, 2, 1, tzinfo=UTC)
    share = share_left(credits=credits, starts_at=starts_at, ends_at=ends_at, moment=ends_at - timedelta(seconds=left))
    assert 0 <= share <= credits
    assert abs(share * 31 * 86_400 - credits * left) <= 31 * 86_400 // 2


@pytest.mark.parametrize(("moment", "share"), [(1, 1000), (16, 516), (31, 32)])
def test_the_share_that_is_left_is_rounded_half_up(moment: int, share: int) -> None:
    starts_at, ends_at = datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
    now = datetime(2027, 1, moment, tzinfo=UTC)
    assert share_left(credits=1000, starts_at=starts_at, ends_at=ends_at, moment=now) == share
