"""Purchases: what was promised to whom for how much, frozen before the payment, and what became of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, DateTime, Identity, Integer, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.billing.paid_on_a_page import PaidOnAPage
from webapp.catalog.validity import Validity
from webapp.extensions import Base

OPEN_STATES = ("new", "open", "pending")


class Purchase(PaidOnAPage, Base):
    """One payment for one package. The snapshot is guarded by a trigger: it never changes.

    `state`: new (Stripe does not know it yet), open (on the pay page), pending (a delayed payment is on its way),
    fulfilled (credits granted), failed, expired, parked (a person has to look). `reason` says why a person has to look,
    at a fulfilled one too, whose payment differs by now. `version` grows
    with every change. `mode` is sandbox, test or live. `paid_minor` is all the money that came, after discounts and
    with taxes, `tax_minor` of it taxes; neither changes any more. `lost_minor` is what disputes took beyond what was
    refunded.
    """

    __tablename__ = "purchases"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    account_id: Mapped[int] = mapped_column(BigInteger)
    intent: Mapped[str] = mapped_column(Text)
    package: Mapped[str] = mapped_column(Text)
    package_name: Mapped[str] = mapped_column(Text)
    shown_name: Mapped[str] = mapped_column(Text)
    credits: Mapped[int] = mapped_column(BigInteger)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    valid_months: Mapped[int | None] = mapped_column(Integer)
    valid_days: Mapped[int | None] = mapped_column(Integer)
    locale: Mapped[str] = mapped_column(Text)
    return_to: Mapped[str | None] = mapped_column(Text)
    success_url: Mapped[str | None] = mapped_column(Text)
    cancel_url: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    reason: Mapped[str | None] = mapped_column(Text)
    stripe_payment_intent_id: Mapped[str | None] = mapped_column(Text)
    receipt_url: Mapped[str | None] = mapped_column(Text)
    grant_id: Mapped[int | None] = mapped_column(BigInteger)
    paid_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    paid_minor: Mapped[int | None] = mapped_column(BigInteger)
    tax_minor: Mapped[int | None] = mapped_column(BigInteger)
    refunded_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    lost_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    check_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    checks: Mapped[int] = mapped_column(Integer, default=0)

    @property
    def validity(self) -> Validity:
        return Validity(months=self.valid_months, days=self.valid_days)

    @property
    def source_key(self) -> str:
        """The ledger's name for the one grant of this purchase."""
        return f"purchase:{self.id}"


def lock_purchase(session: Session, *, purchase_id: int) -> Purchase:
    """The purchase as it is now, locked until the end of the database transaction."""
    return session.get_one(Purchase, purchase_id, with_for_update=True, populate_existing=True)


def find_by_session(session: Session, *, session_id: str) -> Purchase | None:
    """The purchase that is paid by this Checkout Session."""
    return session.scalars(select(Purchase).where(Purchase.stripe_session_id == session_id)).one_or_none()


def find_by_payment_intent(session: Session, *, payment_intent_id: str) -> Purchase | None:
    """The purchase that was paid by this payment intent, once that is known."""
    return session.scalars(select(Purchase).where(Purchase.stripe_payment_intent_id == payment_intent_id)).one_or_none()


def list_since(session: Session, *, since: datetime, mode: str, after: int, limit: int) -> Sequence[Purchase]:
    """A page of the purchases of `mode` made since then, by id, beyond the id `after`."""
    return session.scalars(
        select(Purchase)
        .where(Purchase.created_at >= since, Purchase.mode == mode, Purchase.id > after)
        .order_by(Purchase.id)
        .limit(limit)
    ).all()


def next_check(*, now: datetime, checks: int) -> datetime:
    """When to ask Stripe unprompted, should no event come: after 2 minutes, then 4, 8 … up to every hour."""
    return now + min(timedelta(minutes=2 << min(checks, 10)), timedelta(hours=1))
