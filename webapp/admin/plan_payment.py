"""/admin/payments/<pi>: one payment for a plan, of an invoice or of a plan for life, and what it paid for."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, abort, redirect, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.admin.refund_rows import dispute_rows, event_rows, refund_rows
from webapp.billing.dispute import Dispute
from webapp.billing.events_about import charge_among, events_about
from webapp.billing.plan_grants import periods_paid_by
from webapp.billing.plan_order import find_order_by_payment
from webapp.billing.plan_reversals import PlanReversal
from webapp.billing.purchase import find_by_payment_intent
from webapp.billing.refund import Refund
from webapp.billing.stripe_api import mode
from webapp.billing.subscription import Subscription, find_invoice_by_payment
from webapp.database import unit_of_work
from webapp.people.roles import require_role
from webapp.people.user import User

pages = Blueprint("admin_plan_payment", __name__)

MOST_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class PlanPayment:
    """What was paid by it: one invoice of a subscription, or one order for life."""

    payment_intent_id: str
    account_id: int
    external_id: str
    paid_minor: int
    currency: str
    paid_at: datetime | None
    mode: str
    plan: str
    invoice_id: str | None = None
    subscription_id: int | None = None
    order_id: int | None = None
    session_id: str | None = None


@pages.get("/admin/payments/<stripe:payment_intent_id>")
@require_role("finance", "support")
def payment(payment_intent_id: str) -> ResponseReturnValue:
    """One payment with all that belongs to it; that of a package has the page of its purchase.

    A handful of statements, however long its plan runs.
    """
    with unit_of_work() as session:
        found = find_payment(session, payment_intent_id=payment_intent_id)
        if found is None:
            purchase = find_by_payment_intent(session, payment_intent_id=payment_intent_id)
            return redirect(f"/admin/purchases/{purchase.id}", 303) if purchase is not None else abort(404)
        refunds = session.scalars(
            select(Refund).where(Refund.stripe_payment_intent_id == payment_intent_id).order_by(Refund.id)
        ).all()
        disputes = session.scalars(
            select(Dispute).where(Dispute.stripe_payment_intent_id == payment_intent_id).order_by(Dispute.opened_at)
        ).all()
        names = [payment_intent_id, found.invoice_id, found.session_id]
        names += [one.stripe_refund_id for one in refunds] + [one.stripe_dispute_id for one in disputes]
        events = events_about(session, ids=[name for name in names if name], limit=MOST_ROWS)
        email = session.scalar(select(User.email).where(User.account_id == found.account_id))
        return render_template(
            "admin/money/payment.html",
            payment=found,
            who=email or found.external_id,
            reversal=session.get(PlanReversal, payment_intent_id),
            periods=periods_paid_by(session, payment_intent_id=payment_intent_id, limit=MOST_ROWS),
            charge=charge_among(events),
            refunds=refund_rows(session, refunds),
            disputes=dispute_rows(disputes),
            events=event_rows(events),
            refundable=found.mode == mode() and found.paid_minor > 0,
        )


def find_payment(session: Session, *, payment_intent_id: str) -> PlanPayment | None:
    """The payment for a plan of that id; None where no plan was paid by it."""
    invoice = find_invoice_by_payment(session, payment_intent_id=payment_intent_id)
    if invoice is not None:
        subscription = session.get_one(Subscription, invoice.subscription_id)
        return PlanPayment(
            payment_intent_id=payment_intent_id,
            account_id=invoice.account_id,
            external_id=subscription.external_id,
            paid_minor=invoice.paid_minor,
            currency=invoice.currency.upper(),
            paid_at=invoice.paid_at,
            mode=subscription.mode,
            plan=subscription.plan,
            invoice_id=invoice.stripe_invoice_id,
            subscription_id=subscription.id,
        )
    order = find_order_by_payment(session, payment_intent_id=payment_intent_id)
    if order is None:
        return None
    return PlanPayment(
        payment_intent_id=payment_intent_id,
        account_id=order.account_id,
        external_id=order.external_id,
        paid_minor=order.paid_minor or 0,
        currency=order.currency,
        paid_at=order.paid_at,
        mode=order.mode,
        plan=order.plan,
        order_id=order.id,
        session_id=order.stripe_session_id,
    )
