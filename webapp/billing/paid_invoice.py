"""From a paid invoice to credits: which stretch of which plan it pays for, and what that is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import (
    STRIPE_TIME_ZONE,
    Entitlement,
    EntitlementPayment,
    EntitlementPeriod,
    payment_for,
    stretches_of,
    terms_of,
)
from webapp.billing.granting_due import grant_until
from webapp.billing.period_grant import grant_period
from webapp.billing.stripe_price import PricedPlan
from webapp.billing.subscription import Subscription
from webapp.billing.subscription_facts import InvoiceFacts, LineFacts
from webapp.catalog.periods import Period, months_between, share_left
from webapp.catalog.plan import Plan

RENEWALS = ("subscription_create", "subscription_cycle")
CHANGE = "subscription_update"
ACTOR = "stripe"


@dataclass(frozen=True, kw_only=True)
class Paid:
    """A paid invoice beside what it needs to be understood. `trial_ends_at`: the end of the free trial, if any."""

    subscription: Subscription
    invoice: InvoiceFacts
    plans: Mapping[str, PricedPlan]
    trial_ends_at: datetime | None

    @property
    def renewal(self) -> LineFacts | None:
        """The line for a whole period of a plan."""
        whole = [line for line in self.invoice.lines if not line.proration and line.price_id in self.plans]
        return max(whole, key=lambda line: line.starts_at, default=None)

    @property
    def rest(self) -> LineFacts | None:
        """The line for the rest of a period on another plan."""
        rests = [
            line
            for line in self.invoice.lines
            if line.proration and line.amount_minor > 0 and line.price_id in self.plans
        ]
        return max(rests, key=lambda line: line.starts_at, default=None)

    @property
    def cost_minor(self) -> int:
        """What its lines come to, after discounts and what is given back, before taxes."""
        return max(0, sum(line.amount_minor for line in self.invoice.lines))

    @property
    def due_at(self) -> datetime | None:
        """When it was paid: what is paid late counts from then."""
        return self.invoice.paid_at

    def plan_of(self, line: LineFacts) -> Plan:
        assert line.price_id is not None
        return self.plans[line.price_id].plan


def disagreement(paid: Paid) -> str | None:
    """In what the invoice is not what its prices say: another currency, or less for a whole period.

    None when nothing is wrong; else nothing may be granted, and a person has to look.
    """
    for line in paid.invoice.lines:
        priced = paid.plans.get(line.price_id or "")
        if priced is None:
            continue
        if paid.invoice.currency != priced.currency:
            return f"currency: {paid.invoice.currency!r} instead of {priced.currency!r}"
        free = line.proration or (paid.trial_ends_at is not None and line.ends_at <= paid.trial_ends_at)
        if not free and line.listed_minor is not None and line.listed_minor < priced.price_minor:
            return f"amount: {line.listed_minor!r} instead of {priced.price_minor!r}"
    return None


def apply_invoice(session: Session, *, paid: Paid) -> bool:
    """What the paid invoice is for is granted, once; its stretch of the plan exists, and the one before it has ended.

    A first or renewing invoice grants its period, or pays for the twelve months of a year. One for a change in the
    middle of a period grants the difference between the plans for the rest of it. Any other invoice grants nothing.
    Returns whether it could be understood: False for money paid for a period of what is no plan of ours. The
    subscription is locked by the caller; locks its entitlements and the account. Repeatable, in any order.
    """
    renewal, rest = paid.renewal, paid.rest
    reason = paid.invoice.billing_reason
    if renewal is not None and (reason in RENEWALS or reason == CHANGE):
        if paid.trial_ends_at is not None and renewal.ends_at <= paid.trial_ends_at:
            _apply_trial(session, paid, renewal)
        else:
            _apply_renewal(session, paid, renewal)
    elif rest is not None and reason == CHANGE:
        _apply_upgrade(session, paid, rest)
    elif reason in RENEWALS:
        return False
    return True


def _apply_trial(session: Session, paid: Paid, line: LineFacts) -> None:
    """The trial's own credits, for as long as the trial lasts."""
    plan = paid.plan_of(line)
    stretch = _begun_at(session, paid, plan, line.starts_at)
    if stretch is None:
        stretch = _begin(session, paid, plan, line.starts_at, anchor_at=line.starts_at, trial=True)
    period = Period(number=0, starts_at=line.starts_at, ends_at=line.ends_at)
    grant_period(
        session,
        entitlement=stretch,
        period=period,
        actor=ACTOR,
        credits=plan.trial_credits,
        due_at=paid.due_at,
        invoice_id=paid.invoice.id,
    )


