"""Entitlements: a stretch of time that an account is on a plan, on terms that were promised when it began."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, DateTime, Identity, Integer, Row, Text, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.catalog.periods import Period, period, period_start
from webapp.catalog.plan import Plan
from webapp.extensions import Base

# Stripe counts its periods in UTC; ours follow it, so that a grant and its invoice name the same moments.
STRIPE_TIME_ZONE = "UTC"
PAID_KINDS = ("monthly", "yearly", "lifetime")


class Entitlement(Base):
    """One account on one plan from `starts_at` until `ends_at` (None: no end in sight).

    `kind`: free and lifetime are granted by the calendar, monthly by each paid invoice, yearly by the calendar for as
    many periods as were paid (`paid_periods`; None: no limit). Its own period n is n months after `anchor_at` in
    `time_zone`, which stays what it was at the start: moving does not move what was promised. `next_at` is when the
    calendar grants `next_period`. While `paused` nothing new is granted: a payment is missing.
    """

    __tablename__ = "entitlements"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    account_id: Mapped[int] = mapped_column(BigInteger)
    external_id: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    subscription_id: Mapped[int | None] = mapped_column(BigInteger)
    order_id: Mapped[int | None] = mapped_column(BigInteger)
    trial: Mapped[bool] = mapped_column(Boolean, default=False)
    plan: Mapped[str] = mapped_column(Text)
    plan_name: Mapped[str] = mapped_column(Text)
    credits_per_month: Mapped[int] = mapped_column(BigInteger)
    expiry: Mapped[str] = mapped_column(Text)
    expiry_days: Mapped[int | None] = mapped_column(Integer)
    rollover_cap: Mapped[int] = mapped_column(BigInteger)
    grant_priority: Mapped[int] = mapped_column(Integer)
    features: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    anchor_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    time_zone: Mapped[str] = mapped_column(Text)
    starts_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    next_period: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    paid_periods: Mapped[int | None] = mapped_column(Integer)
    paused: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    def period(self, number: int) -> Period:
        """The bounds of its period `number`."""
        return period(self.anchor_at, number, self.time_zone)

    def set_next(self, number: int) -> None:
        """The calendar grants period `number` next, at its start; never where it isn't paid or begins too late."""
        self.next_period = number
        self.next_at = granted_at(self, number, period_start(self.anchor_at, number, self.time_zone))

    def end(self, moment: datetime) -> None:
        """It ends at `moment`; what was granted until then stays. One that ends sooner stays as it is."""
        if self.ends_at is None or moment < self.ends_at:
            self.ends_at = max(moment, self.starts_at)
        self.set_next(self.next_period)


def granted_at(entitlement: Entitlement | Row[Any], number: int, starts_at: datetime) -> datetime | None:
    """When the calendar grants period `number`, which begins at `starts_at`; None where it does not."""
    paid = entitlement.paid_periods is None or number < entitlement.paid_periods
    lasts = entitlement.ends_at is None or starts_at < entitlement.ends_at
    return starts_at if entitlement.kind != "monthly" and paid and lasts else None


class EntitlementPeriod(Base):
    """What one period was given: `credits` in the grant `grant_id` (None: nothing), for `cost_minor`.

    What it left unspent went into the grant `rolled_into`, up to `rollover_cap`.
    """

    __tablename__ = "entitlement_periods"

    entitlement_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger)
    subscription_id: Mapped[int | None] = mapped_column(BigInteger)
    starts_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    credits: Mapped[int] = mapped_column(BigInteger)
    rollover_cap: Mapped[int] = mapped_column(BigInteger)
    grant_id: Mapped[int | None] = mapped_column(BigInteger)
    rolled_into: Mapped[int | None] = mapped_column(BigInteger)
    stripe_invoice_id: Mapped[str | None] = mapped_column(Text)
    cost_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(Text)
    granted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class EntitlementPayment(Base):
    """Money that pays for `periods` periods from `first_period` on, such as the twelve months of a year."""

    __tablename__ = "entitlement_payments"

    entitlement_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    first_period: Mapped[int] = mapped_column(Integer, primary_key=True)
    periods: Mapped[int] = mapped_column(Integer)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    stripe_invoice_id: Mapped[str | None] = mapped_column(Text)

    def share(self, number: int) -> int:
        """What period `number` cost: equal shares, and all of them together are the amount exactly."""
        place = number - self.first_period
        return self.amount_minor * (place + 1) // self.periods - self.amount_minor * place // self.periods


def terms_of(plan: Plan) -> dict[str, Any]:
    """What a plan promises now, to be kept for as long as somebody stays on it."""
    return {
        "plan": plan.code,
        "plan_name": plan.name,
        "kind": plan.kind,
        "credits_per_month": plan.credits_per_month,
        "expiry": plan.expiry,
        "expiry_days": plan.expiry_days,
        "rollover_cap": plan.rollover_cap,
        "grant_priority": plan.grant_priority,
        "features": plan.features,
    }


# Made once: to put it together and to recognise it costs as much as to ask it.
_RUNNING = (
    select(Entitlement)
    .where(
        Entitlement.account_id == bindparam("account_id"),
        Entitlement.mode == bindparam("mode"),
        Entitlement.starts_at <= bindparam("now"),
        (Entitlement.ends_at.is_(None)) | (Entitlement.ends_at > bindparam("now")),
    )
    .order_by(Entitlement.id.desc())
)


def running(session: Session, *, account_id: int, mode: str, now: datetime) -> Sequence[Entitlement]:
    """What the account is entitled to now, the best first: by subscription, for life, for free."""
    found = session.scalars(_RUNNING, {"account_id": account_id, "mode": mode, "now": now}).all()
    rank = {"monthly": 0, "yearly": 0, "lifetime": 1, "free": 2}
    return sorted(found, key=lambda one: rank[one.kind])


def is_subscriber(session: Session, *, account_id: int, mode: str, now: datetime) -> bool:
    """Whether the account is on a plan that is paid for, and no payment is missing."""
    found = running(session, account_id=account_id, mode=mode, now=now)
    return any(one.kind in PAID_KINDS and not one.paused for one in found)


def payment_for(session: Session, *, entitlement: Entitlement, number: int) -> EntitlementPayment | None:
    """What paid for that period of a year; None where nothing did."""
    return session.scalars(
        select(EntitlementPayment).where(
            EntitlementPayment.entitlement_id == entitlement.id,
            EntitlementPayment.first_period <= number,
            EntitlementPayment.first_period + EntitlementPayment.periods > number,
        )
    ).first()


def stretches_of(session: Session, *, subscription_id: int, lock: bool = False) -> list[Entitlement]:
    """All that a subscription ever entitled to, in order."""
    statement = select(Entitlement).where(Entitlement.subscription_id == subscription_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return list(session.scalars(statement.order_by(Entitlement.starts_at, Entitlement.id)))
