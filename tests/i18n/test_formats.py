"""Numbers, money and times as the reader writes them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime

import pytest
from flask import Flask

from webapp.i18n import formats
from webapp.i18n.locale import use_locale

Speak = Callable[[str], AbstractContextManager[None]]
MOMENT = datetime(2026, 11, 21, 14, 32, 9, tzinfo=UTC)


@pytest.fixture
def speaking(app: Flask) -> Speak:
    @contextmanager
    def speak(tag: str) -> Iterator[None]:
        with app.app_context(), use_locale(tag):
            yield

    return speak


def plain(text: str) -> str:
    return text.replace("\xa0", " ").replace("\u202f", " ").replace("\u200f", "").replace("\u200e", "")


@pytest.mark.parametrize(
    ("tag", "value", "expected"),
    [
        ("en", 2480, "2,480"),
        ("de", 2480, "2.480"),
        ("en", -5, "−5"),
        ("en", 10**15, "1,000,000,000,000,000"),
        ("de", 0, "0"),
    ],
)
def test_credits_are_grouped(speaking: Speak, tag: str, value: int, expected: str) -> None:
    with speaking(tag):
        assert formats.credits_number(value) == expected


def test_changes_carry_a_sign_that_is_not_a_hyphen(speaking: Speak) -> None:
    with speaking("en"):
        assert [formats.signed(n) for n in (24, -1400, 0)] == ["+24", "−1,400", "0"]


@pytest.mark.parametrize(
    ("tag", "minor", "currency", "expected"),
    [
        ("en", 900, "EUR", "€9.00"),
        ("de", 123456, "EUR", "1.234,56 €"),
        ("en", 1400, "JPY", "¥1,400"),
        ("de", 1400, "JPY", "1.400 ¥"),
        ("en", 1234, "KWD", "KWD 1.234"),
        ("en", -50, "USD", "-$0.50"),
        ("en", 5, "USD", "$0.05"),
        ("ar", 900, "EUR", "9.00 €"),
        ("en", 100_000, "RSD", "RSD 1,000"),  # in hundredths to Stripe, without coins to people
        ("en", 100_050, "RSD", "RSD 1,000.50"),
        ("de", 50_000, "ISK", "500 ISK"),
    ],
)
def test_money_has_the_decimals_of_its_currency(
    speaking: Speak, tag: str, minor: int, currency: str, expected: str
) -> None:
    with speaking(tag):
        assert plain(formats.money(minor, currency)) == expected


@pytest.mark.parametrize(
    ("tag", "minor", "currency", "expected"),
    [("en", 900, "EUR", "€9"), ("de", 900, "EUR", "9 €"), ("en", 950, "EUR", "€9.50"), ("en", 1400, "JPY", "¥1,400")],
)
def test_price_tags_leave_out_zeros(speaking: Speak, tag: str, minor: int, currency: str, expected: str) -> None:
    with speaking(tag):
        assert plain(formats.price(minor, currency)) == expected


@pytest.mark.parametrize(
    ("tag", "currency", "expected"), [("en", "EUR", "€0.0180"), ("de", "EUR", "0,0180 €"), ("en", "JPY", "¥1.80")]
)
def test_price_per_credit_is_two_digits_finer(speaking: Speak, tag: str, currency: str, expected: str) -> None:
    with speaking(tag):
        assert plain(formats.per_credit(900, 500, currency)) == expected


@pytest.mark.parametrize(
    ("tag", "expected"), [("en", "November 21, 2026"), ("de", "21. November 2026"), ("ar", "21 نوفمبر 2026")]
)
def test_days_are_written_out(speaking: Speak, tag: str, expected: str) -> None:
    with speaking(tag):
        assert plain(formats.day(MOMENT)) == expected
        assert plain(formats.day(date(2026, 11, 21))) == expected


def test_machines_read_utc(speaking: Speak) -> None:
    with speaking("ar"):
        assert formats.iso(MOMENT) == "2026-11-21T14:32:09Z"
        assert formats.iso(date(2026, 11, 21)) == "2026-11-21"


def test_times_are_in_the_readers_zone(app: Flask) -> None:
    with app.test_request_context("/"):
        from flask import g

        g.user_not_loadable = True
        assert plain(formats.clock(MOMENT)) == "2:32 PM"
        assert "14:32" in formats.precise(MOMENT) or "2:32:09" in formats.precise(MOMENT)


def test_big_numbers_on_drawings_are_short(speaking: Speak) -> None:
    with speaking("en"):
        assert [formats.compact(n) for n in (999_999, 1_200_000, 10**15)] == ["999,999", "1.2M", "1000T"]


def test_a_constant_in_a_template_is_written_for_each_reader(app: Flask) -> None:
    with app.app_context():
        with use_locale("de"):
            template = app.jinja_env.from_string("{{ 10000|credits_number }}")
            assert template.render() == "10.000"
        with use_locale("en"):
            assert template.render() == "10,000"