def _apply_renewal(session: Session, paid: Paid, line: LineFacts) -> None:
    plan = paid.plan_of(line)
    stretch = _stretch_of(session, paid, plan, line)
    switched = paid.invoice.billing_reason == CHANGE
    credits = None
    if switched:  # what is left of the old period stays with the account, and was given back in money
        credits = max(0, plan.credits_per_month - _unused(session, stretch, line.starts_at))
    if stretch.kind == "yearly":
        _apply_year(session, paid, line, stretch, credits)
        return
    number = months_between(stretch.anchor_at, line.starts_at)
    grant_period(
        session,
        entitlement=stretch,
        period=Period(number=number, starts_at=line.starts_at, ends_at=line.ends_at),
        actor=ACTOR,
        credits=credits,
        cost_minor=max(0, line.amount_minor),
        currency=paid.invoice.currency,
        due_at=paid.due_at,
        invoice_id=paid.invoice.id,
    )


def _apply_year(session: Session, paid: Paid, line: LineFacts, stretch: Entitlement, first_credits: int | None) -> None:
    """Twelve months are paid for; those that have begun are granted, the rest follows by the calendar."""
    first = months_between(stretch.anchor_at, line.starts_at)
    months = max(1, months_between(line.starts_at, line.ends_at))
    # What was given back for the old plan is taken off: its month bears all that was paid for it.
    amount_minor = max(0, line.amount_minor) if first_credits is None else paid.cost_minor
    _note_payment(session, paid, stretch, first=first, months=months, amount_minor=amount_minor)
    stretch.paid_periods = max(stretch.paid_periods or 0, first + months)
    if first_credits is not None and stretch.next_period == first:
        share = EntitlementPayment(first_period=first, periods=months, amount_minor=amount_minor)
        grant_period(
            session,
            entitlement=stretch,
            period=stretch.period(first),
            actor=ACTOR,
            credits=first_credits,
            cost_minor=share.share(first),
            currency=paid.invoice.currency,
            due_at=paid.due_at,
            invoice_id=paid.invoice.id,
        )
        stretch.next_period = first + 1
    stretch.set_next(stretch.next_period)
    grant_until(session, entitlement=stretch, now=ledger.now(session))


def _apply_upgrade(session: Session, paid: Paid, line: LineFacts) -> None:
    """(new − old) credits × what is left of the running period, once for each change; what shrinks waits for its end.

    https://docs.stripe.com/billing/subscriptions/prorations
    """
    plan = paid.plan_of(line)
    old = _last_before(session, paid, line.starts_at, other_than=plan)
    if _begun_at(session, paid, plan, line.starts_at) is not None or old is None:
        return
    if plan.credits_per_month <= old.credits_per_month or plan.kind != old.kind:
        return
    running = period_at(session, old, line.starts_at)
    stretch = _begin(session, paid, plan, line.starts_at, anchor_at=old.anchor_at)
    cost_minor = paid.cost_minor
    if stretch.kind == "yearly":
        left = max(1, months_between(running.starts_at, line.ends_at))
        whole = paid.cost_minor + _not_granted(session, old, after=running.number)
        _note_payment(session, paid, stretch, first=running.number, months=left, amount_minor=whole)
        stretch.paid_periods = running.number + left
        cost_minor = EntitlementPayment(first_period=0, periods=left, amount_minor=whole).share(0)
    grant_period(
        session,
        entitlement=stretch,
        period=running,
        actor=ACTOR,
        credits=share_left(
            credits=plan.credits_per_month - old.credits_per_month,
            starts_at=running.starts_at,
            ends_at=running.ends_at,
            moment=line.starts_at,
        ),
        cost_minor=cost_minor,
        currency=paid.invoice.currency,
        due_at=max(line.starts_at, paid.due_at or line.starts_at),
        invoice_id=paid.invoice.id,
    )
    stretch.set_next(running.number + 1)


def _not_granted(session: Session, old: Entitlement, *, after: int) -> int:
    """What was paid for months of the old plan that will not come any more."""
    payment = payment_for(session, entitlement=old, number=after)
    if payment is None:
        return 0
    return sum(payment.share(number) for number in range(after + 1, payment.first_period + payment.periods))


