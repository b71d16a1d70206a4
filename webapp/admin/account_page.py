"""/admin/accounts/<id>: whose it is, what it has and why, and what can be done about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.account_words.entry_rows import Row, by_day, rows_of
from webapp.account_words.naming import KINDS, grant_name, hold_name, kind_label, shorten
from webapp.account_words.stick import Stick, segment_label, segments_of
from webapp.admin.account_take_back import can_be_taken_back
from webapp.admin.act_words import act_words
from webapp.admin.acts import ACTS
from webapp.admin.audit import AuditLine
from webapp.admin.money_words import PURCHASE_STATES, SUBSCRIPTION_STATES, said
from webapp.billing.dispute import FREEZE_REASON
from webapp.billing.entitlement import Entitlement, running
from webapp.billing.purchase import Purchase
from webapp.billing.stripe_api import mode
from webapp.billing.subscription import Subscription
from webapp.database import unit_of_work
from webapp.i18n.locale import known_zone
from webapp.ledger import Account, Balance, Grant, Hold
from webapp.people.roles import require_role
from webapp.people.suspension import Suspension, find_suspension
from webapp.people.user import User

PAGE = 50
GRANTS = 100
HOLDS = 50
LATEST = 10

Found = TypeVar("Found", Purchase, Subscription, AuditLine)


@dataclass(frozen=True, kw_only=True)
class GrantLine:
    """A grant that has credits left; `frozen` says why it pays for nothing, empty when it does."""

    grant: Grant
    name: str
    tint: int
    frozen: str
    by_admin: bool
    can_be_taken_back: bool


@dataclass(frozen=True, kw_only=True)
class HoldLine:
    """Credits reserved for what is not done yet."""

    hold: Hold
    name: str


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A page of the ledger, by the reader's days; `kind` is the one that was asked for."""

    days: list[tuple[date, list[Row]]]
    kinds: list[tuple[str, str]]
    kind: str
    is_first: bool
    next: int | None
    path: str

    def href(self, before: int | None = None) -> str:
        query = urlencode({name: value for name, value in (("kind", self.kind), ("before", before)) if value})
        return f"{self.path}?{query}#timeline" if query else f"{self.path}#timeline"


@dataclass(frozen=True, kw_only=True)
class AccountView:
    """Everything that the page shows; `more` are credits in grants that stand on no line of their own."""

    account: Account
    user: User | None
    suspension: Suspension | None
    balance: Balance
    stick: Stick | None
    grants: list[GrantLine]
    more: int
    holds: list[HoldLine]
    timeline: Timeline
    purchases: Sequence[Purchase]
    plans: Sequence[Entitlement]
    subscriptions: Sequence[Subscription]
    audit: Sequence[AuditLine]
    now: datetime


@require_role("finance", "support")
def show_account(account_id: int) -> ResponseReturnValue:
    """The page; a bounded number of statements, however much has happened."""
    try:
        with unit_of_work() as session:
            view = read_account(
                session,
                account_id=account_id,
                kind=request.args.get("kind", ""),
                before=_cursor(request.args.get("before", "")),
                zone=known_zone(current_user.time_zone),
            )
    except ledger.AccountNotFound:
        abort(404)
    open_to_me = {key: act.is_open_to(current_user.role or "") for key, act in ACTS.items()}
    return render_template(
        "admin/accounts/account.html",
        v=view,
        a=view.account,
        b=view.balance,
        may=open_to_me,
        act_label=act_words,
        said_of_purchase=partial(said, PURCHASE_STATES),
        said_of_subscription=partial(said, SUBSCRIPTION_STATES),
    )


def read_account(session: Session, *, account_id: int, kind: str, before: int | None, zone: tzinfo) -> AccountView:
    """The account as it is now, and a page of its entries. Raises AccountNotFound."""
    account = ledger.get_account(session, account_id=account_id)
    now = ledger.now(session)
    balance = ledger.balance(session, account_id=account_id)
    grants = ledger.open_grants(session, account_id=account_id, limit=GRANTS)
    has = max(balance.balance + balance.debt, 0)
    segments, total = segments_of(grants, balance=has)
    segments = [replace(segment, label=segment_label(segment)) for segment in segments]
    return AccountView(
        account=account,
        user=session.scalars(select(User).where(User.account_id == account_id)).one_or_none(),
        suspension=find_suspension(session, account_id=account_id),
        balance=balance,
        stick=Stick(total=total, held=balance.held, pace=0, segments=segments, dates=[]) if total else None,
        grants=_grant_lines(session, grants, tints=[(s.start + s.amount, s.tint) for s in segments]),
        more=max(has - sum(grant.remaining for grant in grants), 0),
        holds=_hold_lines(session, account_id) if balance.held else [],
        timeline=_timeline(session, account_id=account_id, kind=kind, before=before, zone=zone),
        purchases=_newest(session, Purchase, account_id),
        plans=running(session, account_id=account_id, mode=mode(), now=now),
        subscriptions=_newest(session, Subscription, account_id),
        audit=_newest(session, AuditLine, account_id),
        now=now,
    )


def _newest(session: Session, model: type[Found], account_id: int) -> Sequence[Found]:
    found = select(model).where(model.account_id == account_id).order_by(model.id.desc()).limit(LATEST)
    return session.scalars(found).all()


def _grant_lines(session: Session, grants: list[Grant], *, tints: list[tuple[int, int]]) -> list[GrantLine]:
    """Each with the colour of its stretch of the stick."""
    account_id = next((grant.account_id for grant in grants if grant.frozen), None)
    reasons = {} if account_id is None else ledger.frozen_for(session, account_id=account_id)
    lines: list[GrantLine] = []
    before = 0
    for grant in grants:
        before += grant.remaining
        reason = reasons.get(grant.grant_id)
        lines.append(
            GrantLine(
                grant=grant,
                name=shorten(grant_name(grant), 100),
                tint=next((tint for end, tint in tints if before <= end), 4),
                frozen=_frozen_words(reason),
                by_admin=reason is not None and reason != FREEZE_REASON,
                can_be_taken_back=can_be_taken_back(grant),
            )
        )
    return lines


def _frozen_words(reason: str | None) -> str:
    if reason is None:
        return ""
    return str(_("frozen, its payment is disputed") if reason == FREEZE_REASON else _("frozen by an admin"))


def _hold_lines(session: Session, account_id: int) -> list[HoldLine]:
    holds = ledger.open_holds(session, account_id=account_id, limit=HOLDS)
    return [HoldLine(hold=hold, name=shorten(hold_name(session, hold), 100)) for hold in holds]


def _timeline(session: Session, *, account_id: int, kind: str, before: int | None, zone: tzinfo) -> Timeline:
    kind = kind if kind in KINDS else ""
    kinds = {"": None, "grant": ["grant", "purchase"]}.get(kind, [kind])
    page = ledger.entries(session, account_id=account_id, before=before, limit=PAGE, kinds=kinds)
    return Timeline(
        days=by_day(rows_of(session, page.entries), zone=zone),
        kinds=[("", _("All kinds")), *((one, kind_label(one)) for one in KINDS)],
        kind=kind,
        is_first=before is None,
        next=page.next_before,
        path=f"/admin/accounts/{account_id}",
    )


def _cursor(raw: str) -> int | None:
    """The entry before which the page begins; None for the newest, and for what is no number of an entry."""
    return int(raw) if raw.isascii() and raw.isdecimal() and 0 < len(raw) < 19 and int(raw) else None
