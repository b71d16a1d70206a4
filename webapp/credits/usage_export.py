"""GET /credits/usage.csv and .json: the figures of the usage page, for the same URL."""

import json
from collections.abc import Iterator
from typing import Any

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_pgettext
from flask_login import current_user, login_required

from webapp import ledger
from webapp.credits.usage import too_much
from webapp.credits.usage_figures import Sum, UsageFigures, read_figures
from webapp.credits.usage_query import UsageQuery, read_query
from webapp.database import unit_of_work
from webapp.i18n.locale import known_zone
from webapp.layout.csv_file import csv_line, stream

FIGURES = ("spends", "spent", "refunded", "used")
COLUMNS = (
    lazy_pgettext("column", "from"),
    lazy_pgettext("column", "to"),
    lazy_pgettext("column", "time_zone"),
    lazy_pgettext("column", "feature"),
    lazy_pgettext("column", "spends"),
    lazy_pgettext("column", "spent"),
    lazy_pgettext("column", "refunded"),
    lazy_pgettext("column", "used"),
)


@login_required
def export_usage_csv() -> ResponseReturnValue:
    """A line for each stretch of time and feature in which there were spends, oldest first; 400 as the page."""
    asked, figures = _read()
    return stream(_csv_lines(asked, figures), mimetype="text/csv", name=_name(asked, "csv"))


@login_required
def export_usage_json() -> ResponseReturnValue:
    """The same as one JSON object, with the totals and what was used in the time before."""
    asked, figures = _read()
    return stream(_json_lines(asked, figures), mimetype="application/json", name=_name(asked, "json"))


def _read() -> tuple[UsageQuery, UsageFigures]:
    with unit_of_work() as session:
        now = ledger.now(session)
        asked = read_query(request.args, own_zone=known_zone(current_user.time_zone), now=now)
        _refuse(asked)
        try:
            return asked, read_figures(session, account_id=current_user.account_id, asked=asked, now=now)
        except ledger.TooMuchUsage:
            refused = too_much(asked)
    _refuse(refused)
    raise AssertionError("a query with errors is refused")


def _refuse(asked: UsageQuery) -> None:
    if asked.errors:
        abort(400, "; ".join(f"{name}: {text}" for name, text in asked.errors.items()))


def _name(asked: UsageQuery, ending: str) -> str:
    return f"usage-{asked.first.isoformat()}-{asked.last.isoformat()}.{ending}"


def _csv_lines(asked: UsageQuery, figures: UsageFigures) -> Iterator[str]:
    yield csv_line(str(name) for name in COLUMNS)
    for line in _lines(figures):
        yield csv_line([line["from"], line["to"], asked.zone.key, *(line[name] for name in ("feature", *FIGURES))])


def _json_lines(asked: UsageQuery, figures: UsageFigures) -> Iterator[str]:
    head = {
        "from": asked.first.isoformat(),
        "to": asked.last.isoformat(),
        "time_zone": asked.zone.key,
        "group": asked.group,
        "feature": asked.feature or None,
        "total": _members(figures.total),
        "before": None if figures.before is None else _members(figures.before),
    }
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "data": ['
    for place, line in enumerate(_lines(figures)):
        yield (",\n" if place else "\n") + json.dumps(line, ensure_ascii=False)
    yield "\n]}\n"


def _lines(figures: UsageFigures) -> Iterator[dict[str, Any]]:
    for row in figures.rows:
        ends = {"from": row.stretch.first.isoformat(), "to": row.stretch.last.isoformat()}
        for key in figures.features:
            if key in row.by_feature:
                yield {**ends, "feature": key, **_members(row.by_feature[key])}


def _members(of: Sum) -> dict[str, int]:
    return {"spends": of.spends, "spent": of.spent, "refunded": of.refunded, "used": of.used}
