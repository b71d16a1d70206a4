"""/admin/invoices: what subscriptions were billed, what came of it, and whether it was credited."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Row, func, select

from webapp.admin.listing import Column, Filter, Listing, Rows, Sort, list_csv, list_page
from webapp.admin.money_words import INVOICE_REASONS, INVOICE_STATES, options, said
from webapp.admin.whose import account_named
from webapp.billing.subscription import Subscription, SubscriptionInvoice
from webapp.people.roles import require_role

pages = Blueprint("admin_invoices", __name__)


def _selection(values: Mapping[str, str]) -> Rows:
    statement: Rows = select(
        SubscriptionInvoice.stripe_invoice_id,
        SubscriptionInvoice.stripe_payment_intent_id,
        SubscriptionInvoice.subscription_id,
        SubscriptionInvoice.created_at,
        Subscription.plan,
        SubscriptionInvoice.billing_reason,
        SubscriptionInvoice.status,
        SubscriptionInvoice.total_minor,
        SubscriptionInvoice.paid_minor,
        func.upper(SubscriptionInvoice.currency).label("currency"),
        SubscriptionInvoice.applied_at,
    ).join(Subscription, Subscription.id == SubscriptionInvoice.subscription_id)
    if values.get("status") in INVOICE_STATES:
        statement = statement.where(SubscriptionInvoice.status == values["status"])
    if "of" in values:
        statement = statement.where(_is_about(values["of"]))
    return statement


def _is_about(text: str) -> ColumnElement[bool]:
    if text.startswith("in_"):
        return SubscriptionInvoice.stripe_invoice_id == text
    if text.startswith("pi_"):
        return SubscriptionInvoice.stripe_payment_intent_id == text
    if text.startswith("sub_"):
        named = select(Subscription.id).where(Subscription.stripe_subscription_id == text)
        return SubscriptionInvoice.subscription_id == named.scalar_subquery()
    return SubscriptionInvoice.account_id == account_named(text)


def _where(row: Row[Any]) -> tuple[str, str]:
    paid = row.stripe_payment_intent_id if row.paid_minor else None
    place = f"/admin/payments/{paid}" if paid else f"/admin/subscriptions/{row.subscription_id}"
    return place, row.stripe_invoice_id


LISTING = Listing(
    key="invoices",
    title=_l("Invoices"),
    path="/admin/invoices",
    id=SubscriptionInvoice.stripe_invoice_id,
    selection=_selection,
    columns=(
        Column(key="id", label=_l("Invoice"), show=_where, kind="link"),
        Column(key="at", label=_l("Time"), show=lambda row: row.created_at, kind="moment"),
        Column(key="plan", label=_l("Plan"), show=lambda row: row.plan, kind="code"),
        Column(key="reason", label=_l("For"), show=lambda row: said(INVOICE_REASONS, row.billing_reason)),
        Column(
            key="status",
            label=_l("State"),
            show=lambda row: said(INVOICE_STATES, row.status),
            csv=lambda row: row.status,
        ),
        Column(key="total", label=_l("Total"), show=lambda row: (row.total_minor, row.currency), kind="money"),
        Column(key="paid", label=_l("Amount paid"), show=lambda row: (row.paid_minor, row.currency), kind="money"),
        Column(key="applied", label=_l("Credited"), show=lambda row: row.applied_at, kind="moment"),
    ),
    sorts=(Sort(key="newest", label=_l("Newest first"), by=SubscriptionInvoice.created_at),),
    filters=(
        Filter(key="status", label=_l("State"), options=lambda: options(INVOICE_STATES)),
        Filter(key="of", label=_l("Email, account or Stripe id")),
    ),
    empty=_l("No subscription was billed yet"),
)


@pages.get(LISTING.path)
@require_role("finance", "support")
def invoices() -> ResponseReturnValue:
    """The newest invoices, or those that are asked for."""
    return list_page(LISTING)


@pages.get(f"{LISTING.path}.csv")
@require_role("finance", "support")
def invoices_csv() -> Response:
    """The same as CSV."""
    return list_csv(LISTING)
