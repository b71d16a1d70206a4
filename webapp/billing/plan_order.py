"""Orders of plans: what was promised for how much before anybody pays, and what became of the checkout."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Identity, Integer, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.billing.paid_on_a_page import PaidOnAPage
from webapp.extensions import Base

OPEN_STATES = ("new", "open", "pending")


class PlanOrder(PaidOnAPage, Base):
    """One checkout of one plan: a subscription (`billed` monthly or yearly) or one payment for life (once).

    The snapshot is guarded by a trigger. `state`: new (Stripe does not know it yet), open (on the pay page), pending
    (complete, the money is on its way), fulfilled, failed, expired, parked (a person has to look; `reason` says why).
    `version` grows with every change. `paid_minor` came in the end, `tax_minor` of it taxes. Without a
    `user_id` the product's backend began it for an account of its own.
    """

    __tablename__ = "plan_orders"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    account_id: Mapped[int] = mapped_column(BigInteger)
    intent: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text)
    plan_name: Mapped[str] = mapped_column(Text)
    shown_name: Mapped[str] = mapped_column(Text)
    billed: Mapped[str] = mapped_column(Text)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    trial_days: Mapped[int] = mapped_column(Integer)
    locale: Mapped[str] = mapped_column(Text)
    return_to: Mapped[str | None] = mapped_column(Text)
    success_url: Mapped[str | None] = mapped_column(Text)
    cancel_url: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    reason: Mapped[str | None] = mapped_column(Text)
    stripe_subscription_id: Mapped[str | None] = mapped_column(Text)
    stripe_payment_intent_id: Mapped[str | None] = mapped_column(Text)
    paid_minor: Mapped[int | None] = mapped_column(BigInteger)
    tax_minor: Mapped[int | None] = mapped_column(BigInteger)
    paid_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    check_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    checks: Mapped[int] = mapped_column(Integer, default=0)

    @property
    def is_subscription(self) -> bool:
        return self.billed != "once"


def lock_order(session: Session, *, order_id: int) -> PlanOrder:
    """The order as it is now, locked until the end of the database transaction."""
    return session.get_one(PlanOrder, order_id, with_for_update=True, populate_existing=True)


def find_order_by_session(session: Session, *, session_id: str) -> PlanOrder | None:
    """The order that is paid by this Checkout Session."""
    return session.scalars(select(PlanOrder).where(PlanOrder.stripe_session_id == session_id)).one_or_none()


def find_order_by_payment(session: Session, *, payment_intent_id: str) -> PlanOrder | None:
    """The order of a plan for life that this payment intent paid."""
    return session.scalars(
        select(PlanOrder).where(PlanOrder.stripe_payment_intent_id == payment_intent_id)
    ).one_or_none()


def open_orders(session: Session, *, account_id: int, mode: str) -> list[PlanOrder]:
    """The account's orders whose pay page may still be open."""
    return list(
        session.scalars(
            select(PlanOrder)
            .where(PlanOrder.account_id == account_id, PlanOrder.mode == mode, PlanOrder.state == "open")
            .order_by(PlanOrder.id)
        )
    )
