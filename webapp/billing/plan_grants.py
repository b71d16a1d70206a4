"""The grants that a payment for a plan has made, with what they left for the next period."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, column, select, table, text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import Entitlement, EntitlementPayment, EntitlementPeriod
from webapp.billing.plan_order import PlanOrder
from webapp.billing.subscription import SubscriptionInvoice
from webapp.billing.take_back import Gone, PaidGrant, revoke_target, take_back


@dataclass(frozen=True, kw_only=True)
class PeriodGrant:
    """What one period was given, and the grant into which its rest was `carried` over, if it was.

    `taken_before` credits of `own` had been revoked by the time its rest was carried over.
    """

    own: PaidGrant
    carried: PaidGrant | None = None
    taken_before: int = 0

    @property
    def each(self) -> Iterator[PaidGrant]:
        """The grant, and the one that carries it on."""
        yield self.own
        if self.carried is not None:
            yield self.carried


@dataclass(frozen=True, kw_only=True)
class PeriodLine:
    """A period, the name of its plan, and what is left of what it was given (None: nothing was)."""

    period: EntitlementPeriod
    plan_name: str
    remaining: int | None


def take_back_of_period(session: Session, *, grant: PeriodGrant, before: Gone, now: Gone) -> None:
    """Of the period's credits as many are revoked in total as `now` says, wherever they stand by now.

    Safe to repeat. Locks the account.
    """
    paid = grant.own
    target = revoke_target(credits=paid.credits, price_minor=paid.price_minor, refunded_minor=now.total_minor)
    carried = grant.carried.credits if grant.carried is not None else 0
    own, rest = split_target(target=target, carried=carried, taken_before=grant.taken_before)
    take_back(session, paid=paid, before=before, now=now, target=own)
    if grant.carried is not None:
        take_back(session, paid=grant.carried, before=before, now=now, target=rest)


def split_target(*, target: int, carried: int, taken_before: int) -> tuple[int, int]:
    """What is to be revoked of a grant itself, and of the `carried` credits of it that went on into the next period.

    Those are what remains of the grant, so they are taken first; but for what was `taken_before` they were carried on,
    of which they are already short. Both together are the target, however often and late it is reached for.
    """
    rest = min(max(target - taken_before, 0), carried)
    return target - rest, rest


def periods_paid_by(session: Session, *, payment_intent_id: str, limit: int) -> Sequence[PeriodLine]:
    """The newest periods that the payment has paid for, with what is left of their own grants. One statement."""
    grants = table("grants_v", column("account_id"), column("grant_id"), column("remaining"), schema="ledger")
    rows = session.execute(
        select(EntitlementPeriod, Entitlement.plan_name, grants.c.remaining)
        .join(Entitlement, Entitlement.id == EntitlementPeriod.entitlement_id)
        .outerjoin(
            grants,
            (grants.c.account_id == EntitlementPeriod.account_id) & (grants.c.grant_id == EntitlementPeriod.grant_id),
        )
        .where(_paid_by(payment_intent_id))
        .order_by(EntitlementPeriod.starts_at.desc())
        .limit(limit)
    )
    return [PeriodLine(period=period, plan_name=name, remaining=remaining) for period, name, remaining in rows]


def grants_paid_by(session: Session, *, payment_intent_id: str, price_minor: int, currency: str) -> list[PeriodGrant]:
    """Every grant that came from the payment so far, oldest first."""
    found: dict[int, PeriodGrant] = {}
    for period, name in session.execute(
        select(EntitlementPeriod, Entitlement.plan_name)
        .join(Entitlement, Entitlement.id == EntitlementPeriod.entitlement_id)
        .where(EntitlementPeriod.grant_id.is_not(None), _paid_by(payment_intent_id))
        .order_by(EntitlementPeriod.grant_id)
    ):
        assert period.grant_id is not None
        grant = ledger.get_grant(session, account_id=period.account_id, grant_id=period.grant_id)
        own = PaidGrant(
            account_id=grant.account_id,
            grant_id=grant.grant_id,
            credits=grant.amount,
            price_minor=price_minor,
            currency=currency,
            name=name,
            reference=grant.source_key or f"grant:{period.entitlement_id}:{period.number}",
        )
        found[grant.grant_id] = _with_rest(session, own, rolled_into=period.rolled_into)
    return list(found.values())


def _with_rest(session: Session, own: PaidGrant, *, rolled_into: int | None) -> PeriodGrant:
    if rolled_into is None:
        return PeriodGrant(own=own)
    rest = ledger.get_grant(session, account_id=own.account_id, grant_id=rolled_into)
    carried = replace(
        own, grant_id=rest.grant_id, credits=rest.amount, reference=rest.source_key or f"rollover:{own.grant_id}"
    )
    taken = session.execute(
        _TAKEN_BEFORE, {"account_id": own.account_id, "grant_id": own.grant_id, "seq": rolled_into}
    ).scalar_one()
    return PeriodGrant(own=own, carried=carried, taken_before=max(int(taken), 0))


# What had effect: what a revoke could not reach, because it had expired by then, is what was carried over.
_TAKEN_BEFORE = text(
    "SELECT coalesce(-sum(amount), 0) FROM ledger.entries_v WHERE account_id = :account_id AND about_seq = :grant_id"
    " AND kind IN ('revoke', 'restore') AND seq < :seq"
)


def _paid_by(payment_intent_id: str) -> ColumnElement[bool]:
    """Periods that an invoice paid for by itself, as one of a year's months, or that come from an order for life."""
    invoices = select(SubscriptionInvoice.stripe_invoice_id).where(
        SubscriptionInvoice.stripe_payment_intent_id == payment_intent_id
    )
    months = (
        select(EntitlementPayment.entitlement_id)
        .where(
            EntitlementPayment.stripe_invoice_id.in_(invoices),
            EntitlementPayment.entitlement_id == EntitlementPeriod.entitlement_id,
            EntitlementPayment.first_period <= EntitlementPeriod.number,
            EntitlementPayment.first_period + EntitlementPayment.periods > EntitlementPeriod.number,
        )
        .exists()
    )
    orders = select(PlanOrder.id).where(PlanOrder.stripe_payment_intent_id == payment_intent_id)
    return (
        EntitlementPeriod.stripe_invoice_id.in_(invoices)
        | months
        | (Entitlement.order_id.in_(orders) & (Entitlement.kind == "lifetime"))
    )
