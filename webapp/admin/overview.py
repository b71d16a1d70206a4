"""/admin/overview: what was sold, granted, spent and lost lately, what is owed, and what waits for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from itertools import accumulate

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from webapp import ledger
from webapp.admin.jobs_in_redis import read_failed
from webapp.admin.jobs_outbox import periodic_names
from webapp.admin.waiting import read_waiting, time_words
from webapp.billing.currency import choose_currency
from webapp.billing.proofs import last_proof
from webapp.billing.reports import Report, active_accounts, read_report
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.i18n.formats import short_day
from webapp.job_runs import last_runs
from webapp.layout.drawing import scale_steps
from webapp.minor_units import decimals_of
from webapp.people.roles import require_role

pages = Blueprint("admin_overview", __name__)

PATH = "/admin/overview"
DAYS = 30
SPANS = (1, 7, 30)

# What each figure of credits is made of: its movements, whether their credits were paid for, and their usual sign.
MOVEMENTS: Mapping[str, tuple[tuple[str, ...], bool | None, int]] = {
    "bought": (("purchase", "grant"), True, 1),
    "granted": (("purchase", "grant"), False, 1),
    "spent": (("spend", "refund"), None, -1),
    "expired": (("expire", "rollover"), None, -1),
}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A chart by day: `bars` [(place, number)] on a scale up to `top`."""

    bars: Sequence[tuple[int, int]]
    top: int
    step: int


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The last 30 days, oldest first; each figure by day, and what was outstanding at the end of each."""

    days: Sequence[date]
    currency: str
    currencies: Sequence[str]
    by_day: dict[str, list[int]]
    owed: Sequence[tuple[int, str]]

    def over(self, name: str, days: int) -> int:
        """The sum of the last `days` days."""
        return sum(self.by_day[name][-days:])

    def most(self, name: str, days: int) -> int:
        return max(self.by_day[name][-days:])

    def drawing(self, name: str) -> Drawing:
        """Bars of whole credits, or of whole euros and the like."""
        unit = 10 ** decimals_of(self.currency) if name == "sold" else 1
        numbers = [number // unit for number in self.by_day[name]]
        peak = max(1, *numbers)
        step = scale_steps(peak)[2]
        return Drawing(bars=list(enumerate(numbers)), top=-(-peak // step) * step, step=step)


@pages.get(PATH)
@require_role("finance", "support")
def overview() -> ResponseReturnValue:
    """The page; its statements are as many whatever happened."""
    settings: Settings = current_app.config["SETTINGS"]
    failed = read_failed()
    with unit_of_work() as session:
        now = ledger.now(session).astimezone(UTC)
        today = now.date()
        since, until = today - timedelta(days=DAYS - 1), today + timedelta(days=1)
        report = read_report(session, since=since, until=until)
        active = active_accounts(session, since=since, until=until, reach=report.reach)
        proof = last_proof(session)
        waiting = read_waiting(
            session,
            role=current_user.role,
            proof=proof,
            runs=last_runs(session, names=periodic_names()),
            failed_jobs=failed.count,
            now=now,
        )
        return render_template(
            "admin/overview.html",
            o=overview_of(report, active=active, currency=choose_currency(request.args.get("currency"), settings)),
            spans=SPANS,
            labels=_labels([since + timedelta(days=n) for n in range(DAYS)]),
            reach=report.reach,
            proof=proof,
            waiting=waiting,
            redis_is_away=failed.away,
            time_words=time_words,
            now=now,
        )


def overview_of(report: Report, *, active: dict[date, int], currency: str) -> Overview:
    """The figures of the report's days, day by day."""
    days = [report.since + timedelta(days=n) for n in range((report.until - report.since).days)]
    by_day = {
        name: [sign * report.total("day", key=day.isoformat(), movements=of, paid=paid).credits for day in days]
        for name, (of, paid, sign) in MOVEMENTS.items()
    }
    by_day["sold"] = [report.total("day", key=day.isoformat(), currency=currency).sold_minor for day in days]
    by_day["active"] = [active.get(day, 0) for day in days]
    changes = (report.total("day", key=day.isoformat()).credits for day in days)
    by_day["outstanding"] = list(accumulate(changes, initial=report.total("before").credits))[1:]
    currencies = report.currencies()
    owed = [
        ((report.total("before", currency=one) + report.total("day", currency=one)).deferred_minor, one)
        for one in currencies
    ]
    return Overview(
        days=days,
        currency=currency,
        currencies=sorted({currency, *currencies}),
        by_day=by_day,
        owed=[(minor, one) for minor, one in owed if minor],
    )


def _labels(days: Sequence[date]) -> list[tuple[int, str]]:
    """What stands below a chart: a day a week, and today at the end."""
    return [*((place, short_day(days[place])) for place in (2, 9, 16, 23)), (len(days), _("Today"))]
