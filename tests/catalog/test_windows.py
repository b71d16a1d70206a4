"""Hours, days and months of a time zone."""

from datetime import UTC, datetime, timedelta

import pytest

from webapp.catalog.windows import Window, window_at

NOON = datetime(2031, 3, 15, 12, 34, 56, 789, tzinfo=UTC)


def bounds(window: Window) -> tuple[str, str]:
    return f"{window.starts_at:%Y-%m-%d %H:%M:%S}", f"{window.ends_at:%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("per", "zone", "expected"),
    [
        ("hour", "UTC", ("2031-03-15 12:00:00", "2031-03-15 13:00:00")),
        ("hour", "Asia/Kolkata", ("2031-03-15 12:30:00", "2031-03-15 13:30:00")),
        ("day", "UTC", ("2031-03-15 00:00:00", "2031-03-16 00:00:00")),
        ("day", "Asia/Kolkata", ("2031-03-14 18:30:00", "2031-03-15 18:30:00")),
        ("month", "UTC", ("2031-03-01 00:00:00", "2031-04-01 00:00:00")),
        ("month", "America/New_York", ("2031-03-01 05:00:00", "2031-04-01 04:00:00")),
    ],
)
def test_a_window_is_that_of_the_calendar_there(per: str, zone: str, expected: tuple[str, str]) -> None:
    assert bounds(window_at(per, NOON, zone)) == expected


@pytest.mark.parametrize("per", ["hour", "day", "month"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York", "Africa/Cairo", "Pacific/Apia"])
def test_windows_follow_each_other_without_a_gap_whatever_clocks_do(per: str, zone: str) -> None:
    moment = datetime(2031, 1, 1, tzinfo=UTC)
    window = window_at(per, moment, zone)
    for _ in range(400 if per != "month" else 14):
        assert window.starts_at <= moment < window.ends_at
        assert window_at(per, window.ends_at - timedelta(microseconds=1), zone) == window
        following = window_at(per, window.ends_at, zone)
        assert following.starts_at == window.ends_at
        window, moment = following, following.starts_at + (following.ends_at - following.starts_at) / 2
