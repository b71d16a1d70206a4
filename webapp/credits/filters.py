"""The filters of the history, read from the URL and written back into it."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from webapp.account_words.naming import KINDS

_MOST = 2**63 - 1
_KINDS_OF = {"grant": ["grant", "purchase"]}
_FIELDS = ("kind", "feature", "from", "to")


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What the URL asked for: `raw` as it was written, `errors` by field, and the rest as the ledger takes it."""

    raw: dict[str, str]
    errors: dict[str, str]
    kinds: list[str] | None = None
    feature: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None

    def query(self, **changes: str | int | None) -> str:
        """The query string with some fields changed, None takes one out; the cursor only when it is given."""
        fields = {**self.raw, **{name.rstrip("_"): value for name, value in changes.items()}}
        return urlencode({name: value for name, value in fields.items() if value not in (None, "")})

    def for_ledger(self) -> dict[str, object]:
        return {"kinds": self.kinds, "feature": self.feature, "since": self.since, "until": self.until}


def read_filters(args: MultiDict[str, str], *, zone: ZoneInfo) -> Filters:
    """The filters of a query. What cannot be understood is an error of its field, never an exception."""
    raw = {name: args[name].strip()[:200] for name in _FIELDS if args.get(name, "").strip()}
    filters = Filters(raw=raw, errors={})
    for read in (_read_kind, _read_feature, _read_since, _read_until):
        filters = read(filters, zone)
    cursor = args.get("cursor", "").strip()
    if cursor:
        filters = _read_cursor(filters, cursor)
    return filters


def _read_kind(filters: Filters, _zone: ZoneInfo) -> Filters:
    kind = filters.raw.get("kind")
    if kind is None:
        return filters
    if kind not in (*KINDS, "purchase"):
        return _wrong(filters, "kind", _("There is no such kind of entry."))
    return replace(filters, kinds=_KINDS_OF.get(kind, [kind]))


def _read_feature(filters: Filters, _zone: ZoneInfo) -> Filters:
    feature = filters.raw.get("feature")
    if feature is not None and not feature.isprintable():
        return _wrong(filters, "feature", _("There is no such feature."))
    return replace(filters, feature=feature)


def _read_since(filters: Filters, zone: ZoneInfo) -> Filters:
    moment, good = _moment(filters.raw.get("from"), zone, days=0)
    return replace(filters, since=moment) if good else _wrong(filters, "from", _("This is not a date."))


def _read_until(filters: Filters, zone: ZoneInfo) -> Filters:
    moment, good = _moment(filters.raw.get("to"), zone, days=1)
    if not good:
        return _wrong(filters, "to", _("This is not a date."))
    if moment is not None and filters.since is not None and moment <= filters.since:
        return _wrong(filters, "to", _("The end lies before the beginning."))
    return replace(filters, until=moment)


def _read_cursor(filters: Filters, cursor: str) -> Filters:
    if not cursor.isascii() or not cursor.isdecimal() or not 0 < int(cursor[:20]) <= _MOST:
        return _wrong(filters, "cursor", _("This link is broken. Start with the newest entries."))
    return replace(filters, before=int(cursor))


def _wrong(filters: Filters, field: str, text: str) -> Filters:
    return replace(filters, errors={**filters.errors, field: text})


def _moment(text: str | None, zone: ZoneInfo, *, days: int) -> tuple[datetime | None, bool]:
    """(moment, whether it was understood). A date means its first moment in `zone`, `days` later; a time is itself."""
    if text is None:
        return None, True
    try:
        if len(text) == 10:
            parsed = datetime.combine(date.fromisoformat(text) + timedelta(days=days), time.min, zone)
        else:
            parsed = datetime.fromisoformat(text.replace(" ", "+"))
            parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)
        moment = parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None, False
    return (moment, True) if 1900 < moment.year < 3000 else (None, False)
