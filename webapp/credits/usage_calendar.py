"""Days, weeks and months of a time zone as stretches of time, and the time before to compare with."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from webapp.credits.usage_query import UsageQuery


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The days `first` to `last`, both included: from the moment `since` until before `until`."""

    first: date
    last: date
    since: datetime
    until: datetime


def stretches_of(asked: UsageQuery) -> list[Stretch]:
    """The days, weeks or months of the range, in order. The first and the last are cut to the range.

    Weeks begin on Monday (ISO 8601) whatever the reader's language: a link shows the same to everybody.
    """
    found = []
    first = asked.first
    while first <= asked.last:
        last = min(_end(first, asked.group), asked.last)
        found.append(_stretch(first, last, asked.zone))
        first = last + timedelta(days=1)
    return found


def time_before(asked: UsageQuery, *, now: datetime) -> tuple[datetime, datetime] | None:
    """What the range is compared with: as long a time, as far into it as the range has got; None before it begins.

    Before a calendar month that is the month before; before any other range as many days.
    """
    since, until = midnight(asked.first, asked.zone), midnight(asked.last + timedelta(days=1), asked.zone)
    passed = min(until, now) - since
    if passed <= timedelta(0):
        return None
    begins = asked.first - timedelta(days=asked.days)
    if asked.preset in ("this-month", "last-month"):
        begins = (asked.first - timedelta(days=1)).replace(day=1)
    earlier = midnight(begins, asked.zone)
    if until <= now:
        return earlier, since
    return earlier, min(earlier + passed, since)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When the day begins there, in UTC; where clocks skip midnight, the moment of the change."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _stretch(first: date, last: date, zone: ZoneInfo) -> Stretch:
    return Stretch(first=first, last=last, since=midnight(first, zone), until=midnight(last + timedelta(days=1), zone))


def _end(first: date, group: str) -> date:
    if group == "day":
        return first
    if group == "week":
        return first + timedelta(days=6 - first.weekday())
    return (first.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
