"""Subscriptions and their invoices: what Stripe said of them last, and what was decided here."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Boolean, DateTime, Identity, Text, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base

GOOD = ("trialing", "active")
UNPAID = ("past_due", "unpaid", "incomplete", "paused")
ENDED = ("canceled", "incomplete_expired")


class Subscription(Base):
    """A subscription as it stood at Stripe when it was last looked at.

    `plan` is what its price means; what the account is entitled to is another matter (`entitlements`). `price_minor` is
    what the next invoice is for, `running_price_minor` what was paid for the plan that runs. `pending_plan`
    begins when this one ends at its period's end, `successor_id` is the subscription that it became. `version` grows
    with every change.
    """

    __tablename__ = "subscriptions"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    mode: Mapped[str] = mapped_column(Text)
    stripe_subscription_id: Mapped[str] = mapped_column(Text)
    stripe_customer_id: Mapped[str] = mapped_column(Text)
    stripe_item_id: Mapped[str | None] = mapped_column(Text)
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    account_id: Mapped[int] = mapped_column(BigInteger)
    external_id: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    running_price_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    period_starts_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    period_ends_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    trial_ends_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    cancel_at_period_end: Mapped[bool] = mapped_column(Boolean)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    stripe_payment_method_id: Mapped[str | None] = mapped_column(Text)
    unpaid_invoice_id: Mapped[str | None] = mapped_column(Text)
    unpaid_invoice_url: Mapped[str | None] = mapped_column(Text)
    needs: Mapped[str | None] = mapped_column(Text)
    pending_plan: Mapped[str | None] = mapped_column(Text)
    successor_id: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(BigInteger, default=0)
    check_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def lacks_payment(self) -> bool:
        return self.status in UNPAID


class SubscriptionInvoice(Base):
    """One of Stripe's invoices; `applied_at` is when what it paid for was granted."""

    __tablename__ = "subscription_invoices"

    stripe_invoice_id: Mapped[str] = mapped_column(Text, primary_key=True)
    subscription_id: Mapped[int] = mapped_column(BigInteger)
    account_id: Mapped[int] = mapped_column(BigInteger)
    billing_reason: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    total_minor: Mapped[int] = mapped_column(BigInteger)
    paid_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    stripe_payment_intent_id: Mapped[str | None] = mapped_column(Text)
    hosted_url: Mapped[str | None] = mapped_column(Text)
    finalization_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    paid_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    applied_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


def find_subscription(session: Session, *, stripe_id: str, lock: bool = False) -> Subscription | None:
    """The subscription that Stripe calls `stripe_id`, if we know it."""
    statement = select(Subscription).where(Subscription.stripe_subscription_id == stripe_id)
    if lock:
        statement = statement.with_for_update()
    return session.scalars(statement.execution_options(populate_existing=True)).one_or_none()


# Made once: to put it together and to recognise it costs as much as to ask it.
_CURRENT = (
    select(Subscription)
    .where(
        Subscription.account_id == bindparam("account_id"),
        Subscription.mode == bindparam("mode"),
        Subscription.status.not_in(ENDED),
    )
    .order_by(Subscription.id.desc())
    .limit(1)
)


def current_subscription(session: Session, *, account_id: int, mode: str) -> Subscription | None:
    """The account's subscription that has not ended, the newest if there are several."""
    return session.scalars(_CURRENT, {"account_id": account_id, "mode": mode}).one_or_none()


def invoices_of(session: Session, *, subscription_id: int) -> Sequence[SubscriptionInvoice]:
    """Its invoices as they were seen last, oldest first."""
    return session.scalars(
        select(SubscriptionInvoice)
        .where(SubscriptionInvoice.subscription_id == subscription_id)
        .order_by(SubscriptionInvoice.created_at, SubscriptionInvoice.stripe_invoice_id)
    ).all()


def first_invoice_url(session: Session, *, stripe_id: str | None) -> str | None:
    """Stripe's page of the invoice that began the subscription, which shows the receipt when it is paid."""
    return session.scalars(
        select(SubscriptionInvoice.hosted_url)
        .join(Subscription, Subscription.id == SubscriptionInvoice.subscription_id)
        .where(Subscription.stripe_subscription_id == stripe_id)
        .order_by(SubscriptionInvoice.created_at, SubscriptionInvoice.stripe_invoice_id)
        .limit(1)
    ).first()


def find_invoice_by_payment(session: Session, *, payment_intent_id: str) -> SubscriptionInvoice | None:
    """The invoice that this payment intent paid. What it was granted: `EntitlementPeriod.stripe_invoice_id`."""
    return session.scalars(
        select(SubscriptionInvoice).where(SubscriptionInvoice.stripe_payment_intent_id == payment_intent_id)
    ).first()
