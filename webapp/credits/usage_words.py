"""What stretches of time are called, and the lists that the usage page offers."""

from datetime import date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale, dates
from flask_babel import get_locale, pgettext
from flask_babel import gettext as _

from webapp.credits.usage_calendar import Stretch
from webapp.credits.usage_query import UsageQuery

# A place for each common offset; any other IANA zone works in the URL.
_PLACES = (
    "Pacific/Honolulu",
    "America/Anchorage",
    "America/Los_Angeles",
    "America/Denver",
    "America/Chicago",
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Berlin",
    "Africa/Cairo",
    "Asia/Riyadh",
    "Asia/Dubai",
    "Asia/Karachi",
    "Asia/Kolkata",
    "Asia/Jakarta",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Pacific/Auckland",
)


def range_names() -> list[tuple[str, str]]:
    return [
        ("7d", _("7 days")),
        ("30d", _("30 days")),
        ("90d", _("90 days")),
        ("this-month", _("This month")),
        ("last-month", _("Last month")),
    ]


def group_names() -> list[tuple[str, str]]:
    return [("day", pgettext("by", "Day")), ("week", pgettext("by", "Week")), ("month", pgettext("by", "Month"))]


def zone_names(asked: UsageQuery, *, own_zone: ZoneInfo) -> list[tuple[str, str]]:
    """The reader's zone first, which needs nothing in the URL, then what else is likely."""
    likely = sorted({"UTC", asked.zone.key, *_PLACES} - {own_zone.key})
    return [("", _("%(zone)s (yours)", zone=own_zone.key)), *((zone, zone) for zone in likely)]


def span_name(first: date, last: date) -> str:
    """Nov 16 – 22, 2026."""
    locale = get_locale()
    if first == last:
        return dates.format_date(first, "long", locale=locale)
    return str(dates.format_interval(first, last, "yMMMd", locale=locale))


def stretch_name(stretch: Stretch, group: str) -> str:
    """A day with its weekday, a whole month by its name, anything else from when to when."""
    if group == "day":
        return _written("yMMMEd", stretch.first, get_locale())
    if group == "month" and stretch.first.day == 1 and (stretch.last + timedelta(days=1)).day == 1:
        return _written("yMMMM", stretch.first, get_locale())
    return span_name(stretch.first, stretch.last)


def short_name(stretch: Stretch, group: str) -> str:
    """For the chart's edge: the day on which it begins, or the month."""
    return _written("MMM" if group == "month" else "MMMd", stretch.first, get_locale())


@lru_cache(maxsize=10_000)  # a page has up to two hundred of them, and the next page nearly the same
def _written(skeleton: str, day: date, locale: Locale | None) -> str:
    return str(dates.format_skeleton(skeleton, day, locale=locale))
