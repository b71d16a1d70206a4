"""What becomes of a plan's credits when its payment is refunded or disputed.

One payment may have made several grants: a year paid at once pays for twelve months, a payment for life for all that
come. Each loses its share, by the same rule as a package; those that come later lose theirs when they come, and what
was carried over into the next period is among what the older one has left.
"""

from collections.abc import Sequence

import structlog
from sqlalchemy import BigInteger, Text, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.billing.dispute import (
    FROZEN_STATES,
    Dispute,
    freeze_disputed,
    keep_dispute,
    state_of,
    unfreeze_disputed,
)
from webapp.billing.plan_grants import PeriodGrant, grants_paid_by, take_back_of_period
from webapp.billing.plan_order import PlanOrder
from webapp.billing.refund import keep_plan_refunds
from webapp.billing.reversals import Reversals, fetch_reversals
from webapp.billing.stripe_api import mode
from webapp.billing.subscription import find_invoice_by_payment
from webapp.billing.take_back import Gone
from webapp.extensions import Base

log = structlog.get_logger()


class PlanReversal(Base):
    """A payment for a plan of which something went back, or may: `price_minor` is all that was paid."""

    __tablename__ = "plan_reversals"

    stripe_payment_intent_id: Mapped[str] = mapped_column(Text, primary_key=True)
    mode: Mapped[str] = mapped_column(Text)
    account_id: Mapped[int] = mapped_column(BigInteger)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    refunded_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    lost_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    version: Mapped[int] = mapped_column(BigInteger, default=0)

    @property
    def gone(self) -> Gone:
        return Gone(refunded_minor=self.refunded_minor, lost_minor=self.lost_minor)


def follow_plan_reversals(session: Session, *, payment_intent_id: str) -> PlanReversal | None:
    """Every grant that this payment made has lost as much, and is as frozen, as Stripe's word on it implies.

    None when no plan was paid by it. Safe to repeat, in any order and at once: Stripe is asked first, then the
    payment's row is locked, and asked again if somebody followed it in between; the account is locked inside the
    ledger's functions. Raises PaymentsUnavailable; nothing was written then.
    """
    paid = find_plan_payment(session, payment_intent_id=payment_intent_id)
    if paid is None:
        return None
    seen = _version(session, payment_intent_id)
    facts = fetch_reversals(payment_intent_id, refunded=True, disputed=True)
    row = lock_reversal(session, paid=paid)
    if row.version != seen:
        facts = fetch_reversals(payment_intent_id, refunded=True, disputed=True)
    stand_as_reversed(session, row=row, facts=facts)
    return row


def follow_up(session: Session, *, account_id: int | None = None) -> int:
    """Grants that came after their payment had gone back lose their share too, by what is known here. Repeatable.

    Of one account, or of all in this mode; returns how many payments there are of which something went back.
    """
    query = select(PlanReversal.stripe_payment_intent_id).where(PlanReversal.mode == mode())
    if account_id is not None:
        query = query.where(PlanReversal.account_id == account_id)
    payments = session.scalars(query.order_by(PlanReversal.stripe_payment_intent_id)).all()
    for payment_intent_id in payments:
        row = session.get_one(PlanReversal, payment_intent_id, with_for_update=True, populate_existing=True)
        grants = _grants(session, row)
        for dispute in _disputes(session, payment_intent_id):
            if dispute.state in FROZEN_STATES:
                _freeze(session, grants, dispute, frozen=True)
        for grant in grants:
            take_back_of_period(session, grant=grant, before=Gone(refunded_minor=0, lost_minor=0), now=row.gone)
    return len(payments)


def parked_plan_dispute(session: Session, *, payment_intent_id: str) -> str | None:
    """Why a person has to look at a dispute of this payment; None when nobody has to."""
    for dispute in _disputes(session, payment_intent_id):
        if dispute.state == "parked":
            return (
                f"payment {payment_intent_id}: dispute {dispute.stripe_dispute_id} is lost"
                f" for {dispute.amount_minor} {dispute.currency}, another currency than the payment's"
            )
    return None


