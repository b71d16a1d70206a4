"""Giving money back from here: written down first, then asked of Stripe, once for each intent.

Whatever is killed in between, the refund is found by its name and adopted, never made twice: within a day by
Stripe's idempotency key, later by the metadata that the request carried.
"""

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import clock, outbox
from webapp.billing.dispute import FROZEN_STATES, disputes_of
from webapp.billing.fulfilment import settle_purchase
from webapp.billing.purchase import Purchase, lock_purchase
from webapp.billing.refund import Refund, asked_minor
from webapp.billing.refund_at_stripe import ensure_refund
from webapp.billing.stripe_api import mode

log = structlog.get_logger()

JOB = "refund_purchase"


class RefundRefused(Exception):
    """The purchase can't be refunded like that; nothing was written."""


class NotRefundable(RefundRefused):
    """There is nothing to give back: `state` of the purchase, or "disputed" while the bank decides on the money."""

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(state)


class ExceedsPayment(RefundRefused):
    """More is to be given back than the `left_minor` that is left of the payment; or less than nothing."""

    def __init__(self, left_minor: int) -> None:
        self.left_minor = left_minor
        super().__init__(str(left_minor))


class IntentReused(RefundRefused):
    """The intent names another refund of this purchase."""


def refund_purchase(
    session: Session, *, purchase_id: int, amount_minor: int | None, reason: str, actor: str, intent: str
) -> Refund:
    """The refund of `amount_minor` (None: all that is left) is written down and will be asked of Stripe.

    `intent` is the asker's name for it: again the same is the same refund, however often it is submitted. Commit
    before `send_refund`; a worker sends it too. Locks the purchase. Raises NotRefundable, ExceedsPayment,
    IntentReused; nothing was written then.
    """
    purchase = lock_purchase(session, purchase_id=purchase_id)
    known = session.scalars(
        select(Refund).where(Refund.purchase_id == purchase_id, Refund.intent == intent)
    ).one_or_none()
    if known is not None:
        if amount_minor not in (None, known.amount_minor):
            raise IntentReused(intent)
        return known
    left = left_minor(session, purchase=purchase)
    amount_minor = left if amount_minor is None else amount_minor
    if not 0 < amount_minor <= left:
        raise ExceedsPayment(left)
    refund = Refund(
        purchase_id=purchase_id,
        intent=intent,
        amount_minor=amount_minor,
        currency=purchase.currency,
        reason=reason,
        actor=actor,
        created_at=clock.now(),
    )
    session.add(refund)
    session.flush()
    outbox.put(session, job=JOB, key=outbox_key(refund.id), args={"refund_id": refund.id})
    log.info("refund_asked", refund=refund.id, purchase=purchase_id, amount_minor=amount_minor, actor=actor)
    return refund


def left_minor(session: Session, *, purchase: Purchase) -> int:
    """The money of the purchase that can still be given back. Raises NotRefundable.

    While a dispute is open Stripe refuses refunds, and rightly: the bank has the money.
    """
    if purchase.state != "fulfilled" or purchase.mode != mode():
        raise NotRefundable(purchase.state)
    if any(dispute.state in FROZEN_STATES for dispute in disputes_of(session, purchase_id=purchase.id)):
        raise NotRefundable("disputed")
    left = (purchase.paid_minor or 0) - purchase.refunded_minor - purchase.lost_minor
    return max(left - asked_minor(session, purchase_id=purchase.id), 0)


def send_refund(session: Session, *, refund_id: int) -> Refund:
    """The refund is made at Stripe, once, and the purchase stands as it stands there now.

    One that Stripe refuses is closed as refused, with its words. Safe to repeat, at once and after a kill. Stripe is
    asked before anything is locked. Raises PaymentsUnavailable; it may have been made then, and is found next time.
    """
    refund = session.get_one(Refund, refund_id, populate_existing=True)
    if refund.state != "new":
        return refund
    assert refund.purchase_id is not None, "send_plan_refund is for those of plans"
    purchase = session.get_one(Purchase, refund.purchase_id)
    assert purchase.stripe_payment_intent_id is not None
    refusal = ensure_refund(
        refund,
        payment_intent_id=purchase.stripe_payment_intent_id,
        named={"purchase": str(purchase.id)},
        key=purchase.external_id,
    )
    purchase = settle_purchase(session, purchase_id=refund.purchase_id, look_for=("refunds",))
    session.refresh(refund)
    if refusal is not None and refund.state == "new":
        refund.state, refund.failure = "refused", refusal
        purchase.version += 1
    return refund


def outbox_key(refund_id: int) -> str:
    """What the refund's row in the outbox is called."""
    return f"refund:{refund_id}"
