"""Refunds as we keep them: those asked for here are written down before Stripe is asked, the others when seen."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import BigInteger, DateTime, Identity, Text, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.billing.reversals import RefundFact
from webapp.extensions import Base

log = structlog.get_logger()


class Refund(Base):
    """Money given back for a purchase, or for the plan that `stripe_payment_intent_id` paid.

    `state`: new (Stripe has not answered yet), refused (Stripe said no; `failure` says why), or Stripe's own word:
    pending, requires_action, succeeded, failed, canceled. `intent` is None and `actor` "stripe" where it was made at
    Stripe's dashboard.
    """

    __tablename__ = "refunds"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    purchase_id: Mapped[int | None] = mapped_column(BigInteger)
    stripe_payment_intent_id: Mapped[str | None] = mapped_column(Text)
    intent: Mapped[str | None] = mapped_column(Text)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, default="")
    actor: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    state: Mapped[str] = mapped_column(Text, default="new")
    failure: Mapped[str | None] = mapped_column(Text)
    stripe_refund_id: Mapped[str | None] = mapped_column(Text)


def keep_refunds(session: Session, *, facts: Sequence[RefundFact], purchase_id: int) -> bool:
    """The purchase's refunds are written down as Stripe knows them now; returns whether any of that was news.

    One that we asked for and whose answer never reached us is known by the name that our request gave it. The caller
    holds the purchase's lock.
    """
    if not facts:
        return False
    kept = refunds_of(session, purchase_id=purchase_id)
    news = [_keep(session, kept, fact, purchase_id) for fact in facts]
    return any(news)


def keep_plan_refunds(session: Session, *, facts: Sequence[RefundFact], payment_intent_id: str) -> None:
    """Those of a plan's refunds that were asked for here stand as Stripe knows them now.

    The caller holds the payment's lock.
    """
    query = select(Refund).where(Refund.stripe_payment_intent_id == payment_intent_id)
    for refund in session.scalars(query, execution_options={"populate_existing": True}).all():
        fact = next((each for each in facts if _is_it(refund, each)), None)
        if fact is not None and _note(refund, fact):
            log.info("refund_seen", refund=refund.id, payment=payment_intent_id, state=refund.state)
    session.flush()


def refunds_of(session: Session, *, purchase_id: int) -> list[Refund]:
    """The purchase's refunds, oldest first."""
    found = select(Refund).where(Refund.purchase_id == purchase_id).order_by(Refund.id)
    return list(session.scalars(found, execution_options={"populate_existing": True}))


def asked_minor(session: Session, *, purchase_id: int) -> int:
    """The money of refunds that were asked for and that Stripe has not answered yet."""
    waiting = select(func.coalesce(func.sum(Refund.amount_minor), 0)).where(
        Refund.purchase_id == purchase_id, Refund.state == "new"
    )
    return int(session.execute(waiting).scalar_one())


def _keep(session: Session, kept: list[Refund], fact: RefundFact, purchase_id: int) -> bool:
    refund = next((each for each in kept if _is_it(each, fact)), None)
    if refund is None:
        refund = Refund(
            purchase_id=purchase_id,
            amount_minor=fact.amount_minor,
            currency=fact.currency,
            actor="stripe",
            created_at=fact.made_at,
        )
        session.add(refund)
        kept.append(refund)
    news = _note(refund, fact)
    if news:
        session.flush()
        log.info("refund_seen", refund=refund.id, purchase=purchase_id, state=refund.state)
    return news


def _note(refund: Refund, fact: RefundFact) -> bool:
    before = (refund.stripe_refund_id, refund.state, refund.failure)
    refund.stripe_refund_id, refund.state, refund.failure = fact.stripe_refund_id, fact.status, fact.failure
    return before != (refund.stripe_refund_id, refund.state, refund.failure)


def _is_it(refund: Refund, fact: RefundFact) -> bool:
    """By Stripe's id; or it is the one that we asked for, by the name and the amount."""
    if refund.stripe_refund_id is not None:
        return refund.stripe_refund_id == fact.stripe_refund_id
    return (str(refund.id), refund.amount_minor) == (fact.asked_as, fact.amount_minor)
