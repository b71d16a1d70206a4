"""Refunds as we keep them: those asked for here are written down before Stripe is asked, the others when seen."""

from datetime import datetime

import structlog
from sqlalchemy import BigInteger, DateTime, Identity, Text, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.billing.reversals import RefundFact
from webapp.extensions import Base

log = structlog.get_logger()


class Refund(Base):
    """Money given back for a purchase.

    `state`: new (Stripe has not answered yet), refused (Stripe said no; `failure` says why), or Stripe's own word:
    pending, requires_action, succeeded, failed, canceled. `intent` is None and `actor` "stripe" where it was made at
    Stripe's dashboard.
    """

    __tablename__ = "refunds"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    purchase_id: Mapped[int] = mapped_column(BigInteger)
    intent: Mapped[str | None] = mapped_column(Text)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, default="")
    actor: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    state: Mapped[str] = mapped_column(Text, default="new")
    failure: Mapped[str | None] = mapped_column(Text)
    stripe_refund_id: Mapped[str | None] = mapped_column(Text)


def keep_refund(session: Session, *, fact: RefundFact, purchase_id: int) -> bool:
    """The refund is written down as Stripe knows it now; returns whether that was news.

    One that we asked for and whose answer never reached us is known by the name that our request gave it. The caller
    holds the purchase's lock.
    """
    refund = _find(session, fact, purchase_id)
    if refund is None:
        refund = Refund(
            purchase_id=purchase_id,
            amount_minor=fact.amount_minor,
            currency=fact.currency,
            actor="stripe",
            created_at=fact.made_at,
        )
        session.add(refund)
    before = (refund.stripe_refund_id, refund.state, refund.failure)
    refund.stripe_refund_id, refund.state, refund.failure = fact.stripe_refund_id, fact.status, fact.failure
    news = before != (refund.stripe_refund_id, refund.state, refund.failure)
    if news:
        session.flush()
        log.info("refund_seen", refund=refund.id, purchase=purchase_id, state=refund.state)
    return news


def refunds_of(session: Session, *, purchase_id: int) -> list[Refund]:
    """The purchase's refunds, oldest first."""
    return list(session.scalars(select(Refund).where(Refund.purchase_id == purchase_id).order_by(Refund.id)))


def asked_minor(session: Session, *, purchase_id: int) -> int:
    """The money of refunds that were asked for and that Stripe has not answered yet."""
    waiting = select(func.coalesce(func.sum(Refund.amount_minor), 0)).where(
        Refund.purchase_id == purchase_id, Refund.state == "new"
    )
    return int(session.execute(waiting).scalar_one())


def _find(session: Session, fact: RefundFact, purchase_id: int) -> Refund | None:
    found = session.scalars(
        select(Refund).where(Refund.stripe_refund_id == fact.stripe_refund_id).execution_options(populate_existing=True)
    ).one_or_none()
    if found is not None or not _is_id(fact.asked_as):
        return found
    asked = session.get(Refund, int(fact.asked_as or 0), populate_existing=True)
    ours = (
        asked is not None
        and asked.stripe_refund_id is None
        and (asked.purchase_id, asked.amount_minor) == (purchase_id, fact.amount_minor)
    )
    return asked if ours else None


def _is_id(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdecimal() and len(text) <= 18
