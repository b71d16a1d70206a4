"""Numbers, money and times as the reader writes them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache, wraps
from typing import Any, Literal

from babel import Locale, dates, numbers
from flask import Flask, current_app, g
from flask_babel import get_locale, get_timezone
from jinja2 import pass_context
from jinja2.runtime import Context

from webapp import clock as python_clock
from webapp.minor_units import amount_of, decimals_of, spaced, with_decimals, written

MINUS = "−"
_COMPACT_FROM = 1_000_000
# To write a number, money or a day takes Babel some twenty microseconds, and a page has a hundred of them, most of them
# again and again: so many of each kind are kept.
_KEPT = 10_000
# Without the proxy before it, which costs more than the question.
_of_context = g._get_current_object


def register(app: Flask) -> None:
    """Give templates the filters of this file."""
    filters = (credits_number, compact, signed, money, price, per_credit, percent)
    times = (day, short_day, weekday, moment, precise, clock, relative, iso)
    for function in (*filters, *times):
        app.jinja_env.filters[function.__name__] = _for_each_reader(function)


def _for_each_reader(function: Callable[..., str]) -> Callable[..., str]:
    """The filter, asked anew at each rendering: of a constant Jinja would ask once, in the first reader's language."""

    @pass_context
    @wraps(function)
    def formatted(_context: Context, *args: Any, **kwargs: Any) -> str:
        return function(*args, **kwargs)

    return formatted


def _locale() -> Locale:
    try:  # where Flask-Babel keeps it once it is known; to ask for it costs more than most of what is written here
        known: Locale | None = _of_context()._flask_babel.babel_locale
    except (AttributeError, RuntimeError):
        known = None
    if known is not None:
        return known
    locale = get_locale()
    return locale if locale is not None else Locale.parse(current_app.config["BABEL_DEFAULT_LOCALE"])


def credits_number(value: int) -> str:
    """A whole number, grouped: 2,480. The sign of a negative one is a minus, not a hyphen."""
    text = _grouped(abs(value), _locale())
    return MINUS + text if value < 0 else text


@lru_cache(maxsize=_KEPT)
def _grouped(value: int, locale: Locale) -> str:
    return numbers.format_decimal(value, locale=locale)


def compact(value: int) -> str:
    """A whole number for a drawing: exact below a million, 1.2M above."""
    if abs(value) < _COMPACT_FROM:
        return credits_number(value)
    return numbers.format_compact_decimal(value, locale=_locale(), fraction_digits=1)


def signed(value: int) -> str:
    """A change of credits: +24 or −140."""
    return credits_number(value) if value <= 0 else "+" + credits_number(value)


def money(minor: int, currency: str) -> str:
    """Minor units as money, with the currency's own number of decimals: €9.00, ¥1,500, KWD 1.234."""
    return _money(minor, currency, _locale())


@lru_cache(maxsize=_KEPT)
def _money(minor: int, currency: str, locale: Locale) -> str:
    return written(minor, currency, locale)


def price(minor: int, currency: str) -> str:
    """Money for a price tag: as `money`, without decimals where they would be zeros: €9."""
    return _price(minor, currency, _locale())


@lru_cache(maxsize=_KEPT)
def _price(minor: int, currency: str, locale: Locale) -> str:
    amount = amount_of(minor, currency)
    if amount != amount.to_integral_value():
        return _money(minor, currency, locale)
    pattern = locale.currency_formats["standard"].pattern.replace("0.00", "0")
    return spaced(numbers.format_currency(amount, currency, format=pattern, locale=locale, currency_digits=False))


def per_credit(minor: int, credits: int, currency: str) -> str:
    """The price of one credit, to two digits more than the currency has: €0.0180."""
    return _per_credit(minor, credits, currency, _locale())


@lru_cache(maxsize=_KEPT)
def _per_credit(minor: int, credits: int, currency: str, locale: Locale) -> str:
    digits = decimals_of(currency) + 2
    amount = (amount_of(minor, currency) / credits).quantize(Decimal(1).scaleb(-digits))
    fine = with_decimals(locale.currency_formats["standard"].pattern, digits)
    return spaced(numbers.format_currency(amount, currency, format=fine, locale=locale, currency_digits=False))


def percent(share: float) -> str:
    """0.19 as 19 %."""
    return numbers.format_percent(share, locale=_locale())


def _local(value: datetime) -> datetime:
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(get_timezone())


def day(value: datetime | date) -> str:
    """3 March 2027."""
    return _of_day(_date(value), "long", _locale())


def short_day(value: datetime | date) -> str:
    """3 Mar, for drawings; with the year when it is not this one's."""
    local = _date(value)
    skeleton = "MMMd" if abs((local - _date(python_clock.now())).days) < 300 else "yMMMd"
    return _by_skeleton(local, skeleton, _locale())


@lru_cache(maxsize=_KEPT)
def _by_skeleton(value: date, skeleton: str, locale: Locale) -> str:
    return dates.format_skeleton(skeleton, datetime(value.year, value.month, value.day), locale=locale)  # noqa: DTZ001


def weekday(value: datetime | date) -> str:
    """Saturday, 21 November 2026."""
    return _of_day(_date(value), "full", _locale())


@lru_cache(maxsize=_KEPT)
def _of_day(value: date, length: Literal["long", "full"], locale: Locale) -> str:
    return dates.format_date(value, length, locale=locale)


def moment(value: datetime) -> str:
    """21 Nov 2026, 14:32; without the year when it is near."""
    joined = str(_locale().datetime_formats["medium"])
    return joined.replace("'", "").replace("{1}", short_day(value)).replace("{0}", clock(value))


def precise(value: datetime) -> str:
    """21 November 2026, 14:32:09 CET."""
    return dates.format_datetime(_local(value), "long", tzinfo=get_timezone(), locale=_locale())


def clock(value: datetime) -> str:
    """14:32."""
    local = _local(value)
    return _time_of_day(local.hour, local.minute, _locale())


@lru_cache(maxsize=_KEPT)
def _time_of_day(hour: int, minute: int, locale: Locale) -> str:
    return dates.format_time(time(hour, minute), "short", locale=locale)


def relative(value: datetime) -> str:
    """3 hours ago, in 2 days."""
    return dates.format_timedelta(value - python_clock.now(), add_direction=True, locale=_locale())


def iso(value: datetime | date) -> str:
    """For <time datetime>: RFC 3339 in UTC, or the date."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat()


def _date(value: datetime | date) -> date:
    return _local(value).date() if isinstance(value, datetime) else value
