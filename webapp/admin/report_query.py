"""What the URL of a report asks for: which days, and money of which currency."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

from babel.dates import format_skeleton
from flask_babel import get_locale
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from webapp.billing.currency import choose_currency
from webapp.config import Settings
from webapp.i18n.formats import short_day

MONTHS_OFFERED = 13
QUARTERS_OFFERED = 5
# So many days have a line each; more are told by month.
MOST_BY_DAY = 62
MOST_DAYS = 3_660
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_QUARTER = re.compile(r"(\d{4})-Q([1-4])", re.ASCII)
_YEARS = range(1970, 3000)


@dataclass(frozen=True, kw_only=True)
class ReportQuery:
    """The days `first` to `last`, both included; `period` names them, empty when the URL gives dates."""

    first: date
    last: date
    period: str
    currency: str
    errors: Mapping[str, str]

    @property
    def until(self) -> date:
        return self.last + timedelta(days=1)

    @property
    def unit(self) -> str:
        return "day" if (self.until - self.first).days <= MOST_BY_DAY else "month"

    def query(self, **more: str) -> str:
        span = {"period": self.period} if self.period else {"from": self.first.isoformat(), "to": self.last.isoformat()}
        return urlencode({**span, "currency": self.currency, **more})


def read_query(args: MultiDict[str, str], *, today: date, settings: Settings) -> ReportQuery:
    """The query of a URL; dates come before a period, and what means nothing is an error of its field."""
    currency = args.get("currency", "").strip().upper()
    if not re.fullmatch("[A-Z]{3}", currency, re.ASCII):
        currency = choose_currency(None, settings)
    period = args.get("period", "").strip()
    errors: dict[str, str] = {}
    first, last = span_of(f"{today:%Y-%m}") or (today, today)
    named = f"{today:%Y-%m}"
    if args.get("from", "").strip() or args.get("to", "").strip():
        dates = {name: _date(args.get(name, "")) for name in ("from", "to")}
        for name, found in dates.items():
            if found is None:
                errors[name] = _("Give a date, such as 2027-01-31.")
        start, end = dates["from"], dates["to"]
        if start is not None and end is not None:
            if end < start:
                errors["to"] = _("The last day comes before the first.")
            elif (end - start).days >= MOST_DAYS:
                errors["to"] = _("This is more than ten years.")
            else:
                first, last, named = start, end, ""
    elif period:
        span = span_of(period)
        if span is None:
            errors["period"] = _("There is no such period.")
        else:
            (first, last), named = span, period
    return ReportQuery(first=first, last=last, period=named, currency=currency, errors=errors)


def span_of(period: str) -> tuple[date, date] | None:
    """The first and the last day of a month (2026-11) or a quarter (2026-Q4)."""
    month, quarter = _MONTH.fullmatch(period), _QUARTER.fullmatch(period)
    found = month or quarter
    if found is None or int(found[1]) not in _YEARS:
        return None
    year, start, months = int(found[1]), int(found[2]), 1
    if quarter:
        start, months = 3 * start - 2, 3
    end = start + months
    after = date(year + 1, 1, 1) if end > 12 else date(year, end, 1)
    return date(year, start, 1), after - timedelta(days=1)


def periods(today: date) -> Sequence[tuple[str, str]]:
    """What is offered: (value, words), the newest months and then quarters."""
    months = [_months_back(today.year, today.month, n) for n in range(MONTHS_OFFERED)]
    quarters = list(
        dict.fromkeys(
            (y, (m + 2) // 3)
            for y, m in (_months_back(today.year, today.month, n) for n in range(3 * QUARTERS_OFFERED))
        )
    )
    return [
        *((f"{y}-{m:02}", _month_name(date(y, m, 1))) for y, m in months),
        *((f"{y}-Q{q}", _quarter_name(date(y, 3 * q - 2, 1))) for y, q in quarters[:QUARTERS_OFFERED]),
    ]


def time_name(value: str) -> str:
    """A day or a month of ISO 8601 as the reader writes it; anything else as it is."""
    found = _date(value)
    if found is not None:
        return short_day(found)
    span = span_of(value)
    return value if span is None else _month_name(span[0])


def _months_back(year: int, month: int, by: int) -> tuple[int, int]:
    count = year * 12 + month - 1 - by
    return count // 12, count % 12 + 1


def _month_name(day: date) -> str:
    return str(format_skeleton("yMMMM", day, locale=get_locale()))


def _quarter_name(day: date) -> str:
    return str(format_skeleton("yQQQQ", day, locale=get_locale()))


def _date(raw: str) -> date | None:
    try:
        found = date.fromisoformat(raw.strip())
    except ValueError:
        return None
    return found if found.year in _YEARS else None
