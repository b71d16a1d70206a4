"""Disputes as we keep them: one row each, refreshed from Stripe, and the grant frozen while its money is away."""

from datetime import datetime

import structlog
from sqlalchemy import BigInteger, DateTime, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock, ledger
from webapp.billing.reversals import DisputeFact
from webapp.billing.stripe_api import mode
from webapp.extensions import Base

log = structlog.get_logger()

FROZEN_STATES = ("open", "parked")
FREEZE_REASON = "dispute"  # how the ledger's freeze says why; pages say it in the reader's language


class Dispute(Base):
    """What a buyer's bank asked back. `status` is Stripe's word; the rest of the programme goes by `state`.

    `state`: asked (an inquiry: nothing has happened), open (the money is away and the grant frozen), lost (its
    credits are revoked), over (the money is ours), parked (decided in a way that a person has to look at; still
    frozen). `funds` tells where the money is: withdrawn, reinstated.
    """

    __tablename__ = "disputes"

    stripe_dispute_id: Mapped[str] = mapped_column(Text, primary_key=True)
    mode: Mapped[str] = mapped_column(Text)
    purchase_id: Mapped[int | None] = mapped_column(BigInteger)
    stripe_payment_intent_id: Mapped[str] = mapped_column(Text)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    funds: Mapped[str | None] = mapped_column(Text)
    evidence_due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    opened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


def keep_dispute(
    session: Session,
    *,
    known: Dispute | None,
    fact: DisputeFact,
    payment_intent_id: str,
    purchase_id: int | None,
    currency: str,
) -> tuple[Dispute, bool]:
    """The dispute is written down as Stripe knows it now; returns it, and whether that was news.

    `known` is its row, if there is one. One that is lost in another currency than the payment's (`currency`) can't be
    told in credits: parked. The caller holds the lock of what was paid for.
    """
    dispute = known
    before = _standing(dispute)
    if dispute is None:
        dispute = Dispute(
            stripe_dispute_id=fact.stripe_dispute_id,
            mode=mode(),
            purchase_id=purchase_id,
            stripe_payment_intent_id=payment_intent_id,
            opened_at=fact.opened_at,
        )
        session.add(dispute)
    dispute.amount_minor = fact.amount_minor
    dispute.currency = fact.currency
    dispute.reason = fact.reason
    dispute.status = fact.status
    dispute.funds = fact.funds
    dispute.evidence_due_at = fact.evidence_due_at
    dispute.state = state_of(fact, currency=currency)
    if dispute.state in ("lost", "over"):
        dispute.closed_at = dispute.closed_at or clock.now()
    else:
        dispute.closed_at = None
    news = _standing(dispute) != before
    if news:
        log.info("dispute_seen", dispute=fact.stripe_dispute_id, status=fact.status, state=dispute.state)
    return dispute, news


def state_of(fact: DisputeFact, *, currency: str) -> str:
    """Where the dispute stands for us."""
    return "parked" if fact.state == "lost" and fact.currency != currency else fact.state


def freeze_disputed(session: Session, *, account_id: int, grant_id: int, dispute_id: str) -> None:
    """What is left of the grant pays for nothing while its money is away. Repeatable."""
    ledger.freeze(
        session,
        account_id=account_id,
        grant_id=grant_id,
        reference=dispute_id,
        actor="stripe",
        reason=FREEZE_REASON,
    )


def unfreeze_disputed(session: Session, *, account_id: int, grant_id: int, dispute_id: str) -> None:
    """The dispute is settled: what the grant has left can be spent, unless another one is open. Repeatable."""
    ledger.unfreeze(session, account_id=account_id, grant_id=grant_id, reference=dispute_id, actor="stripe")


def disputes_of(session: Session, *, purchase_id: int) -> list[Dispute]:
    """The purchase's disputes, oldest first."""
    return list(
        session.scalars(
            select(Dispute)
            .where(Dispute.purchase_id == purchase_id)
            .order_by(Dispute.opened_at, Dispute.stripe_dispute_id),
            execution_options={"populate_existing": True},
        )
    )


def _standing(dispute: Dispute | None) -> tuple[object, ...]:
    if dispute is None:
        return ()
    return (dispute.amount_minor, dispute.currency, dispute.status, dispute.state, dispute.funds, dispute.reason)
