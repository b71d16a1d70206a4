"""/admin/purchases: who bought what, and what became of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Row, func, select

from webapp.admin.listing import Column, Filter, Listing, Rows, Sort, list_csv, list_page
from webapp.admin.money_words import PURCHASE_STATES, options, said
from webapp.admin.whose import account_named
from webapp.billing.dispute import Dispute
from webapp.billing.purchase import Purchase
from webapp.billing.refund import Refund
from webapp.catalog.package import Package
from webapp.extensions import db
from webapp.people.roles import require_role
from webapp.people.user import User

pages = Blueprint("admin_purchases", __name__)


def _selection(values: Mapping[str, str]) -> Rows:
    statement: Rows = select(
        Purchase.id,
        Purchase.created_at,
        Purchase.account_id,
        func.coalesce(User.email, Purchase.external_id).label("who"),
        Purchase.package,
        Purchase.credits,
        Purchase.price_minor,
        Purchase.currency,
        Purchase.state,
        (Purchase.refunded_minor + Purchase.lost_minor).label("gone_minor"),
    ).outerjoin(User, User.id == Purchase.user_id)
    if values.get("state") in PURCHASE_STATES:
        statement = statement.where(Purchase.state == values["state"])
    if "package" in values:
        statement = statement.where(Purchase.package == values["package"])
    if "of" in values:
        statement = statement.where(_is_about(values["of"]))
    return statement


def _is_about(text: str) -> ColumnElement[bool]:
    """By the account, the buyer's address, the number, or any id of Stripe's that we keep."""
    if text.startswith("cs_"):
        return Purchase.stripe_session_id == text
    if text.startswith("pi_"):
        return Purchase.stripe_payment_intent_id == text
    if text.startswith("re_"):
        return Purchase.id == select(Refund.purchase_id).where(Refund.stripe_refund_id == text).scalar_subquery()
    if text.startswith(("du_", "dp_")):
        return Purchase.id == select(Dispute.purchase_id).where(Dispute.stripe_dispute_id == text).scalar_subquery()
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return Purchase.id == int(text)
    return Purchase.account_id == account_named(text)


def _who(row: Row[Any]) -> tuple[str, str]:
    return f"/admin/accounts/{row.account_id}", row.who


def _packages() -> Sequence[tuple[str, object]]:
    return [(code, code) for code in db.session.scalars(select(Package.code).order_by(Package.code))]


def _gone(row: Row[Any]) -> tuple[int, str] | None:
    return (row.gone_minor, row.currency) if row.gone_minor else None


LISTING = Listing(
    key="purchases",
    title=_l("Purchases"),
    path="/admin/purchases",
    id=Purchase.id,
    selection=_selection,
    columns=(
        Column(key="id", label=_l("Purchase"), show=lambda row: (f"/admin/purchases/{row.id}", row.id), kind="link"),
        Column(key="at", label=_l("Time"), show=lambda row: row.created_at, kind="moment"),
        Column(
            key="who", label=_l("Who"), show=lambda row: (f"/admin/accounts/{row.account_id}", row.who), kind="link"
        ),
        Column(key="package", label=_l("Package"), show=lambda row: row.package, kind="code"),
        Column(key="credits", label=_l("Credits"), show=lambda row: row.credits, kind="credits"),
        Column(key="price", label=_l("Price"), show=lambda row: (row.price_minor, row.currency), kind="money"),
        Column(
            key="state",
            label=_l("State"),
            show=lambda row: said(PURCHASE_STATES, row.state),
            csv=lambda row: row.state,
        ),
        Column(key="gone", label=_l("Given back"), show=_gone, kind="money"),
    ),
    sorts=(
        Sort(key="newest", label=_l("Newest first"), by=Purchase.id),
        Sort(key="oldest", label=_l("Oldest first"), by=Purchase.id, ascending=True),
    ),
    filters=(
        Filter(key="state", label=_l("State"), options=lambda: options(PURCHASE_STATES)),
        Filter(key="package", label=_l("Package"), options=_packages),
        Filter(key="of", label=_l("Email, account or Stripe id")),
    ),
    empty=_l("Nobody has bought anything yet"),
)


@pages.get(LISTING.path)
@require_role("finance", "support")
def purchases() -> ResponseReturnValue:
    """The newest purchases, or those that are asked for."""
    return list_page(LISTING)


@pages.get(f"{LISTING.path}.csv")
@require_role("finance", "support")
def purchases_csv() -> Response:
    """The same as CSV."""
    return list_csv(LISTING)
