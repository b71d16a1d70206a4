"""GET /credits/usage: what credits were spent on, by time and feature."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.account_words.naming import feature_names
from webapp.credits.live import Live, show_balance
from webapp.credits.overview import GRANTS, free_lots
from webapp.credits.pace import Pace, read_pace
from webapp.credits.usage_calendar import midnight, time_before
from webapp.credits.usage_chart import OTHERS, UsageChart, draw, tints_of
from webapp.credits.usage_figures import UsageFigures, read_figures
from webapp.credits.usage_query import UsageQuery, read_query
from webapp.credits.usage_table import (
    FeatureLine,
    UsageLine,
    history_query,
    lines_by_feature,
    lines_by_time,
    name_of,
)
from webapp.credits.usage_words import (
    group_names,
    range_names,
    short_name,
    span_name,
    stretch_name,
    zone_names,
)
from webapp.i18n.locale import known_zone
from webapp.reading import reader


@dataclass(frozen=True, kw_only=True)
class Before:
    """The time that the range is compared with; `so_far` when it ends in the middle because the range is not over."""

    used: int
    first: date
    last: date
    so_far: bool


@dataclass(frozen=True, kw_only=True)
class UsagePage:
    """Everything that the page shows; `chart` is None where nothing was used, `series` are tints and names."""

    figures: UsageFigures
    chart: UsageChart | None
    series: list[tuple[int, str]]
    lines: list[UsageLine]
    features: list[FeatureLine]
    before: Before | None
    a_day: int
    pace: Pace
    lasts_until: datetime | None
    live: Live


@login_required
def show_usage() -> ResponseReturnValue:
    """The page, or for htmx the part below the heading; 400 (in the part 422) names what the URL cannot mean."""
    own_zone = known_zone(current_user.time_zone)
    session = reader()
    now = ledger.now(session)
    asked = read_query(request.args, own_zone=own_zone, now=now)
    names = feature_names(session)
    page = None
    if not asked.errors:
        try:
            page = _read_page(session, asked, now=now, own_zone=own_zone, names=names)
        except ledger.TooMuchUsage:
            asked = too_much(asked)
    part = request.headers.get("HX-Target") == "usage"
    html = render_template(
        "credits/_usage.html" if part else "credits/usage.html",
        asked=asked,
        page=page,
        live=page.live if page else None,
        ranges=range_names(),
        groups=group_names(),
        zones=zone_names(asked, own_zone=own_zone),
        offered=_offered(names, asked),
        names=names,
        span_name=span_name,
        stretch_name=stretch_name,
        short_name=short_name,
        history_query=history_query,
    )
    return _answer(html, asked, part=part)


def too_much(asked: UsageQuery) -> UsageQuery:
    """Said at a field, as other ranges that cannot be shown."""
    text = _("More happened in this time than can be added up at once. Choose a shorter one.")
    return replace(asked, errors={"from" if not asked.preset else "range": text})


def _answer(html: str, asked: UsageQuery, *, part: bool) -> Response:
    """A part is pushed under the URL that says the same in the fewest words."""
    response = make_response(html, 200 if not asked.errors else 422 if part else 400)
    if part:
        query = asked.query()
        response.headers["HX-Push-Url"] = "/credits/usage" + (f"?{query}" if query else "")
    return response


def _read_page(
    session: Session, asked: UsageQuery, *, now: datetime, own_zone: ZoneInfo, names: dict[str, str]
) -> UsagePage:
    account_id = current_user.account_id
    figures = read_figures(session, account_id=account_id, asked=asked, now=now)
    live = show_balance(session, account_id=account_id, grants=GRANTS)
    available = live.balance.available
    pace = read_pace(session, account_id=account_id, newest_seq=live.balance.seq, now=now, zone=own_zone)
    bare = _("Without a feature")
    tints = tints_of(figures, list(names))
    series = [(tints[key], name_of(key, names, bare)) for key in figures.series]
    return UsagePage(
        figures=figures,
        chart=draw(figures, tints) if figures.total.used else None,
        series=[*series, (OTHERS, _("Others"))] if figures.others else series,
        lines=lines_by_time(figures, asked),
        features=lines_by_feature(figures, asked, names=names, bare=bare, tints=tints),
        before=_before(figures, asked, now),
        a_day=_a_day(figures, asked, now),
        pace=pace,
        lasts_until=pace.lasts_until(free_lots(live), now=now) if available > 0 else None,
        live=live,
    )


def _before(figures: UsageFigures, asked: UsageQuery, now: datetime) -> Before | None:
    earlier = time_before(asked, now=now)
    if figures.before is None or earlier is None:
        return None
    since, until = earlier
    return Before(
        used=figures.before.used,
        first=since.astimezone(asked.zone).date(),
        last=(until - timedelta(microseconds=1)).astimezone(asked.zone).date(),
        so_far=midnight(asked.last + timedelta(days=1), asked.zone) > now,
    )


def _a_day(figures: UsageFigures, asked: UsageQuery, now: datetime) -> int:
    """Credits a day on average over the days that have begun; at least 1 where anything was used."""
    last = min(asked.last, now.astimezone(asked.zone).date())
    days = max((last - asked.first).days + 1, 1)
    return max(round(figures.total.used / days), 1 if figures.total.used else 0)


def _offered(names: dict[str, str], asked: UsageQuery) -> list[tuple[str, str]]:
    """The list of features, with the one asked for even where nobody knows it."""
    unknown = [(asked.feature, asked.feature)] if asked.feature and asked.feature not in names else []
    return [("", _("All features")), *names.items(), *unknown]