def stand_as_reversed(session: Session, *, row: PlanReversal, facts: Reversals) -> None:
    """The grants of the locked payment stand as the facts say; see `follow_plan_reversals`."""
    kept = {each.stripe_dispute_id: each for each in _disputes(session, row.stripe_payment_intent_id)}
    was_frozen = {name for name, each in kept.items() if each.state in FROZEN_STATES}
    disputes = [
        keep_dispute(
            session,
            known=kept.get(fact.stripe_dispute_id),
            fact=fact,
            payment_intent_id=row.stripe_payment_intent_id,
            purchase_id=None,
            currency=row.currency,
        )[0]
        for fact in facts.disputes
    ]
    keep_plan_refunds(session, facts=facts.refunds, payment_intent_id=row.stripe_payment_intent_id)
    grants = _grants(session, row)
    for dispute in disputes:
        if dispute.state in FROZEN_STATES:
            _freeze(session, grants, dispute, frozen=True)
    sure = Reversals(
        refunds=facts.refunds,
        disputes=tuple(fact for fact in facts.disputes if state_of(fact, currency=row.currency) != "parked"),
    )
    before = row.gone
    row.refunded_minor = sure.refunded_minor(price_minor=row.price_minor)
    row.lost_minor = sure.lost_minor(price_minor=row.price_minor)
    for grant in grants:
        take_back_of_period(session, grant=grant, before=before, now=row.gone)
    for dispute in disputes:
        if dispute.state not in FROZEN_STATES and dispute.stripe_dispute_id in was_frozen:
            _freeze(session, grants, dispute, frozen=False)
    row.version += 1
    if row.gone != before:
        log.info(
            "credits_followed_money",
            payment=row.stripe_payment_intent_id,
            refunded_minor=row.refunded_minor,
            lost_minor=row.lost_minor,
        )


def _freeze(session: Session, grants: Sequence[PeriodGrant], dispute: Dispute, *, frozen: bool) -> None:
    for grant in (each for period in grants for each in period.each):
        (freeze_disputed if frozen else unfreeze_disputed)(
            session, account_id=grant.account_id, grant_id=grant.grant_id, dispute_id=dispute.stripe_dispute_id
        )


def _disputes(session: Session, payment_intent_id: str) -> list[Dispute]:
    return list(
        session.scalars(
            select(Dispute).where(Dispute.stripe_payment_intent_id == payment_intent_id),
            execution_options={"populate_existing": True},
        )
    )


def find_plan_payment(session: Session, *, payment_intent_id: str) -> PlanReversal | None:
    """What was paid by it, not yet written down: an invoice of a subscription, or an order for life."""
    invoice = find_invoice_by_payment(session, payment_intent_id=payment_intent_id)
    order = session.scalars(
        select(PlanOrder).where(PlanOrder.stripe_payment_intent_id == payment_intent_id)
    ).one_or_none()
    price_minor = invoice.paid_minor if invoice is not None else (order.paid_minor if order is not None else None)
    source = invoice or order
    if source is None or not price_minor:
        return None
    return PlanReversal(
        stripe_payment_intent_id=payment_intent_id,
        mode=mode(),
        account_id=source.account_id,
        price_minor=price_minor,
        currency=source.currency.upper(),
    )


def _version(session: Session, payment_intent_id: str) -> int:
    query = select(PlanReversal.version).where(PlanReversal.stripe_payment_intent_id == payment_intent_id)
    return session.scalars(query).one_or_none() or 0


def lock_reversal(session: Session, *, paid: PlanReversal) -> PlanReversal:
    """The row of the payment, made where it is missing, locked until the end of the database transaction."""
    names = ("stripe_payment_intent_id", "mode", "account_id", "price_minor", "currency")
    session.execute(insert(PlanReversal).values({name: getattr(paid, name) for name in names}).on_conflict_do_nothing())
    return session.get_one(PlanReversal, paid.stripe_payment_intent_id, with_for_update=True, populate_existing=True)


def _grants(session: Session, row: PlanReversal) -> list[PeriodGrant]:
    return grants_paid_by(
        session,
        payment_intent_id=row.stripe_payment_intent_id,
        price_minor=row.price_minor,
        currency=row.currency,
    )
