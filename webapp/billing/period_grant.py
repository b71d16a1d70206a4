"""The credits of one period, granted once, whoever comes first; and what the last period left unspent."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from webapp import ledger, outbox
from webapp.billing.entitlement import Entitlement, EntitlementPayment, EntitlementPeriod, payment_for
from webapp.billing.plan_order import PlanOrder
from webapp.billing.plan_reversals import follow_up
from webapp.catalog.periods import Period, period_start

log = structlog.get_logger()

# What is paid once for life is reckoned over three years: the figure that revenue reports go by, no promise.
LIFETIME_PERIODS = 36
SOURCES = {"monthly": "subscription", "yearly": "subscription", "free": "plan", "lifetime": "plan"}


def grant_period(
    session: Session,
    *,
    entitlement: Entitlement,
    period: Period,
    actor: str,
    credits: int | None = None,
    cost_minor: int = 0,
    currency: str | None = None,
    due_at: datetime | None = None,
    invoice_id: str | None = None,
) -> EntitlementPeriod:
    """The period has its credits, and what the one before it left is carried over.

    `credits` default to the plan's; 0 grants nothing, and the period is done. It counts from `due_at`, by default
    the period's start, even when it is booked late; what should have expired by then is granted and expired. A period
    that was granted before stays as it was. The entitlement is locked by the caller; locks the account.
    """
    known = session.get(EntitlementPeriod, (entitlement.id, period.number))
    if known is not None:
        return known
    amount = entitlement.credits_per_month if credits is None else credits
    now = ledger.now(session)
    counts_from = max(due_at or period.starts_at, period.starts_at)
    grant_id = None
    if amount > 0:
        grant_id = ledger.grant(
            session,
            account_id=entitlement.account_id,
            amount=amount,
            source=SOURCES[entitlement.kind],
            source_key=f"grant:{entitlement.id}:{period.number}",
            actor=actor,
            expires_at=expires_at(entitlement, period),
            priority=entitlement.grant_priority,
            features=entitlement.features,
            cost_minor=cost_minor,
            cost_currency=currency if cost_minor else None,
            description=entitlement.plan_name,
            reference=invoice_id,
            metadata={
                "plan": entitlement.plan,
                "entitlement": entitlement.id,
                "period": period.number,
                "cause": "trial" if entitlement.trial else "month" if credits is None else "change",
            },
            occurred_at=counts_from if counts_from < now else None,
        ).entry.seq
    row = EntitlementPeriod(
        entitlement_id=entitlement.id,
        number=period.number,
        account_id=entitlement.account_id,
        subscription_id=entitlement.subscription_id,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        credits=amount,
        rollover_cap=entitlement.rollover_cap,
        grant_id=grant_id,
        stripe_invoice_id=invoice_id,
        cost_minor=cost_minor,
        currency=currency,
        granted_at=now,
    )
    session.add(row)
    session.flush()
    for one in (row, _following(session, row)):
        if one is not None:
            _carry_over_into(session, one, actor=actor)
    _tell(session, entitlement, row, now=now)
    follow_up(session, account_id=entitlement.account_id)  # its payment may have gone back before
    log.info("period_granted", entitlement=entitlement.id, period=period.number, credits=amount)
    return row


def _tell(session: Session, entitlement: Entitlement, row: EntitlementPeriod, *, now: datetime) -> None:
    """The person hears of new credits that can still be spent; not of the first ones, which a page has shown."""
    ends = expires_at(entitlement, entitlement.period(row.number))
    nobody = entitlement.user_id is None  # an account that only the product's backend knows
    if nobody or row.number == 0 or row.grant_id is None or (ends is not None and ends <= now):
        return
    args = {
        "mail": "credits_granted",
        "user_id": entitlement.user_id,
        "account_id": row.account_id,
        "grants": [[row.grant_id, row.credits]],
    }
    outbox.put(session, job="send_mail", key=f"credits-granted:{row.account_id}:{row.grant_id}", args=args)


def expires_at(entitlement: Entitlement, period: Period) -> datetime | None:
    """When a period's credits expire by the plan's rule."""
    if entitlement.expiry == "days":
        assert entitlement.expiry_days is not None
        return period.starts_at + timedelta(days=entitlement.expiry_days)
    return period.ends_at if entitlement.expiry == "period" else None


def grant_next(session: Session, *, entitlement: Entitlement) -> EntitlementPeriod:
    """The period that is next by the calendar has its credits, and the one after it is next."""
    number = entitlement.next_period
    cost_minor, currency = _cost_by_calendar(session, entitlement, number)
    row = grant_period(
        session,
        entitlement=entitlement,
        period=entitlement.period(number),
        actor="plan",
        cost_minor=cost_minor,
        currency=currency,
    )
    entitlement.set_next(number + 1)
    return row


def _cost_by_calendar(session: Session, entitlement: Entitlement, number: int) -> tuple[int, str | None]:
    if entitlement.kind == "lifetime":
        order = session.get_one(PlanOrder, entitlement.order_id)
        spread = EntitlementPayment(
            first_period=0, periods=LIFETIME_PERIODS, amount_minor=order.paid_minor or 0, currency=order.currency
        )
        return (spread.share(number) if number < LIFETIME_PERIODS else 0), order.currency
    payment = payment_for(session, entitlement=entitlement, number=number)
    return (payment.share(number), payment.currency) if payment is not None else (0, None)


def _carry_over_into(session: Session, row: EntitlementPeriod, *, actor: str) -> None:
    """What ended with the last period, in the same line of entitlements, goes on in this one, up to the cap."""
    ended = _ended_before(session, row)
    left = max((one.rollover_cap for one in ended), default=0)  # as was promised when they were granted
    for one in ended:
        if left <= 0 or one.rollover_cap == 0 or one.grant_id is None or one.rolled_into is not None:
            continue
        written = ledger.roll_over(
            session,
            account_id=row.account_id,
            grant_id=one.grant_id,
            cap=min(left, one.rollover_cap),
            source_key=f"rollover:{one.entitlement_id}:{one.number}",
            actor=actor,
            expires_at=row.ends_at,
        )
        if written is not None:
            one.rolled_into = written.entry.seq
            left -= written.entry.amount


def _ended_before(session: Session, row: EntitlementPeriod) -> Sequence[EntitlementPeriod]:
    """The periods of this line that ended since the one before this began, a month ago at the most."""
    since = period_start(row.starts_at, -1, "UTC")
    others = session.scalars(
        select(EntitlementPeriod).where(
            _same_line(row), EntitlementPeriod.starts_at < row.starts_at, EntitlementPeriod.ends_at > since
        )
    ).all()
    if not others:
        return []
    began = max(one.starts_at for one in others)
    ended = [one for one in others if began < one.ends_at <= row.starts_at]
    return sorted(ended, key=lambda one: (one.ends_at, one.entitlement_id, one.number))


def _following(session: Session, row: EntitlementPeriod) -> EntitlementPeriod | None:
    """The period that was granted already although it comes after this one."""
    return session.scalars(
        select(EntitlementPeriod)
        .where(_same_line(row), EntitlementPeriod.starts_at >= row.ends_at)
        .order_by(EntitlementPeriod.starts_at)
        .limit(1)
    ).first()


def _same_line(row: EntitlementPeriod) -> ColumnElement[bool]:
    """All periods of one subscription, whatever plans it was on; else of one entitlement."""
    if row.subscription_id is not None:
        return EntitlementPeriod.subscription_id == row.subscription_id
    return EntitlementPeriod.entitlement_id == row.entitlement_id
