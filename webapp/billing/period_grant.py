"""The credits of one period, granted once, whoever comes first; and what the last period left unspent."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from webapp import ledger, outbox
from webapp.billing.carrying_over import carry_over_around
from webapp.billing.entitlement import Entitlement, EntitlementPayment, EntitlementPeriod, payment_for
from webapp.billing.plan_order import PlanOrder
from webapp.billing.plan_reversals import follow_up
from webapp.catalog.periods import Period

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
    grant_id = None
    if amount > 0:
        terms = grant_terms(
            entitlement,
            period,
            amount=amount,
            cause="trial" if entitlement.trial else "month" if credits is None else "change",
            cost_minor=cost_minor,
            currency=currency,
            counts_from=max(due_at or period.starts_at, period.starts_at),
            now=now,
        )
        grant_id = ledger.grant(session, actor=actor, reference=invoice_id, **terms).entry.seq
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
    carry_over_around(session, row=row, actor=actor)
    if grant_id is not None and (told := mail_about(entitlement, period, grant_id=grant_id, credits=amount, now=now)):
        outbox.put(session, job="send_mail", key=told[0], args=told[1])
    follow_up(session, account_id=entitlement.account_id)  # its payment may have gone back before
    log.info("period_granted", entitlement=entitlement.id, period=period.number, credits=amount)
    return row


def grant_terms(
    entitlement: Entitlement,
    period: Period,
    *,
    amount: int,
    cause: str,
    cost_minor: int,
    currency: str | None,
    counts_from: datetime,
    now: datetime,
) -> dict[str, Any]:
    """What the ledger is asked for, singly or in a batch; it counts from `counts_from`, however late it is booked."""
    return {
        "account_id": entitlement.account_id,
        "amount": amount,
        "source": SOURCES[entitlement.kind],
        "source_key": f"grant:{entitlement.id}:{period.number}",
        "expires_at": expires_at(entitlement, period),
        "priority": entitlement.grant_priority,
        "features": entitlement.features,
        "cost_minor": cost_minor,
        "cost_currency": currency if cost_minor else None,
        "description": entitlement.plan_name,
        "metadata": {
            "plan": entitlement.plan,
            "entitlement": entitlement.id,
            "period": period.number,
            "cause": cause,
        },
        "occurred_at": counts_from if counts_from < now else None,
    }


def mail_about(
    entitlement: Entitlement, period: Period, *, grant_id: int, credits: int, now: datetime
) -> tuple[str, dict[str, Any]] | None:
    """Key and arguments of the mail about new credits that can still be spent.

    None for the first ones, which a page has shown, for what has expired, and where there is no user to tell.
    """
    ends = expires_at(entitlement, period)
    if entitlement.user_id is None or period.number == 0 or (ends is not None and ends <= now):
        return None
    account_id = entitlement.account_id
    return f"credits-granted:{account_id}:{grant_id}", {
        "mail": "credits_granted",
        "user_id": entitlement.user_id,
        "account_id": account_id,
        "grants": [[grant_id, credits]],
    }


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
        return share_of_life(session.get_one(PlanOrder, entitlement.order_id), number)
    payment = payment_for(session, entitlement=entitlement, number=number)
    return (payment.share(number), payment.currency) if payment is not None else (0, None)


def share_of_life(order: PlanOrder, number: int) -> tuple[int, str]:
    """What period `number` of a plan for life is reckoned to have cost without taxes, and the currency."""
    cost_minor = (order.paid_minor or 0) - (order.tax_minor or 0)
    spread = EntitlementPayment(
        first_period=0, periods=LIFETIME_PERIODS, amount_minor=cost_minor, currency=order.currency
    )
    return (spread.share(number) if number < LIFETIME_PERIODS else 0), order.currency
