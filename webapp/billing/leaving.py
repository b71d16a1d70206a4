"""Leaving: what was bought ends with the person who bought it. Plans end, Stripe is told, the books stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from webapp import ledger, outbox
from webapp.billing.entitlement import Entitlement, running
from webapp.billing.plan_order import PlanOrder
from webapp.billing.purchase import Purchase
from webapp.billing.stripe_customer import customer_id_of
from webapp.billing.subscription import ENDED, Subscription
from webapp.people.leaving import check_may_leave, forget_person

JOB = "leave_stripe"


class PaymentOnItsWay(Exception):
    """Money is under way whose credits nobody could use once the person is gone: they must wait for it."""


@dataclass(frozen=True, kw_only=True)
class EndingPlan:
    """A plan that would end; `paid_until` is the end of what is paid for, None where there is no such moment."""

    code: str
    name: str
    kind: str
    paid_until: datetime | None


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """What somebody who leaves now would lose; `waits` while a payment of theirs is on its way."""

    credits: int
    held: int
    plans: list[EndingPlan]
    waits: bool


def preview_leaving(session: Session, *, account_id: int, mode: str) -> Leaving:
    """What becomes of the account if its holder leaves now. Changes nothing."""
    balance = ledger.balance(session, account_id=account_id)
    ends = {row.id: row.period_ends_at for row in unended_subscriptions(session, account_id=account_id, mode=mode)}
    return Leaving(
        credits=max(balance.balance, 0),
        held=balance.held,
        plans=[
            EndingPlan(code=one.plan, name=one.plan_name, kind=one.kind, paid_until=ends.get(one.subscription_id or 0))
            for one in running(session, account_id=account_id, mode=mode, now=ledger.now(session))
        ],
        waits=is_waiting(session, account_id=account_id, mode=mode),
    )


def leave(session: Session, *, user_id: int, password: str, mode: str) -> None:
    """The person is forgotten, their account closed, what they were on has ended, and Stripe is told by a job.

    What a hold has reserved may still be captured. Locks the person, the entitlements, the account. Raises
    WrongPassword, HasRole, PaymentOnItsWay; nothing was written then.
    """
    user = check_may_leave(session, user_id=user_id, password=password)
    account_id = user.account_id
    if is_waiting(session, account_id=account_id, mode=mode):
        raise PaymentOnItsWay
    _end_plans(session, account_id=account_id, mode=mode)
    forget_person(session, user=user)
    if customer_id_of(session, account_id=account_id, mode=mode) is not None:
        outbox.put(session, job=JOB, key=f"{JOB}:{account_id}:{mode}", args={"account_id": account_id, "mode": mode})


def is_waiting(session: Session, *, account_id: int, mode: str) -> bool:
    """Whether a payment of the account is on its way, such as a bank transfer."""
    for kind in (Purchase, PlanOrder):
        pending = select(kind.id).where(kind.account_id == account_id, kind.mode == mode, kind.state == "pending")
        if session.execute(pending.limit(1)).first() is not None:
            return True
    return False


def unended_subscriptions(session: Session, *, account_id: int, mode: str) -> Sequence[Subscription]:
    """The account's subscriptions that go on, by id."""
    return session.scalars(
        select(Subscription)
        .where(Subscription.account_id == account_id, Subscription.mode == mode, Subscription.status.not_in(ENDED))
        .order_by(Subscription.id)
    ).all()


def _end_plans(session: Session, *, account_id: int, mode: str) -> None:
    """What the calendar grants ends now. A subscription ends when Stripe has ended it, and nothing follows it."""
    now = ledger.now(session)
    for subscription in unended_subscriptions(session, account_id=account_id, mode=mode):
        subscription.pending_plan = None
    lasting = session.scalars(
        select(Entitlement)
        .where(
            Entitlement.account_id == account_id,
            Entitlement.mode == mode,
            Entitlement.kind.in_(("free", "lifetime")),
            or_(Entitlement.ends_at.is_(None), Entitlement.ends_at > now),
        )
        .order_by(Entitlement.id)
        .with_for_update()
    )
    for entitlement in lasting.all():
        entitlement.end(now)
    session.flush()
