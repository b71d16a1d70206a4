"""When a subscription's periods begin and end: counted from its anchor, so that months do not drift.

31 January + 1 month is 28 February, + 2 months is 31 March again.
https://docs.stripe.com/billing/subscriptions/billing-cycle
"""

import calendar
from datetime import UTC, datetime, timedelta
from typing import Any

SECONDS = {"day": 86_400, "week": 7 * 86_400}


def add_months(start: int, months: int) -> int:
    """The same day and time so many months later, or the month's last day where it is shorter."""
    moment = datetime.fromtimestamp(start, UTC)
    years, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + years, month + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return int(moment.replace(year=year, month=month, day=day).timestamp())


def add_intervals(start: int, recurring: dict[str, Any], count: int) -> int:
    """`start` moved by so many of a price's intervals."""
    interval, every = recurring["interval"], recurring["interval_count"] * count
    if interval in SECONDS:
        return int(start + SECONDS[interval] * every)
    return add_months(start, every * (12 if interval == "year" else 1))


def next_end(anchor: int, recurring: dict[str, Any], *, after: int) -> int:
    """The first boundary of the cycle that `anchor` sets which is later than `after`."""
    count = _guess(anchor, recurring, after)
    while add_intervals(anchor, recurring, count) <= after:
        count += 1
    while add_intervals(anchor, recurring, count - 1) > after:
        count -= 1
    return add_intervals(anchor, recurring, count)


def _guess(anchor: int, recurring: dict[str, Any], after: int) -> int:
    days = {"day": 1, "week": 7, "month": 30, "year": 365}[recurring["interval"]] * recurring["interval_count"]
    return timedelta(seconds=after - anchor) // timedelta(days=days)


def show_day(moment: int) -> str:
    """`21 Nov 2026`, as Stripe writes days into the lines of invoices."""
    return datetime.fromtimestamp(moment, UTC).strftime("%-d %b %Y")
