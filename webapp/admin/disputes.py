"""/admin/disputes: payments that a buyer's bank asks back, until when to answer, and what is frozen meanwhile."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Row, column, func, select, table

from webapp.admin.listing import Column, Filter, Listing, Rows, Sort, list_csv, list_page
from webapp.admin.money_words import DISPUTE_REASONS, DISPUTE_STATES, options, said
from webapp.admin.stripe_links import stripe_link
from webapp.billing.dispute import FROZEN_STATES, Dispute
from webapp.billing.plan_order import PlanOrder
from webapp.billing.purchase import Purchase
from webapp.billing.subscription import SubscriptionInvoice
from webapp.people.roles import require_role

pages = Blueprint("admin_disputes", __name__)

WAITING = "waiting"
_DUE = func.coalesce(Dispute.evidence_due_at, Dispute.opened_at)
_GRANTS = table(
    "grants_v", column("account_id"), column("grant_id"), column("remaining"), column("held"), schema="ledger"
)
_FREEZES = table(
    "freezes_v",
    column("account_id"),
    column("grant_id"),
    column("reference"),
    column("unfrozen_at"),
    schema="ledger",
)


def _selection(values: Mapping[str, str]) -> Rows:
    """Whose it is follows from what was paid; an account's few freezes are looked through for the dispute's."""
    account_id = func.coalesce(Purchase.account_id, SubscriptionInvoice.account_id, PlanOrder.account_id)
    frozen = (
        select(func.sum(_GRANTS.c.remaining - _GRANTS.c.held))
        .select_from(_FREEZES)
        .join(_GRANTS, (_GRANTS.c.account_id == _FREEZES.c.account_id) & (_GRANTS.c.grant_id == _FREEZES.c.grant_id))
        .where(
            _FREEZES.c.account_id == account_id,
            _FREEZES.c.reference == Dispute.stripe_dispute_id,
            _FREEZES.c.unfrozen_at.is_(None),
        )
        .scalar_subquery()
    )
    statement: Rows = (
        select(
            Dispute.stripe_dispute_id,
            Dispute.mode,
            Dispute.purchase_id,
            Dispute.stripe_payment_intent_id,
            Dispute.opened_at,
            Dispute.evidence_due_at,
            Dispute.amount_minor,
            Dispute.currency,
            Dispute.reason,
            Dispute.state,
            account_id.label("account_id"),
            frozen.label("frozen"),
        )
        .outerjoin(Purchase, Purchase.id == Dispute.purchase_id)
        .outerjoin(
            SubscriptionInvoice, SubscriptionInvoice.stripe_payment_intent_id == Dispute.stripe_payment_intent_id
        )
        .outerjoin(PlanOrder, PlanOrder.stripe_payment_intent_id == Dispute.stripe_payment_intent_id)
    )
    if values.get("state") == WAITING:
        statement = statement.where(Dispute.state.in_(FROZEN_STATES))
    elif values.get("state") in DISPUTE_STATES:
        statement = statement.where(Dispute.state == values["state"])
    if "of" in values:
        statement = statement.where(_is_about(values["of"]))
    return statement


def _is_about(text: str) -> ColumnElement[bool]:
    return Dispute.stripe_payment_intent_id == text if text.startswith("pi_") else Dispute.stripe_dispute_id == text


def _paid(row: Row[Any]) -> tuple[str, str]:
    if row.purchase_id is not None:
        return f"/admin/purchases/{row.purchase_id}", row.stripe_payment_intent_id
    return f"/admin/payments/{row.stripe_payment_intent_id}", row.stripe_payment_intent_id


def _frozen(row: Row[Any]) -> int | None:
    return int(row.frozen) if row.frozen is not None else None


def _at_stripe(row: Row[Any]) -> tuple[str, str] | str:
    link = stripe_link(row.stripe_dispute_id, mode=row.mode)
    return (link, row.stripe_dispute_id) if link else row.stripe_dispute_id


LISTING = Listing(
    key="disputes",
    title=_l("Disputes"),
    path="/admin/disputes",
    id=Dispute.stripe_dispute_id,
    selection=_selection,
    columns=(
        Column(key="id", label=_l("At Stripe"), show=_at_stripe, kind="link"),
        Column(key="due", label=_l("Answer until"), show=lambda row: row.evidence_due_at, kind="moment"),
        Column(key="amount", label=_l("Amount"), show=lambda row: (row.amount_minor, row.currency), kind="money"),
        Column(
            key="state", label=_l("State"), show=lambda row: said(DISPUTE_STATES, row.state), csv=lambda row: row.state
        ),
        Column(
            key="frozen", label=_l("Credits frozen"), show=lambda row: row.frozen and int(row.frozen), kind="credits"
        ),
        Column(key="reason", label=_l("Reason"), show=lambda row: said(DISPUTE_REASONS, row.reason)),
        Column(key="payment", label=_l("Payment"), show=_paid, kind="link"),
        Column(
            key="account",
            label=_l("Account"),
            show=lambda row: row.account_id and (f"/admin/accounts/{row.account_id}", row.account_id),
            kind="link",
        ),
        Column(key="at", label=_l("Opened"), show=lambda row: row.opened_at, kind="moment"),
    ),
    sorts=(
        Sort(key="newest", label=_l("Newest first"), by=Dispute.opened_at),
        Sort(key="due", label=_l("To be answered first"), by=_DUE, ascending=True),
    ),
    filters=(
        Filter(
            key="state",
            label=_l("State"),
            options=lambda: [(WAITING, _l("Not settled yet")), *options(DISPUTE_STATES)],
        ),
        Filter(key="of", label=_l("Any id of Stripe’s"), placeholder="du_… pi_…"),
    ),
    empty=_l("No payment was disputed yet"),
    lead=_l("Answer them at Stripe before the date. What is left of the credits is frozen until the bank has decided."),
)


@pages.get(LISTING.path)
@require_role("finance")
def disputes() -> ResponseReturnValue:
    """The newest disputes, or those that are asked for."""
    return list_page(LISTING)


@pages.get(f"{LISTING.path}.csv")
@require_role("finance")
def disputes_csv() -> Response:
    """The same as CSV."""
    return list_csv(LISTING)