def _stretch_of(session: Session, paid: Paid, plan: Plan, line: LineFacts) -> Entitlement:
    """The stretch whose period the line pays for, begun now where the plan is another than before."""
    begun = _begun_at(session, paid, plan, line.starts_at)
    if begun is not None:
        return begun
    last = _last_before(session, paid, line.starts_at)
    if last is None or last.trial:
        return _begin(session, paid, plan, line.starts_at, anchor_at=line.starts_at)
    if last.plan == plan.code and last.kind == plan.kind and paid.invoice.billing_reason != CHANGE:
        return last
    same_rhythm = last.kind == plan.kind and paid.invoice.billing_reason in RENEWALS
    return _begin(session, paid, plan, line.starts_at, anchor_at=last.anchor_at if same_rhythm else line.starts_at)


def _begun_at(session: Session, paid: Paid, plan: Plan, moment: datetime) -> Entitlement | None:
    """The stretch of that plan that begins at that very moment."""
    found = stretches_of(session, subscription_id=paid.subscription.id, lock=True)
    return next((one for one in found if one.starts_at == moment and one.plan == plan.code), None)


def _last_before(
    session: Session, paid: Paid, moment: datetime, *, other_than: Plan | None = None
) -> Entitlement | None:
    """The last stretch that has begun by then."""
    found = stretches_of(session, subscription_id=paid.subscription.id, lock=True)
    begun = [one for one in found if one.starts_at <= moment and (other_than is None or one.plan != other_than.code)]
    return begun[-1] if begun else None


def _begin(
    session: Session,
    paid: Paid,
    plan: Plan,
    starts_at: datetime,
    *,
    anchor_at: datetime,
    trial: bool = False,
) -> Entitlement:
    """A new stretch begins; the one before it ends there, and so does this one where a later one has begun."""
    subscription = paid.subscription
    stretches = stretches_of(session, subscription_id=subscription.id, lock=True)
    for one in stretches:
        if one.starts_at <= starts_at:
            one.end(starts_at)
    later = [one.starts_at for one in stretches if one.starts_at > starts_at]
    stretch = Entitlement(
        user_id=subscription.user_id,
        account_id=subscription.account_id,
        external_id=subscription.external_id,
        mode=subscription.mode,
        subscription_id=subscription.id,
        trial=trial,
        **terms_of(plan),
        anchor_at=anchor_at,
        time_zone=STRIPE_TIME_ZONE,
        starts_at=starts_at,
        ends_at=min([*later, subscription.ended_at] if subscription.ended_at else later, default=None),
        next_period=months_between(anchor_at, starts_at),
        paid_periods=0 if plan.kind == "yearly" else None,
        paused=subscription.lacks_payment,
        created_at=ledger.now(session),
    )
    session.add(stretch)
    session.flush()
    return stretch


def _unused(session: Session, stretch: Entitlement, moment: datetime) -> int:
    """The credits of the old plan for the rest of the period that a switch cut short."""
    stretches = stretches_of(session, subscription_id=stretch.subscription_id or 0)
    old = next((one for one in reversed(stretches) if one.starts_at <= moment and one.id != stretch.id), None)
    if old is None or old.trial:
        return 0
    running = period_at(session, old, moment)
    return share_left(
        credits=old.credits_per_month, starts_at=running.starts_at, ends_at=running.ends_at, moment=moment
    )


def period_at(session: Session, stretch: Entitlement, moment: datetime) -> Period:
    """The period of the stretch that runs at `moment`: as it was granted, else by the calendar."""
    number = months_between(stretch.anchor_at, moment)
    for candidate in (number + 1, number, number - 1):
        row = session.get(EntitlementPeriod, (stretch.id, candidate))
        if row is not None and row.starts_at <= moment < row.ends_at:
            return Period(number=candidate, starts_at=row.starts_at, ends_at=row.ends_at)
    while stretch.period(number).starts_at > moment:
        number -= 1
    while stretch.period(number).ends_at <= moment:
        number += 1
    return stretch.period(number)


def _note_payment(
    session: Session, paid: Paid, stretch: Entitlement, *, first: int, months: int, amount_minor: int
) -> None:
    session.execute(
        insert(EntitlementPayment)
        .values(
            entitlement_id=stretch.id,
            first_period=first,
            periods=months,
            amount_minor=amount_minor,
            currency=paid.invoice.currency,
            stripe_invoice_id=paid.invoice.id,
        )
        .on_conflict_do_nothing()
    )
