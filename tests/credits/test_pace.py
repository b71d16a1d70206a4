"""How long credits last at a pace, when some of them expire on the way."""

from datetime import UTC, datetime, timedelta

import pytest

from webapp.credits.pace import Lot, Pace

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def pace(per_day: float) -> Pace:
    return Pace(days=[], spent=0, per_day=per_day, whole=True)


def on(days: float) -> datetime:
    return NOW + timedelta(days=days)


@pytest.mark.parametrize(
    ("lots", "days"),
    [
        ([(100, None)], 10),
        ([(100, on(30)), (50, None)], 15),
        ([(100, on(4))], 4),  # 60 of them expire
        ([(100, on(4)), (50, None)], 9),  # and what never expires is begun then
        ([(100, on(4)), (50, on(4)), (30, on(20))], 7),  # the second has no turn at all
        ([(100, on(4)), (50, on(3))], 4),
    ],
)
def test_credits_last_until_they_are_spent_or_expired(lots: list[Lot], days: float) -> None:
    assert pace(10).lasts_until(lots, now=NOW) == on(days)


@pytest.mark.parametrize("lots", [[(100, None)], [(100, on(4))], []])
def test_who_spends_nothing_is_told_no_day(lots: list[Lot]) -> None:
    assert pace(0).lasts_until(lots, now=NOW) is None


def test_what_lasts_over_ten_years_is_told_no_day() -> None:
    assert pace(1).lasts_until([(10, on(30)), (5_000, None)], now=NOW) is None


def test_each_lot_is_late_that_expires_before_it_is_used_up() -> None:
    turns = pace(10).turns([(20, on(5)), (100, on(5)), (10, on(5)), (10, None)], now=NOW)
    assert [turn.late for turn in turns] == [False, True, True, False]
    assert [turn.begins_at for turn in turns] == [NOW, on(2), None, on(5)]
    assert [turn.ends_at for turn in turns] == [on(2), on(5), None, on(6)]


def test_nothing_is_late_for_who_spends_nothing() -> None:
    assert [turn.late for turn in pace(0).turns([(20, on(5)), (10, None)], now=NOW)] == [False, False]
