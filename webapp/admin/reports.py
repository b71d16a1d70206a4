"""/admin/reports: what was sold, earned, lost and given back in a period, as tables, CSV and a journal of the books."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, timedelta

from flask import Blueprint, Response, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

from webapp import ledger
from webapp.admin.report_query import ReportQuery, periods, read_query, time_name
from webapp.admin.report_tables import ReportTable, names_for_page, tables_of
from webapp.billing.journal import CREDITS, JournalLine, journal_lines
from webapp.billing.reports import depletion, read_days, read_report
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.layout.csv_file import csv_line, stream
from webapp.minor_units import amount_of
from webapp.people.roles import require_role

pages = Blueprint("admin_reports", __name__)

PATH = "/admin/reports"
TABLES = ("credits", "money", "items", "sources", "features", "depletion")
# In English they are names for programs; every other language has words for people.
JOURNAL_COLUMNS = (
    lazy_pgettext("column", "date"),
    lazy_pgettext("column", "journal_number"),
    lazy_pgettext("column", "account"),
    lazy_pgettext("column", "account_name"),
    lazy_pgettext("column", "debit"),
    lazy_pgettext("column", "credit"),
    lazy_pgettext("column", "currency"),
    lazy_pgettext("column", "text"),
    lazy_pgettext("column", "reference"),
)
ACCOUNT_NAMES = {
    "payments": _l("Payments received"),
    "deferred": _l("Deferred revenue"),
    "used": _l("Revenue by use"),
    "breakage": _l("Revenue by expiry"),
    "customers": _l("Credits of customers"),
    "sales": _l("Credits bought"),
    "promotions": _l("Credits given"),
    "rollover": _l("Credits carried over"),
    "usage": _l("Credits used"),
    "expired": _l("Credits expired"),
    "revoked": _l("Credits taken back"),
}
MOVEMENTS = {
    "purchase": _l("Credits were bought"),
    "grant": _l("Credits were given"),
    "rollover": _l("Credits were carried over"),
    "repay": _l("New credits paid a debt"),
    "spend": _l("Credits were used"),
    "refund": _l("A use was given back"),
    "expire": _l("Credits expired"),
    "revoke": _l("Credits were taken back"),
    "restore": _l("Credits that had been taken back were restored"),
}


@pages.get(PATH)
@require_role("finance")
def reports() -> ResponseReturnValue:
    """The page; with a period that means nothing it says so, and 422."""
    with unit_of_work() as session:
        today = ledger.now(session).astimezone(UTC).date()
        asked = _asked(today)
        if asked.errors:
            tables, reach, currencies = [], None, [asked.currency]
        else:
            report = read_report(session, since=asked.first, until=asked.until, unit=asked.unit)
            cohorts = depletion(session, since=asked.first, until=asked.until, currency=asked.currency)
            tables = tables_of(report, unit=asked.unit, currency=asked.currency, cohorts=cohorts)
            reach, currencies = report.reach, report.currencies()
        answer = render_template(
            "admin/reports/index.html",
            asked=asked,
            raw=request.args,
            tables=tables,
            reach=reach,
            currencies=[(one, one) for one in sorted({asked.currency, *currencies, *_settings().currencies})],
            periods=periods(today),
            time_name=time_name,
            names=names_for_page(session),
        )
    return answer, 422 if asked.errors else 200


@pages.get(f"{PATH}/<table>.csv")
@require_role("finance")
def table_csv(table: str) -> Response:
    """One of its tables; money in whole units with decimals, as spreadsheets read it."""
    if table not in TABLES:
        abort(404)
    with unit_of_work() as session:
        asked = _valid(ledger.now(session).astimezone(UTC).date())
        report = read_report(session, since=asked.first, until=asked.until, unit=asked.unit)
        cohorts = depletion(session, since=asked.first, until=asked.until, currency=asked.currency)
        tables = tables_of(report, unit=asked.unit, currency=asked.currency, cohorts=cohorts)
    found = next(one for one in tables if one.key == table)
    return stream(_table_lines(found, asked.currency), mimetype="text/csv", name=f"{table}-{_name_of(asked)}.csv")


@pages.get(f"{PATH}/journal.csv")
@require_role("finance")
def journal_csv() -> Response:
    """The journal of the period, in money of the currency, or in credits (`unit=credits`), streamed by month."""
    with unit_of_work() as session:
        asked = _valid(ledger.now(session).astimezone(UTC).date())
    currency = CREDITS if request.args.get("unit") == "credits" else asked.currency
    name = f"journal-{currency.lower()}-{_name_of(asked)}.csv"
    return stream(_journal_lines(asked, currency), mimetype="text/csv", name=name)


def _table_lines(table: ReportTable, currency: str) -> Iterator[str]:
    yield csv_line(str(column.label) for column in table.columns)
    for row in [*table.rows, *([table.total] if table.total else [])]:
        yield csv_line(
            amount_of(cell, currency) if column.kind == "money" and isinstance(cell, int) else cell
            for column, cell in zip(table.columns, row, strict=True)
        )


def _journal_lines(asked: ReportQuery, currency: str) -> Iterator[str]:
    yield csv_line(str(name) for name in JOURNAL_COLUMNS)
    for first, until in _months(asked.first, asked.until):
        with unit_of_work() as session:
            days = read_days(session, since=first, until=until)
        yield from (_journal_line(line, currency) for line in journal_lines(days, currency=currency))


def _journal_line(line: JournalLine, currency: str) -> str:
    debit, credit = (
        "" if not amount else amount if currency == CREDITS else amount_of(amount, currency)
        for amount in (line.debit, line.credit)
    )
    words = (str(ACCOUNT_NAMES[line.account.key]), str(MOVEMENTS[line.movement]))
    return csv_line(
        [
            line.day.isoformat(),
            line.number,
            line.account.code,
            words[0],
            debit,
            credit,
            currency,
            words[1],
            line.reference,
        ]
    )


def _months(first: date, until: date) -> Iterable[tuple[date, date]]:
    """The stretch in pieces of a month at the most, so that none of them is long."""
    while first < until:
        after = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield first, min(after, until)
        first = after


def _asked(today: date) -> ReportQuery:
    return read_query(request.args, today=today, settings=_settings())


def _valid(today: date) -> ReportQuery:
    asked = _asked(today)
    if asked.errors:
        abort(400, "; ".join(f"{name}: {text}" for name, text in asked.errors.items()))
    return asked


def _name_of(asked: ReportQuery) -> str:
    return asked.period or f"{asked.first.isoformat()}-{asked.last.isoformat()}"


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings
