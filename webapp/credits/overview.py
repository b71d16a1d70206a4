"""GET /credits: the balance, what it is made of, how long it lasts, and the latest entries."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.account_words.entry_rows import Row, rows_of
from webapp.account_words.made_of import Sums, add_up
from webapp.account_words.naming import grant_name, hold_name, shorten
from webapp.account_words.stick import Mark, Segment, Stick, segment_label
from webapp.billing.dispute import FREEZE_REASON
from webapp.billing.left_over import taken_over_soon
from webapp.billing.plan_overview import NextGrant, Trouble, next_grant, trouble_with
from webapp.billing.stripe_api import mode
from webapp.billing.subscription import current_subscription
from webapp.credits.live import Live, show_balance
from webapp.credits.pace import Lot, Pace, Turn, read_pace
from webapp.credits.unlocks import read_unlocks
from webapp.i18n.formats import compact, credits_number, day, short_day
from webapp.i18n.locale import known_zone
from webapp.layout.drawing import scale_steps
from webapp.people.first_credits import waiting
from webapp.people.suspension import is_suspended
from webapp.people.views.confirm_address import mail_folder
from webapp.reading import reader

GRANTS = 100
HOLDS = 20
LATEST = 7
_LOW_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class GrantRow:
    """A grant on the page: `spent_by` is when the present pace has used it up, `late` that it expires before.

    `frozen` says in words why it pays for nothing now; empty when it isn't frozen.
    """

    name: str
    tint: int
    grant: ledger.Grant
    spent_by: datetime | None
    late: bool
    frozen: str


@dataclass(frozen=True, kw_only=True)
class NextToExpire:
    """`amount` credits expire at `at`, the first to do so; at most `carried` of them go on in the next month.

    `spent_by` is when the present pace has used them up, `late` that some are left by then.
    """

    amount: int
    carried: int
    at: datetime
    spent_by: datetime | None
    late: bool


@dataclass(frozen=True, kw_only=True)
class HoldRow:
    """Credits reserved for something that is not done yet."""

    name: str
    hold: ledger.Hold


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The last days as bars; numbers are credits."""

    bars: list[tuple[int, int]]
    top: int
    step: int
    labels: list[tuple[int, str]]
    peak: int


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Everything that the page shows."""

    live: Live
    stick: Stick | None
    pace: Pace
    chart: Chart | None
    lasts_until: datetime | None
    low: bool
    grants: list[GrantRow]
    next_to_expire: NextToExpire | None
    sums: Sums | None
    more: int
    disputed: int
    holds: list[HoldRow]
    next_grant: NextGrant | None
    trouble: Trouble | None
    latest: list[Row]


@login_required
def show_credits() -> ResponseReturnValue:
    """The page, or for htmx the part of it that follows the balance."""
    session = reader()
    now = ledger.now(session)
    overview = read_overview(session, account_id=current_user.account_id, zone=current_user.time_zone, now=now)
    coming = next_grant(session, account_id=current_user.account_id, mode=mode(), now=now)
    subscription = current_subscription(session, account_id=current_user.account_id, mode=mode())
    overview = replace(overview, next_grant=coming, trouble=trouble_with(subscription))
    waiting_credits = waiting(session, user=current_user)
    unlocks = read_unlocks(session, account_id=current_user.account_id)
    suspended = is_suspended(session, account_id=current_user.account_id)
    part = request.headers.get("HX-Target") == "credits"
    template = "credits/_overview.html" if part else "credits/overview.html"
    return render_template(
        template,
        o=overview,
        live=overview.live,
        now=now,
        stick_in_words=in_words,
        unlocks=unlocks,
        suspended=suspended,
        waiting=waiting_credits,
        mail_folder=mail_folder() if waiting_credits else None,
    )


def read_overview(session: Session, *, account_id: int, zone: str, now: datetime) -> Overview:
    """What the page shows of the account; bounded reads only, however long its history is."""
    live = show_balance(session, account_id=account_id, grants=GRANTS)
    pace = read_pace(session, account_id=account_id, newest_seq=live.balance.seq, now=now, zone=known_zone(zone))
    page = ledger.entries(session, account_id=account_id, limit=LATEST)
    lasts_until = pace.lasts_until(free_lots(live), now=now) if live.balance.available > 0 else None
    shown = sum(grant.remaining for grant in live.grants)
    reasons = _why_frozen(session, live)
    rows = _grant_rows(live, pace, now, reasons)
    return Overview(
        live=live,
        stick=_stick(live, pace, now) if live.total else None,
        pace=pace,
        chart=_chart(pace) if pace.whole and pace.spent else None,
        lasts_until=lasts_until,
        low=lasts_until is not None and lasts_until - now < timedelta(days=_LOW_DAYS),
        grants=rows,
        next_to_expire=_next_to_expire(session, rows, now=now),
        sums=add_up(live.grants, zone=known_zone(zone)) if shown == live.balance.balance + live.balance.debt else None,
        disputed=sum(g.remaining - g.held for g in live.grants if reasons.get(g.grant_id) == FREEZE_REASON),
        more=max(live.balance.balance + live.balance.debt - shown, 0),
        holds=_hold_rows(session, account_id) if live.balance.held else [],
        next_grant=None,
        trouble=None,
        latest=rows_of(session, page.entries),
    )


def free_lots(live: Live) -> list[Lot]:
    """What can be spent, in the order of spending; what stands on no line of its own is taken to expire never."""
    lots = [(grant.remaining - grant.held, grant.expires_at) for grant in live.grants if not grant.frozen]
    rest = live.balance.available - sum(amount for amount, _expires_at in lots)
    return [*lots, (rest, None)] if rest > 0 else lots


def _why_frozen(session: Session, live: Live) -> dict[int, str]:
    """Why grants on the page are frozen, by their id."""
    account_id = next((grant.account_id for grant in live.grants if grant.frozen), None)
    return {} if account_id is None else ledger.frozen_for(session, account_id=account_id)


def _frozen_words(reason: str | None) -> str:
    if reason is None:
        return ""
    return _("frozen, its payment is disputed") if reason == FREEZE_REASON else _("frozen")


def _grant_rows(live: Live, pace: Pace, now: datetime, reasons: dict[int, str]) -> list[GrantRow]:
    rows: list[GrantRow] = []
    before = 0
    turns = pace.turns([(grant.remaining, grant.expires_at) for grant in live.grants], now=now)
    for grant, turn in zip(live.grants, turns, strict=True):
        before += grant.remaining
        tint = next((s.tint for s in live.segments if before <= s.start + s.amount), 4)
        rows.append(
            GrantRow(
                name=shorten(grant_name(grant), 100),
                tint=tint,
                grant=grant,
                spent_by=turn.ends_at,
                late=turn.late,
                frozen=_frozen_words(reasons.get(grant.grant_id)),
            )
        )
    return rows


def _next_to_expire(session: Session, rows: list[GrantRow], *, now: datetime) -> NextToExpire | None:
    """All that ends at the same moment, for people reckon by days and not by grants."""
    ends = [(row.grant.expires_at, row) for row in rows if row.grant.expires_at is not None]
    if not ends:
        return None
    at = min(moment for moment, _row in ends)
    those = [row for moment, row in ends if moment == at]
    caps = taken_over_soon(session, grants=[(row.grant.account_id, row.grant.grant_id) for row in those], now=now)
    return NextToExpire(
        amount=sum(row.grant.remaining for row in those),
        carried=sum(min(row.grant.remaining, caps.get((row.grant.account_id, row.grant.grant_id), 0)) for row in those),
        at=at,
        spent_by=those[-1].spent_by,
        late=any(row.late for row in those),
    )


def _hold_rows(session: Session, account_id: int) -> list[HoldRow]:
    holds = ledger.open_holds(session, account_id=account_id, limit=HOLDS)
    return [HoldRow(name=shorten(hold_name(session, hold), 100), hold=hold) for hold in holds]


def _stick(live: Live, pace: Pace, now: datetime) -> Stick:
    segments = [replace(segment, label=segment_label(segment)) for segment in live.segments]
    return Stick(
        total=live.total,
        held=live.balance.held,
        pace=pace.per_day,
        segments=segments,
        dates=_clear_of(segments, _dates(live, pace, now), live.total),
    )


def _dates(live: Live, pace: Pace, now: datetime) -> list[Mark]:
    """Three days on the way and the last one, where the pace gets there; what has expired by then is never reached."""
    lots: list[Lot] = [(grant.remaining, grant.expires_at) for grant in live.grants]
    rest = live.total - sum(amount for amount, _expires_at in lots)
    every = [*lots, (rest, None)] if rest > 0 else lots
    turns = list(zip(every, pace.turns(every, now=now), strict=True))
    marks: list[Mark] = []
    for part in (1, 2, 3, 4):
        place = live.total * part / 4
        if reached := _day_of(place, turns, pace):
            marks.append(Mark(place=place, label=short_day(reached)))
    soon = bool(turns) and turns[-1][1].ends_at is not None and turns[-1][1].ends_at - now < timedelta(days=2)
    return [] if soon else marks


def _day_of(place: float, turns: list[tuple[Lot, Turn]], pace: Pace) -> datetime | None:
    """When so many credits, in the order of spending, are spent; None for those that expire before."""
    before = 0
    for (amount, expires_at), turn in turns:
        if place <= before + amount:
            reached = pace.reached_at(place - before, now=turn.begins_at) if turn.begins_at is not None else None
            return None if reached is None or (expires_at is not None and reached > expires_at) else reached
        before += amount
    return None


def _clear_of(segments: list[Segment], dates: list[Mark], total: int) -> list[Mark]:
    """The days whose words no line between two segments would cross."""
    starts = [segment.start for segment in segments]
    return [d for d in dates if d.place == total or not any(d.place < s < d.place + total * 0.07 for s in starts)]


def _chart(pace: Pace) -> Chart:
    peak = max(spent for _day, spent in pace.days)
    step = scale_steps(max(peak, 1))[2]
    days = pace.days
    labels = [(n, short_day(days[n][0])) for n in (2, 9, 16, 23)]
    return Chart(
        bars=[(place, spent) for place, (_day, spent) in enumerate(days)],
        top=-(-max(peak, 1) // step) * step,
        step=step,
        labels=[*labels, (len(days), _("Today"))],
        peak=peak,
    )


def in_words(overview: Overview) -> str:
    """The stick's title: the same facts as text."""
    parts = [
        _("%(amount)s expire on %(day)s", amount=credits_number(row.grant.remaining), day=day(row.grant.expires_at))
        if row.grant.expires_at
        else _("%(amount)s never expire", amount=credits_number(row.grant.remaining))
        for row in overview.grants[:6]
    ]
    if len(overview.grants) > 6 or overview.more:
        parts.append(_("the rest stands in the table below"))
    words: str = _(
        "Balance of %(total)s credits as a stick in the order of spending: %(parts)s.",
        total=compact(overview.live.total),
        parts=", ".join(parts),
    )
    return words
