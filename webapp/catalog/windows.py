"""Calendar hours, days and months of a time zone: what free allowances and ceilings are counted in."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

PERS = ("hour", "day", "month")

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Window:
    """The `per` (hour, day or month) from `starts_at` until just before `ends_at`, both in UTC."""

    per: str
    starts_at: datetime
    ends_at: datetime


def window_at(per: str, moment: datetime, time_zone: str) -> Window:
    """The hour, day or month of that zone which `moment` lies in.

    Days and months begin at midnight there, or where clocks skip midnight at the moment of the change. Hours last an
    hour, on whatever minute they begin there.
    """
    zone = ZoneInfo(time_zone)
    if per == "hour":
        there = moment.astimezone(zone)
        passed = timedelta(minutes=there.minute, seconds=there.second, microseconds=there.microsecond)
        begins = moment.astimezone(UTC) - passed
        return Window(per=per, starts_at=begins, ends_at=begins + _HOUR)
    first = moment.astimezone(zone).date()
    if per == "day":
        following = first + timedelta(days=1)
    else:
        first = first.replace(day=1)
        following = (first + timedelta(days=31)).replace(day=1)
    return Window(per=per, starts_at=_midnight(first, zone), ends_at=_midnight(following, zone))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)
