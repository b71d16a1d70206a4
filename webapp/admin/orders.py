"""/admin/orders: checkouts of plans, those of plans for life among them, and what became of each."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy import ColumnElement, Row, func, select

from webapp.admin.listing import Column, Filter, Listing, Rows, Sort, list_csv, list_page
from webapp.admin.money_words import PURCHASE_STATES, options, said
from webapp.admin.whose import account_named
from webapp.billing.plan_order import PlanOrder
from webapp.billing.subscription import Subscription
from webapp.people.roles import require_role
from webapp.people.user import User

pages = Blueprint("admin_orders", __name__)

BILLED: Mapping[str, object] = {
    "monthly": lazy_pgettext("billed", "each month"),
    "yearly": lazy_pgettext("billed", "each year"),
    "once": lazy_pgettext("billed", "once, for life"),
}


def _selection(values: Mapping[str, str]) -> Rows:
    statement: Rows = (
        select(
            PlanOrder.id,
            PlanOrder.created_at,
            PlanOrder.account_id,
            func.coalesce(User.email, PlanOrder.external_id).label("who"),
            PlanOrder.plan,
            PlanOrder.billed,
            PlanOrder.price_minor,
            PlanOrder.currency,
            PlanOrder.state,
            PlanOrder.reason,
            PlanOrder.stripe_payment_intent_id,
            Subscription.id.label("subscription_id"),
        )
        .outerjoin(User, User.id == PlanOrder.user_id)
        .outerjoin(Subscription, Subscription.stripe_subscription_id == PlanOrder.stripe_subscription_id)
    )
    if values.get("state") in PURCHASE_STATES:
        statement = statement.where(PlanOrder.state == values["state"])
    if "of" in values:
        statement = statement.where(_is_about(values["of"]))
    return statement


def _is_about(text: str) -> ColumnElement[bool]:
    for beginning, named in (
        ("cs_", PlanOrder.stripe_session_id),
        ("pi_", PlanOrder.stripe_payment_intent_id),
        ("sub_", PlanOrder.stripe_subscription_id),
    ):
        if text.startswith(beginning):
            return named == text
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return PlanOrder.id == int(text)
    return PlanOrder.account_id == account_named(text)


def _order(row: Row[Any]) -> tuple[str, int] | str:
    """The number, with the way to what it became."""
    if row.subscription_id is not None:
        return f"/admin/subscriptions/{row.subscription_id}", row.id
    if row.stripe_payment_intent_id is not None:
        return f"/admin/payments/{row.stripe_payment_intent_id}", row.id
    return str(row.id)


def _who(row: Row[Any]) -> tuple[str, str]:
    return f"/admin/accounts/{row.account_id}", row.who


LISTING = Listing(
    key="orders",
    title=_l("Orders of plans"),
    path="/admin/orders",
    id=PlanOrder.id,
    selection=_selection,
    columns=(
        Column(key="id", label=_l("Order of a plan"), show=_order, kind="link"),
        Column(key="at", label=_l("Time"), show=lambda row: row.created_at, kind="moment"),
        Column(key="who", label=_l("Who"), show=_who, kind="link"),
        Column(key="plan", label=_l("Plan"), show=lambda row: row.plan, kind="code"),
        Column(key="billed", label=_l("Billed"), show=lambda row: said(BILLED, row.billed), csv=lambda row: row.billed),
        Column(key="price", label=_l("Price"), show=lambda row: (row.price_minor, row.currency), kind="money"),
        Column(
            key="state",
            label=_l("State"),
            show=lambda row: said(PURCHASE_STATES, row.state),
            csv=lambda row: row.state,
        ),
        Column(key="reason", label=_l("Why"), show=lambda row: row.reason),
    ),
    sorts=(
        Sort(key="newest", label=_l("Newest first"), by=PlanOrder.id),
        Sort(key="oldest", label=_l("Oldest first"), by=PlanOrder.id, ascending=True),
    ),
    filters=(
        Filter(key="state", label=_l("State"), options=lambda: options(PURCHASE_STATES)),
        Filter(key="of", label=_l("Email, account or Stripe id")),
    ),
    empty=_l("Nobody has ordered a plan yet"),
)


@pages.get(LISTING.path)
@require_role("finance", "support")
def orders() -> ResponseReturnValue:
    """The newest orders, or those that are asked for."""
    return list_page(LISTING)


@pages.get(f"{LISTING.path}.csv")
@require_role("finance", "support")
def orders_csv() -> Response:
    """The same as CSV."""
    return list_csv(LISTING)
