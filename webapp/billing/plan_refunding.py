"""Giving money of a plan back from here: written down first, then asked of Stripe, once for each intent.

By the same rules as for a purchase (`refunding.py`): killed in between, the refund is found by its name and adopted.
"""

from dataclasses import dataclass

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp import clock, ledger, outbox
from webapp.billing.dispute import FROZEN_STATES, Dispute
from webapp.billing.entitlement import Entitlement, EntitlementPayment
from webapp.billing.period_grant import LIFETIME_PERIODS
from webapp.billing.plan_grants import PeriodGrant, grants_paid_by, take_back_of_period
from webapp.billing.plan_order import PlanOrder, find_order_by_payment
from webapp.billing.plan_reversals import PlanReversal, find_plan_payment, follow_plan_reversals, lock_reversal
from webapp.billing.refund import Refund
from webapp.billing.refund_at_stripe import ensure_refund
from webapp.billing.refund_quote import RefundQuote, worth
from webapp.billing.refunding import ExceedsPayment, IntentReused, NotRefundable
from webapp.billing.stripe_api import mode
from webapp.billing.subscription import SubscriptionInvoice, find_invoice_by_payment
from webapp.billing.take_back import Gone
from webapp.database import undone

log = structlog.get_logger()

JOB = "refund_plan"


@dataclass(frozen=True, kw_only=True)
class _Standing:
    """What the account has, and how many of the credits of a payment are left or were revoked."""

    balance: int
    debt: int
    unspent: int
    revoked: int


def plan_payment_named(session: Session, *, name: str) -> str | None:
    """The payment intent that `name` means: its own id, an invoice's (in_…), a checkout's (cs_…), an order's number.

    An order of a subscription has no payment of its own: its invoices have. None when there is no such payment.
    """
    if name.startswith("pi_"):
        return name if find_plan_payment(session, payment_intent_id=name) is not None else None
    if name.startswith("in_"):
        invoice = session.get(SubscriptionInvoice, name)
        return invoice.stripe_payment_intent_id if invoice is not None and invoice.paid_minor else None
    query = select(PlanOrder.stripe_payment_intent_id)
    if name.startswith("cs_"):
        return session.scalars(query.where(PlanOrder.stripe_session_id == name)).one_or_none()
    if name.isascii() and name.isdecimal() and len(name) <= 18:
        return session.scalars(query.where(PlanOrder.id == int(name))).one_or_none()
    return None


def quote_plan_refund(session: Session, *, payment_intent_id: str, amount_minor: int | None = None) -> RefundQuote:
    """What refunding `amount_minor` of that payment would do; None: the price of what is unspent or to come.

    The ledger itself does it, and it is undone again: nothing is written. Locks the payment and the account until the
    end of the database transaction. Raises NotRefundable, ExceedsPayment.
    """
    with undone(session):
        row = _lock(session, payment_intent_id)
        left = _left_minor(session, row)
        ledger.expire_account(session, account_id=row.account_id)
        grants = _grants(session, row)
        before = _standing(session, row, grants)
        to_come, in_all = _credits_to_come(session, row, grants)
        unspent_minor = min(
            worth(
                credits=before.unspent + to_come,
                of_credits=max(in_all, 1),
                price_minor=row.price_minor,
                currency=row.currency,
            ),
            left,
        )
        amount = unspent_minor if amount_minor is None else amount_minor
        if not 0 <= amount <= left or (amount == 0 and amount_minor is not None):
            raise ExceedsPayment(left)
        then = Gone(refunded_minor=row.refunded_minor + amount, lost_minor=row.lost_minor)
        for grant in grants:
            take_back_of_period(session, grant=grant, before=row.gone, now=then)
        after = _standing(session, row, grants)
        quote = RefundQuote(
            amount_minor=amount,
            left_minor=left,
            currency=row.currency,
            unspent_credits=before.unspent,
            unspent_minor=unspent_minor,
            taken=before.unspent - after.unspent,
            debt=(before.balance - after.balance) - (before.unspent - after.unspent),
            gone=(after.revoked - before.revoked) - (before.balance - after.balance),
            balance_before=before.balance,
            balance_after=after.balance,
            debt_before=before.debt,
            debt_after=after.debt,
        )
    return quote


def refund_plan(
    session: Session, *, payment_intent_id: str, amount_minor: int, reason: str, actor: str, intent: str
) -> Refund:
    """The refund of `amount_minor` is written down and will be asked of Stripe.

    `intent` is the asker's name for it: again the same is the same refund. Commit before `send_plan_refund`; a worker
    sends it too. Locks the payment. Raises NotRefundable, ExceedsPayment, IntentReused; nothing was written then.
    """
    row = _lock(session, payment_intent_id)
    known = session.scalars(
        select(Refund).where(Refund.stripe_payment_intent_id == payment_intent_id, Refund.intent == intent)
    ).one_or_none()
    if known is not None:
        if amount_minor != known.amount_minor:
            raise IntentReused(intent)
        return known
    left = _left_minor(session, row)
    if not 0 < amount_minor <= left:
        raise ExceedsPayment(left)
    refund = Refund(
        stripe_payment_intent_id=payment_intent_id,
        intent=intent,
        amount_minor=amount_minor,
        currency=row.currency,
        reason=reason,
        actor=actor,
        created_at=clock.now(),
    )
    session.add(refund)
    session.flush()
    outbox.put(session, job=JOB, key=plan_refund_key(refund.id), args={"refund_id": refund.id})
    log.info("refund_asked", refund=refund.id, payment=payment_intent_id, amount_minor=amount_minor, actor=actor)
    return refund


