"""/admin/subscriptions: who is on which plan at Stripe, until when, and what follows."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, abort, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Row, func, select

from webapp.admin.listing import Column, Filter, Listing, Rows, Sort, list_csv, list_page
from webapp.admin.money_words import INVOICE_REASONS, INVOICE_STATES, SUBSCRIPTION_STATES, options, said
from webapp.admin.refund_rows import event_rows
from webapp.admin.whose import account_named
from webapp.billing.entitlement import Entitlement
from webapp.billing.events_about import events_about
from webapp.billing.subscription import Subscription, SubscriptionInvoice
from webapp.catalog.plan import Plan
from webapp.database import unit_of_work
from webapp.extensions import db
from webapp.i18n.formats import day
from webapp.people.roles import require_role
from webapp.people.user import User

pages = Blueprint("admin_subscriptions", __name__)

MOST_ROWS = 50


def _selection(values: Mapping[str, str]) -> Rows:
    statement: Rows = select(
        Subscription.id,
        Subscription.created_at,
        Subscription.account_id,
        func.coalesce(User.email, Subscription.external_id).label("who"),
        Subscription.plan,
        Subscription.price_minor,
        Subscription.currency,
        Subscription.status,
        Subscription.period_ends_at,
        Subscription.cancel_at_period_end,
        Subscription.pending_plan,
        Subscription.ended_at,
        Subscription.reason,
    ).outerjoin(User, User.id == Subscription.user_id)
    if values.get("status") in SUBSCRIPTION_STATES:
        statement = statement.where(Subscription.status == values["status"])
    if "plan" in values:
        statement = statement.where(Subscription.plan == values["plan"])
    if "of" in values:
        statement = statement.where(_is_about(values["of"]))
    return statement


def _is_about(text: str) -> ColumnElement[bool]:
    if text.startswith("sub_"):
        return Subscription.stripe_subscription_id == text
    if text.startswith("in_"):
        named = select(SubscriptionInvoice.subscription_id).where(SubscriptionInvoice.stripe_invoice_id == text)
        return Subscription.id == named.scalar_subquery()
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return Subscription.id == int(text)
    return Subscription.account_id == account_named(text)


def what_follows(row: Row[Any] | Subscription) -> str:
    """What happens to it by itself: it ends, or another plan follows; empty where it goes on."""
    if row.ended_at is not None:
        return str(_("Ended on %(day)s", day=day(row.ended_at)))
    if not row.cancel_at_period_end or row.period_ends_at is None:
        return ""
    if row.pending_plan:
        return str(_("%(plan)s follows on %(day)s", plan=row.pending_plan, day=day(row.period_ends_at)))
    return str(_("Ends on %(day)s", day=day(row.period_ends_at)))


def _who(row: Row[Any]) -> tuple[str, str]:
    return f"/admin/accounts/{row.account_id}", row.who


def _plans() -> Sequence[tuple[str, object]]:
    return [(code, code) for code in db.session.scalars(select(Plan.code).order_by(Plan.code))]


LISTING = Listing(
    key="subscriptions",
    title=_l("Subscriptions"),
    path="/admin/subscriptions",
    id=Subscription.id,
    selection=_selection,
    columns=(
        Column(
            key="id", label=_l("Subscription"), show=lambda row: (f"/admin/subscriptions/{row.id}", row.id), kind="link"
        ),
        Column(key="at", label=_l("Time"), show=lambda row: row.created_at, kind="moment"),
        Column(
            key="who", label=_l("Who"), show=lambda row: (f"/admin/accounts/{row.account_id}", row.who), kind="link"
        ),
        Column(key="plan", label=_l("Plan"), show=lambda row: row.plan, kind="code"),
        Column(
            key="status",
            label=_l("State"),
            show=lambda row: said(SUBSCRIPTION_STATES, row.status),
            csv=lambda row: row.status,
        ),
        Column(key="price", label=_l("Price"), show=lambda row: (row.price_minor, row.currency), kind="money"),
        Column(key="ends", label=_l("Paid until"), show=lambda row: row.period_ends_at, kind="moment"),
        Column(key="then", label=_l("What follows"), show=what_follows),
    ),
    sorts=(
        Sort(key="newest", label=_l("Newest first"), by=Subscription.id),
        Sort(key="oldest", label=_l("Oldest first"), by=Subscription.id, ascending=True),
    ),
    filters=(
        Filter(key="status", label=_l("State"), options=lambda: options(SUBSCRIPTION_STATES)),
        Filter(key="plan", label=_l("Plan"), options=_plans),
        Filter(key="of", label=_l("Email, account or Stripe id")),
    ),
    empty=_l("Nobody has subscribed yet"),
    lead=_l("Plans that are paid each month or year. Invoices and orders are lists of their own."),
)


@pages.get(LISTING.path)
@require_role("finance", "support")
def subscriptions() -> ResponseReturnValue:
    """The newest subscriptions, or those that are asked for."""
    return list_page(LISTING, template="admin/money/subscriptions.html")


@pages.get(f"{LISTING.path}.csv")
@require_role("finance", "support")
def subscriptions_csv() -> Response:
    """The same as CSV."""
    return list_csv(LISTING)


@pages.get(f"{LISTING.path}/<number:subscription_id>")
@require_role("finance", "support")
def subscription(subscription_id: int) -> ResponseReturnValue:
    """One subscription: its plan, what follows, the terms that its holder is on, its invoices and events."""
    with unit_of_work() as session:
        found = session.get(Subscription, subscription_id)
        if found is None:
            abort(404)
        invoices = session.scalars(
            select(SubscriptionInvoice)
            .where(SubscriptionInvoice.subscription_id == found.id)
            .order_by(SubscriptionInvoice.created_at.desc(), SubscriptionInvoice.stripe_invoice_id.desc())
            .limit(MOST_ROWS)
        ).all()
        stretches = session.scalars(
            select(Entitlement)
            .where(Entitlement.subscription_id == found.id)
            .order_by(Entitlement.starts_at.desc())
            .limit(MOST_ROWS)
        ).all()
        ids = [found.stripe_subscription_id, *(one.stripe_invoice_id for one in invoices)]
        return render_template(
            "admin/money/subscription.html",
            subscription=found,
            who=session.scalar(select(User.email).where(User.id == found.user_id)) or found.external_id,
            state=said(SUBSCRIPTION_STATES, found.status),
            then=what_follows(found),
            invoices=[
                (one, said(INVOICE_STATES, one.status), said(INVOICE_REASONS, one.billing_reason)) for one in invoices
            ],
            stretches=stretches,
            events=event_rows(events_about(session, ids=ids, limit=MOST_ROWS)),
        )
