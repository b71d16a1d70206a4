"""GET /credits/history: all entries, filtered by the URL, page by page."""

from datetime import date

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from webapp import ledger
from webapp.account_words.entry_rows import by_day, rows_of
from webapp.account_words.naming import KINDS, feature_names, kind_label
from webapp.credits.filters import Filters, read_filters
from webapp.i18n.formats import day
from webapp.i18n.locale import known_zone
from webapp.reading import reader

PAGE = 50


@login_required
def show_history() -> ResponseReturnValue:
    """A page of history, or for htmx the part below the heading; 400 names what a filter cannot mean."""
    zone = known_zone(current_user.time_zone)
    filters = read_filters(request.args, zone=zone)
    session = reader()
    page = ledger.Page(entries=[], next_before=None)
    if not filters.errors:
        page = ledger.entries(
            session,
            account_id=current_user.account_id,
            before=filters.before,
            limit=PAGE,
            kinds=filters.kinds,
            feature=filters.feature,
            since=filters.since,
            until=filters.until,
        )
    rows = rows_of(session, page.entries)
    features = feature_names(session)
    part = request.headers.get("HX-Target") == "history"
    html = render_template(
        "credits/_history.html" if part else "credits/history.html",
        filters=filters,
        days=by_day(rows, zone=zone),
        next_before=page.next_before,
        kinds=[("", _("All kinds")), *((kind, kind_label(kind)) for kind in KINDS)],
        features=[("", _("All features")), *features.items()],
        chips=_chips(filters, features),
    )
    return html, _status(filters, part)


def _status(filters: Filters, part: bool) -> int:
    """400 for filters that mean nothing; 422 as a fragment, because htmx shows that and no other refusal."""
    return 200 if not filters.errors else 422 if part else 400


def _chips(filters: Filters, features: dict[str, str]) -> list[tuple[str, str]]:
    """(text, query without it) of each filter that is on."""
    texts = {}
    if filters.kinds:
        texts["kind"] = kind_label(filters.raw["kind"])
    if filters.feature:
        texts["feature"] = features.get(filters.feature, filters.feature)
    if filters.since:
        texts["from"] = _("From %(day)s", day=_as_written(filters, "from"))
    if filters.until:
        texts["to"] = _("To %(day)s", day=_as_written(filters, "to"))
    return [(text, filters.query(**{name: None})) for name, text in texts.items()]


def _as_written(filters: Filters, field: str) -> str:
    """A date in the reader's form; a time as it was written."""
    raw = filters.raw[field]
    moment = filters.since if field == "from" else filters.until
    if len(raw) != 10 or moment is None:
        return raw
    return day(date.fromisoformat(raw))
