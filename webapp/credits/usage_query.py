"""What the URL of the usage page asks for: which days, in which time zone, grouped how, of which feature."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from webapp.i18n.locale import known_zones

MOST_DAYS = 366
RANGES = ("7d", "30d", "90d", "this-month", "last-month")
DEFAULT_RANGE = "30d"
GROUPS = ("day", "week", "month")
_FIELDS = ("range", "from", "to", "group", "feature", "zone")
_DAYS_IN = {"7d": 7, "30d": 30, "90d": 90}
# More bars than this are grass; a longer range is shown by week unless the URL says otherwise.
_MOST_BARS_BY_ITSELF = 92
_YEARS = range(1970, 3000)


@dataclass(frozen=True, kw_only=True)
class UsageQuery:
    """The days `first` to `last`, both included, in `zone`; `raw` as it was written, `errors` by field.

    `preset` is the range's name, empty when the URL gives dates. `own_zone` says whether `zone` is the reader's.
    """

    raw: dict[str, str]
    errors: dict[str, str]
    preset: str
    first: date
    last: date
    group: str
    feature: str
    zone: ZoneInfo
    own_zone: bool

    def query(self, **changes: str | None) -> str:
        """The query string with some fields changed; None takes one out. `from_` stands for `from`."""
        fields = {**self.raw, **{name.rstrip("_"): value for name, value in changes.items()}}
        return urlencode({name: fields[name] for name in _FIELDS if fields.get(name)})

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


def read_query(args: MultiDict[str, str], *, own_zone: ZoneInfo, now: datetime) -> UsageQuery:
    """The query of a URL. Dates come before `range`; what cannot be understood is an error of its field."""
    raw = {name: args[name].strip()[:200] for name in _FIELDS if args.get(name, "").strip()}
    if "from" in raw or "to" in raw:
        raw.pop("range", None)
    zone = _zone(raw.get("zone"))
    used = zone or own_zone
    today = now.astimezone(used).date()
    first, last = days_of(DEFAULT_RANGE, today)
    asked = UsageQuery(
        raw=raw,
        errors={},
        preset=DEFAULT_RANGE,
        first=first,
        last=last,
        group=raw.get("group", ""),
        feature=raw.get("feature", ""),
        zone=used,
        own_zone=used.key == own_zone.key,
    )
    if "zone" in raw and zone is None:
        asked = _wrong(asked, "zone", _("There is no such time zone."))
    for read in (_read_range, _read_group, _read_feature):
        asked = read(asked, today)
    return asked


def days_of(preset: str, today: date) -> tuple[date, date]:
    """The first and the last day of a named range; today is in it, where it is not over yet."""
    if preset in _DAYS_IN:
        return today - timedelta(days=_DAYS_IN[preset] - 1), today
    this = today.replace(day=1)
    if preset == "this-month":
        return this, today
    last = this - timedelta(days=1)
    return last.replace(day=1), last


def _read_range(asked: UsageQuery, today: date) -> UsageQuery:
    if "from" in asked.raw or "to" in asked.raw:
        return _read_dates(asked, today)
    preset = asked.raw.get("range", DEFAULT_RANGE)
    if preset not in RANGES:
        return _wrong(asked, "range", _("There is no such range."))
    first, last = days_of(preset, today)
    return replace(asked, preset=preset, first=first, last=last)


def _read_dates(asked: UsageQuery, today: date) -> UsageQuery:
    """One date alone is enough: the other end is today, or 30 days before."""
    asked = replace(asked, preset="")
    found: dict[str, date] = {}
    for name in ("from", "to"):
        day = _date(asked.raw.get(name))
        if name in asked.raw and day is None:
            asked = _wrong(asked, name, _("This is not a date."))
        elif day is not None:
            found[name] = day
    if asked.errors.keys() & {"from", "to"}:
        return asked
    last = found.get("to", max(today, found.get("from", today)))
    first = found.get("from", last - timedelta(days=29))
    if last < first:
        return _wrong(asked, "to", _("The end lies before the beginning."))
    if (last - first).days >= MOST_DAYS:
        return _wrong(asked, "from", _("At most %(days)s days can be shown at a time.", days=MOST_DAYS))
    return replace(asked, first=first, last=last)


def _read_group(asked: UsageQuery, _today: date) -> UsageQuery:
    if not asked.group:
        return replace(asked, group="day" if asked.days <= _MOST_BARS_BY_ITSELF else "week")
    if asked.group not in GROUPS:
        return replace(_wrong(asked, "group", _("There is no such grouping.")), group="day")
    return asked


def _read_feature(asked: UsageQuery, _today: date) -> UsageQuery:
    return asked if asked.feature.isprintable() else _wrong(asked, "feature", _("There is no such feature."))


def _wrong(asked: UsageQuery, field: str, text: str) -> UsageQuery:
    return replace(asked, errors={**asked.errors, field: text})


def _date(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if day.year in _YEARS else None


def _zone(name: str | None) -> ZoneInfo | None:
    return ZoneInfo(name) if name in known_zones() else None
