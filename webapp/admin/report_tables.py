"""The tables of a report: what stands in their lines, for the page and for CSV."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.account_words.naming import ROLLOVER, without_turns
from webapp.billing.reports import Cohort, Report, Sums
from webapp.i18n.content import translate
from webapp.ledger.opening.line import DEFAULT_SOURCE

Cell: TypeAlias = str | int | None

CAME = ("purchase", "grant")
SPENT, EXPIRED, TAKEN = ("spend", "refund"), ("expire", "rollover"), ("revoke", "restore")
_MONEY = ("sold_minor", "recognised_minor", "breakage_minor", "refunded_minor", "deferred_minor")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column; money is in minor units of the report's currency.

    `kind`: item (a package, plan or source), feature (its key), time (a day or a month in ISO 8601, or a word),
    credits, money or number.
    """

    label: object
    kind: str = "credits"


@dataclass(frozen=True, kw_only=True)
class ReportTable:
    """One table; `total` is its last line, where sums make sense."""

    key: str
    title: str
    lead: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    total: Sequence[Cell] | None = None


_CAME_AND_WENT = (
    # TRANSLATORS: Credits that were paid for.
    Column(label=_l("Bought")),
    # TRANSLATORS: Credits that cost nothing.
    Column(label=_l("Given")),
    Column(label=_l("Spent")),
    Column(label=_l("Expired")),
    # TRANSLATORS: Credits whose payment was refunded or disputed.
    Column(label=_l("Taken back")),
)
_MONEY_COLUMNS = (
    Column(label=_l("Sold"), kind="money"),
    Column(label=_l("Earned by use"), kind="money"),
    # TRANSLATORS: Revenue from credits that expired unused.
    Column(label=_l("Earned by expiry"), kind="money"),
    # TRANSLATORS: Money for credits that were taken back.
    Column(label=_l("Given back"), kind="money"),
)


def tables_of(report: Report, *, unit: str, currency: str, cohorts: Sequence[Cohort]) -> list[ReportTable]:
    """All tables, in their order on the page."""
    return [
        _credits_by_time(report, unit),
        _money_by_time(report, unit, currency),
        _money_by_item(report, currency),
        _credits_by_item(report),
        _by_feature(report, currency),
        _depletion(cohorts),
    ]


def _credits_by_time(report: Report, unit: str) -> ReportTable:
    level = report.total("before").credits
    # TRANSLATORS: The line before the first day: what there was already.
    rows: list[Sequence[Cell]] = [(_("Before"), None, None, None, None, None, level)]
    for key in report.keys(unit):
        level += report.total(unit, key=key).credits
        rows.append((key, *_credits(report, unit, key), level))
    return ReportTable(
        key="credits",
        title=_("Credits"),
        lead=_(
            "What came in and went out, and what customers had at the end. Spends that were given back are taken off."
        ),
        columns=(_time(unit), *_CAME_AND_WENT, Column(label=_l("Outstanding"))),
        rows=rows,
        total=(_("Sum"), *_credits(report, unit, None), level),
    )


def _money_by_time(report: Report, unit: str, currency: str) -> ReportTable:
    level = report.total("before", currency=currency).deferred_minor
    rows: list[Sequence[Cell]] = [(_("Before"), None, None, None, None, level)]
    for key in report.keys(unit):
        sums = report.total(unit, key=key, currency=currency)
        level += sums.deferred_minor
        rows.append((key, *_money(sums)[:-1], level))
    whole = report.total(unit, currency=currency)
    return ReportTable(
        key="money",
        title=_("Money, in %(currency)s", currency=currency),
        lead=_("What was sold is earned when its credits are used or expire, each at the price that was paid for it."),
        columns=(_time(unit), *_MONEY_COLUMNS, Column(label=_l("Still owed"), kind="money")),
        rows=rows,
        total=(_("Sum"), *_money(whole)[:-1], level),
    )


