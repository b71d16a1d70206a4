"""GET /credits/history.csv and .json: everything that the filters leave, streamed.

A page of entries at a time is read by cursor, each in a short transaction of its own, so that the longest history
neither fills memory nor holds a snapshot. Entries written meanwhile come before the first cursor and are left out.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from flask import Response, abort, request, stream_with_context
from flask.typing import ResponseReturnValue
from flask_babel import lazy_pgettext
from flask_login import current_user, login_required

from webapp import ledger
from webapp.credits.filters import Filters, read_filters
from webapp.database import unit_of_work
from webapp.i18n.locale import known_zone
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
# A spreadsheet takes a cell that starts with one of these for a formula, and runs it.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


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


def stream(lines: Iterator[str], *, mimetype: str, name: str) -> Response:
    """The lines as a file to be saved, sent while they are made."""
    response = Response(stream_with_context(_joined(lines)), mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.cache_control.no_store = True
    return response


def _joined(lines: Iterable[str], size: int = 16_384) -> Iterator[str]:
    """The lines in pieces of some size: a piece a line would be a system call a line."""
    waiting: list[str] = []
    length = 0
    for line in lines:
        waiting.append(line)
        length += len(line)
        if length > size:
            yield "".join(waiting)
            waiting, length = [], 0
    yield "".join(waiting)


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


def csv_line(cells: Iterable[str | int | None]) -> str:
    """One line of RFC 4180, safe to open in a spreadsheet."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([safe_cell(cell) for cell in cells])
    return buffer.getvalue()


def safe_cell(cell: str | int | None) -> str | int:
    """Numbers as they are; text that a spreadsheet would run gets an apostrophe in front."""
    if cell is None:
        return ""
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
        return "'" + cell
    return cell


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
