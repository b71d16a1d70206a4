"""GET /credits/history.csv and .json: everything that the filters leave, streamed.

A page of entries at a time is read by cursor, each in a short transaction of its own, so that the longest history
neither fills memory nor holds a snapshot. Entries written meanwhile come before the first cursor and are left out.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_pgettext
from flask_login import current_user, login_required

from webapp import ledger
from webapp.credits.filters import Filters, read_filters
from webapp.database import unit_of_work
from webapp.i18n.locale import known_zone
from webapp.layout.csv_file import csv_line, stream
from webapp.ledger import Entry

CHUNK = 1_000
# In English they are the names that the API has for them, for programs; every other language has words for people.
COLUMNS = (
    lazy_pgettext("column", "entry"),
    lazy_pgettext("column", "occurred_at"),
    lazy_pgettext("column", "booked_at"),
    lazy_pgettext("column", "kind"),
    lazy_pgettext("column", "amount"),
    lazy_pgettext("column", "balance_after"),
    lazy_pgettext("column", "feature"),
    lazy_pgettext("column", "quantity"),
    lazy_pgettext("column", "description"),
    lazy_pgettext("column", "reference"),
    lazy_pgettext("column", "actor"),
)


@login_required
def export_csv() -> ResponseReturnValue:
    """The history as CSV (RFC 4180, UTF-8), newest first; 400 for filters that mean nothing."""
    return stream(_csv_lines(_entries(_filters())), mimetype="text/csv", name="credits.csv")


@login_required
def export_json() -> ResponseReturnValue:
    """The history as one JSON object whose `data` lists the entries as the API shows them, newest first."""
    external_id = current_user.external_id
    return stream(_json_lines(_entries(_filters()), external_id), mimetype="application/json", name="credits.json")


def _filters() -> Filters:
    filters = read_filters(request.args, zone=known_zone(current_user.time_zone))
    if filters.errors:
        abort(400, "; ".join(f"{name}: {text}" for name, text in filters.errors.items()))
    return filters


def _entries(filters: Filters) -> Iterator[Entry]:
    account_id = current_user.account_id
    before = filters.before
    while True:
        with unit_of_work() as session:
            page = ledger.entries(
                session,
                account_id=account_id,
                before=before,
                limit=CHUNK,
                kinds=filters.kinds,
                feature=filters.feature,
                since=filters.since,
                until=filters.until,
            )
        yield from page.entries
        if page.next_before is None:
            return
        before = page.next_before


def _csv_lines(entries: Iterable[Entry]) -> Iterator[str]:
    yield csv_line(str(name) for name in COLUMNS)
    for entry in entries:
        yield csv_line(
            [
                entry.seq,
                _to_the_microsecond(entry.occurred_at),
                _to_the_microsecond(entry.booked_at),
                entry.kind,
                entry.amount,
                entry.balance_after,
                entry.feature,
                entry.quantity,
                entry.description,
                entry.reference,
                entry.actor,
            ]
        )


def _json_lines(entries: Iterable[Entry], external_id: str) -> Iterator[str]:
    yield '{"data": ['
    for place, entry in enumerate(entries):
        yield (",\n" if place else "\n") + json.dumps(_as_json(entry, external_id), ensure_ascii=False)
    yield "\n]}\n"


def _to_the_microsecond(moment: datetime) -> str:
    """As the API writes it; what is exported can be compared with what was answered."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _as_json(entry: Entry, external_id: str) -> dict[str, Any]:
    times = {name: _to_the_microsecond(getattr(entry, name)) for name in ("occurred_at", "booked_at")}
    return entry.members(external_id=external_id) | times