def _money_by_item(report: Report, currency: str) -> ReportTable:
    rows = [
        (key or _("Debt"), *_money(sums))
        for key in report.keys("item")
        if (sums := report.total("item", key=key, currency=currency)) != Sums(credits=sums.credits)
    ]
    return ReportTable(
        key="items",
        title=_("Money by package, plan and source, in %(currency)s", currency=currency),
        lead="",
        columns=(
            Column(label=_l("Package, plan or source"), kind="item"),
            *_MONEY_COLUMNS,
            Column(label=_l("Owed more than before"), kind="money"),
        ),
        rows=rows,
        total=(_("Sum"), *_money(report.total("item", currency=currency))),
    )


def _credits_by_item(report: Report) -> ReportTable:
    lines = [(key or _("Debt"), *_credits(report, "item", key)) for key in report.keys("item")]
    return ReportTable(
        key="sources",
        title=_("Credits by package, plan and source"),
        lead=_("What was spent beyond all grants stands under debt."),
        columns=(Column(label=_l("Package, plan or source"), kind="item"), *_CAME_AND_WENT),
        rows=[line for line in lines if any(line[1:])],
        total=(_("Sum"), *_credits(report, "item", None)),
    )


def _by_feature(report: Report, currency: str) -> ReportTable:
    def line(key: str | None) -> tuple[int, int]:
        spent = -report.total("feature", key=key, movements=SPENT).credits
        return spent, report.total("feature", key=key, currency=currency).recognised_minor

    rows = [(key or _("No feature"), *line(key)) for key in report.keys("feature")]
    return ReportTable(
        key="features",
        title=_("By feature"),
        lead=_("Debts that were paid, and used credits whose payment went back, stand under no feature."),
        columns=(
            Column(label=_l("Feature"), kind="feature"),
            Column(label=_l("Spent")),
            Column(label=_l("Earned by use"), kind="money"),
        ),
        rows=[row for row in rows if any(row[1:])],
        total=(_("Sum"), *line(None)),
    )


def _depletion(cohorts: Sequence[Cohort]) -> ReportTable:
    return ReportTable(
        key="depletion",
        title=_("How long paid credits last"),
        lead=_("By the month in which they came: in how many days half of those that are used up or expired were."),
        columns=(
            Column(label=_l("Month"), kind="time"),
            Column(label=_l("Paid grants"), kind="number"),
            Column(label=_l("Nothing left"), kind="number"),
            Column(label=_l("Days, median"), kind="number"),
        ),
        rows=[(one.month, one.grants, one.emptied, one.median_days) for one in cohorts],
    )


_NAMES = text(
    "SELECT 'item', 'package:' || code, 'package', code, name FROM packages"
    " UNION ALL SELECT 'item', 'plan:' || code, 'plan', code, name FROM plans"
    " UNION ALL SELECT 'feature', key, 'feature', key, name FROM features"
)


def names_for_page(session: Session) -> dict[str, dict[str, str]]:
    """What the keys of columns of kind item and feature are called, in the reader's language. CSV has the keys alone.

    Sources that somebody else named have no other name.
    """
    items = {
        "sign-up": _("Sign-up credits"),
        "promotion": _("Campaigns"),
        ROLLOVER: _("Credits carried over"),
        # TRANSLATORS: Where credits came from, in a report.
        "admin": _("Given by admins"),
        # TRANSLATORS: Where credits came from, in a report.
        "api": _("Given through the API"),
        # TRANSLATORS: Where credits came from, in a report: what accounts had when they were taken over.
        DEFAULT_SOURCE: _("Opening balances"),
    }
    names = {"item": items, "feature": dict[str, str]()}
    for column, key, kind, code, name in session.execute(_NAMES):
        names[column][key] = without_turns(translate(kind, code, name))
    return names


def _time(unit: str) -> Column:
    return Column(label=_l("Day") if unit == "day" else _l("Month"), kind="time")


def _credits(report: Report, by: str, key: str | None) -> tuple[int, ...]:
    """Bought, given, spent, expired, taken back: each as a positive number where it is the usual way round."""
    came = (report.total(by, key=key, movements=CAME, paid=paid).credits for paid in (True, False))
    went = (-report.total(by, key=key, movements=movements).credits for movements in (SPENT, EXPIRED, TAKEN))
    return (*came, *went)


def _money(sums: Sums) -> tuple[int, ...]:
    return tuple(int(getattr(sums, name)) for name in _MONEY)