def send_plan_refund(session: Session, *, refund_id: int) -> Refund:
    """The refund is made at Stripe, once, and the plan's credits stand as that implies.

    One that Stripe refuses is closed as refused, with its words. Safe to repeat, at once and after a kill. Raises
    PaymentsUnavailable; it may have been made then, and is found next time.
    """
    refund = session.get_one(Refund, refund_id, populate_existing=True)
    if refund.state != "new":
        return refund
    payment_intent_id = refund.stripe_payment_intent_id
    assert payment_intent_id is not None, "send_refund is for those of purchases"
    refusal = ensure_refund(refund, payment_intent_id=payment_intent_id, named={}, key=payment_intent_id)
    follow_plan_reversals(session, payment_intent_id=payment_intent_id)
    session.refresh(refund)
    if refusal is not None and refund.state == "new":
        refund.state, refund.failure = "refused", refusal
    return refund


def plan_refund_key(refund_id: int) -> str:
    """What the refund's row in the outbox is called."""
    return f"plan-refund:{refund_id}"


def _lock(session: Session, payment_intent_id: str) -> PlanReversal:
    paid = find_plan_payment(session, payment_intent_id=payment_intent_id)
    if paid is None:
        raise NotRefundable("unknown")
    row = lock_reversal(session, paid=paid)
    if row.mode != mode():
        raise NotRefundable(row.mode)
    return row


def _left_minor(session: Session, row: PlanReversal) -> int:
    """The money that can still be given back. While a dispute is open the bank has it: NotRefundable."""
    open_ones = select(Dispute).where(
        Dispute.stripe_payment_intent_id == row.stripe_payment_intent_id, Dispute.state.in_(FROZEN_STATES)
    )
    if session.scalars(open_ones.limit(1)).first() is not None:
        raise NotRefundable("disputed")
    asked = session.execute(
        select(func.coalesce(func.sum(Refund.amount_minor), 0)).where(
            Refund.stripe_payment_intent_id == row.stripe_payment_intent_id, Refund.state == "new"
        )
    ).scalar_one()
    return max(row.price_minor - row.gone.total_minor - int(asked), 0)


def _grants(session: Session, row: PlanReversal) -> list[PeriodGrant]:
    return grants_paid_by(
        session,
        payment_intent_id=row.stripe_payment_intent_id,
        price_minor=row.price_minor,
        currency=row.currency,
    )


def _standing(session: Session, row: PlanReversal, grants: list[PeriodGrant]) -> _Standing:
    stand = [
        ledger.get_grant(session, account_id=row.account_id, grant_id=one.grant_id)
        for grant in grants
        for one in grant.each
    ]
    found = ledger.balance(session, account_id=row.account_id)
    return _Standing(
        balance=found.balance,
        debt=found.debt,
        unspent=sum(one.remaining - one.held for one in stand),
        revoked=sum(one.revoked for one in stand),
    )


def _credits_to_come(session: Session, row: PlanReversal, grants: list[PeriodGrant]) -> tuple[int, int]:
    """Credits that the payment is still to make, and all that it makes; of a plan for life as it is reckoned."""
    granted = sum(grant.own.credits for grant in grants)
    monthly, months = _promised(session, row)
    to_come = max(months - len(grants), 0) * monthly
    return to_come, granted + to_come


def _promised(session: Session, row: PlanReversal) -> tuple[int, int]:
    """Credits a month, and for how many months the payment pays in all; (0, 0) where each month is paid by itself."""
    order = find_order_by_payment(session, payment_intent_id=row.stripe_payment_intent_id)
    if order is not None:
        stretch = session.scalars(select(Entitlement).where(Entitlement.order_id == order.id)).one_or_none()
        return (0, 0) if stretch is None else (stretch.credits_per_month, LIFETIME_PERIODS)
    invoice = find_invoice_by_payment(session, payment_intent_id=row.stripe_payment_intent_id)
    assert invoice is not None, "a payment is of an order or of an invoice"
    found = session.execute(
        select(Entitlement.credits_per_month, EntitlementPayment.periods)
        .join(Entitlement, Entitlement.id == EntitlementPayment.entitlement_id)
        .where(EntitlementPayment.stripe_invoice_id == invoice.stripe_invoice_id)
    ).first()
    return (0, 0) if found is None else (found[0], found[1])
