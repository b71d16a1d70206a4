"""A subscription stands here as it stands at Stripe, whoever noticed first, in whatever order the events came."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp import clock, ledger, outbox
from webapp.billing.entitlement import stretches_of
from webapp.billing.free_plan import end_free
from webapp.billing.granting_due import grant_until
from webapp.billing.holder import holder_of
from webapp.billing.missing_payment import tell_of_missing_payment
from webapp.billing.paid_invoice import Paid, apply_invoice, disagreement
from webapp.billing.running_price import running_price_id
from webapp.billing.stripe_api import UnknownToStripe, mode
from webapp.billing.stripe_customer import StripeCustomer
from webapp.billing.stripe_price import PricedPlan, priced_plans
from webapp.billing.subscription import (
    ENDED,
    Subscription,
    SubscriptionInvoice,
    current_subscription,
    find_subscription,
    invoices_of,
)
from webapp.billing.subscription_facts import InvoiceFacts, SubscriptionFacts, fetch_subscription

log = structlog.get_logger()

SUCCESSOR_JOB = "begin_successor"
# How long after a period has ended an invoice that nobody told us of is looked for.
LOOK_AFTER = timedelta(hours=2)


class NotOurs(Exception):
    """The subscription is for something that we don't sell."""


class Unexplained(Exception):
    """A subscription of our plans that fits nobody here; `reason` says why. A person has to look."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def follow_subscription(session: Session, *, stripe_id: str, invoice_id: str | None = None) -> Subscription:
    """The subscription, its invoices and what they entitle to stand as they stand at Stripe now.

    Each paid invoice has granted what it pays for, once. A payment that is missing pauses, the end of the subscription
    ends what is granted from then on; what was granted stays. Safe to repeat, in any order and at once.

    Stripe is asked before anything is locked; then the subscription is locked, its entitlements, and the account
    inside the ledger's functions. Raises NotOurs, Unexplained, PaymentsUnavailable; nothing was written then.
    """
    known = find_subscription(session, stripe_id=stripe_id)
    seen = known.version if known is not None else None
    facts = _fetch(stripe_id, invoice_id)
    subscription = lock_subscription(session, facts=facts)
    if subscription.version != (seen if seen is not None else 0):
        # Somebody followed it in between, perhaps with a newer answer than ours.
        facts = _fetch(stripe_id, invoice_id)
    return stand_as(session, subscription=subscription, facts=facts)


def stand_as(session: Session, *, subscription: Subscription, facts: SubscriptionFacts) -> Subscription:
    """The locked subscription and what it entitles to stand as the facts say; see `follow_subscription`."""
    plans = plans_in(session, facts)
    before = _standing(subscription)
    _mirror(subscription, facts, plans)
    _follow_status(session, subscription)
    known = {row.stripe_invoice_id: row for row in invoices_of(session, subscription_id=subscription.id)}
    for invoice in facts.invoices:
        row = known.get(invoice.id) or _new_row(session, subscription, invoice)
        _follow_invoice(session, subscription, row, invoice, plans, facts)
    _go_on(session, subscription)
    _note_running_price(session, subscription, facts, plans)
    tell_of_missing_payment(session, subscription=subscription)
    subscription.version += 1
    if _standing(subscription) != before:
        log.info("subscription_changed", subscription=subscription.id, status=subscription.status)
    return subscription


def _fetch(stripe_id: str, invoice_id: str | None) -> SubscriptionFacts:
    try:
        return fetch_subscription(stripe_id, invoice_id=invoice_id)
    except UnknownToStripe:
        raise Unexplained(f"subscription {stripe_id}: Stripe does not know it") from None


def plans_in(session: Session, facts: SubscriptionFacts) -> dict[str, PricedPlan]:
    """What the prices of the subscription and of its invoices are, as far as they are ours."""
    prices = {line.price_id for invoice in facts.invoices for line in invoice.lines} | {facts.price_id}
    return priced_plans(session, price_ids={one for one in prices if one is not None}, mode=mode())


def lock_subscription(session: Session, *, facts: SubscriptionFacts) -> Subscription:
    """The row of the subscription, locked; made where it is missing, if its price and customer are known here.

    Raises NotOurs, Unexplained.
    """
    found = find_subscription(session, stripe_id=facts.id, lock=True)
    if found is not None:
        return found
    priced = plans_in(session, facts).get(facts.price_id or "")
    if priced is None:
        raise NotOurs(facts.id)
    if facts.livemode is not (mode() == "live"):
        raise Unexplained(f"subscription {facts.id}: livemode is {facts.livemode}")
    account_id = session.scalars(
        select(StripeCustomer.account_id).where(
            StripeCustomer.mode == mode(), StripeCustomer.stripe_customer_id == facts.customer_id
        )
    ).one_or_none()
    if account_id is None:
        raise Unexplained(f"subscription {facts.id}: customer {facts.customer_id} is nobody here")
    account = ledger.get_account(session, account_id=account_id)
    holder = holder_of(session, account_id=account_id, external_id=account.external_id)
    other = current_subscription(session, account_id=account_id, mode=mode())
    if other is not None and facts.status not in ENDED:
        # Paid for, so it is granted too; but somebody pays twice without wanting to, most likely.
        log.error("second_subscription", subscription=facts.id, beside=other.stripe_subscription_id)
    session.execute(
        insert(Subscription)
        .values(
            mode=mode(),
            stripe_subscription_id=facts.id,
            stripe_customer_id=facts.customer_id,
            user_id=holder.id,
            account_id=holder.account_id,
            external_id=holder.external_id,
            plan=priced.plan.code,
            price_minor=priced.price_minor,
            currency=priced.currency,
            status="incomplete",
            cancel_at_period_end=False,
            created_at=clock.now(),
        )
        .on_conflict_do_nothing()
    )
    made = find_subscription(session, stripe_id=facts.id, lock=True)
    assert made is not None
    return made


def _mirror(subscription: Subscription, facts: SubscriptionFacts, plans: dict[str, PricedPlan]) -> None:
    priced = plans.get(facts.price_id or "")
    if priced is not None:
        subscription.plan = priced.plan.code
        subscription.price_minor, subscription.currency = priced.price_minor, priced.currency
        subscription.reason = None
    elif not facts.ended_at:
        subscription.reason = f"price {facts.price_id} is no plan's"
        log.error("subscription_has_unknown_price", subscription=subscription.id, price=facts.price_id)
    waiting = [invoice for invoice in facts.invoices if invoice.is_waiting]
    subscription.status = facts.status
    subscription.stripe_item_id = facts.item_id
    subscription.period_starts_at, subscription.period_ends_at = facts.period_starts_at, facts.period_ends_at
    subscription.trial_ends_at = facts.trial_ends_at
    if not _wish_stands(subscription, facts):
        subscription.pending_plan = None
    subscription.cancel_at_period_end = facts.cancel_at_period_end
    subscription.ended_at = facts.ended_at
    subscription.stripe_payment_method_id = facts.payment_method_id
    subscription.unpaid_invoice_id = waiting[-1].id if waiting else None
    subscription.unpaid_invoice_url = waiting[-1].hosted_url if waiting else None
    subscription.needs = None if facts.ended_at else _what_is_needed(facts.invoices)
    subscription.check_at = None if subscription.has_ended else _next_look(subscription)


def _wish_stands(subscription: Subscription, facts: SubscriptionFacts) -> bool:
    """Whether the plan that we wrote down as the next one follows: the subscription ends, and ends for that wish.

    It was written down before Stripe was asked, and Stripe may have been asked by somebody else meanwhile. What Stripe
    has to say about it only confirms our own row; where it says nothing, an end that we knew of already is for it.
    """
    if facts.then is not None:
        ends_for_it = facts.then == subscription.pending_plan
    else:
        ends_for_it = subscription.cancel_at_period_end
    return ends_for_it and (facts.cancel_at_period_end or subscription.has_ended)


def _what_is_needed(invoices: Sequence[InvoiceFacts]) -> str | None:
    """What nobody but the customer can do: say where they are, or confirm a payment at their bank."""
    if any(invoice.lacks_address for invoice in invoices):
        return "address"
    return "confirmation" if any(invoice.wants_confirmation for invoice in invoices) else None


def _next_look(subscription: Subscription) -> datetime:
    """When to ask Stripe unprompted: after the period's end, or tomorrow where that should have come already."""
    now = clock.now()
    expected = (subscription.period_ends_at or now) + LOOK_AFTER
    return expected if expected > now else now + timedelta(days=1)


def _follow_status(session: Session, subscription: Subscription) -> None:
    """Nothing new is granted while a payment is missing, and nothing that begins after the end."""
    for stretch in stretches_of(session, subscription_id=subscription.id, lock=True):
        stretch.paused = subscription.lacks_payment
        if subscription.has_ended:
            stretch.end(subscription.ended_at or clock.now())


def _follow_invoice(
    session: Session,
    subscription: Subscription,
    row: SubscriptionInvoice,
    invoice: InvoiceFacts,
    plans: dict[str, PricedPlan],
    facts: SubscriptionFacts,
) -> None:
    row.status, row.total_minor, row.paid_minor = invoice.status, invoice.total_minor, invoice.paid_minor
    row.stripe_payment_intent_id = invoice.payment_intent_id
    row.hosted_url, row.paid_at = invoice.hosted_url, invoice.paid_at
    row.finalization_error = invoice.finalization_error
    if invoice.finalization_error is not None and not subscription.has_ended:
        subscription.reason = f"invoice {invoice.id} could not be made ready: {invoice.finalization_error}"
        log.error("invoice_not_finalized", subscription=subscription.id, invoice=invoice.id, error=subscription.reason)
    if invoice.is_paid and row.applied_at is None:
        session.flush()  # the grant's own followers look for the invoice
        paid = Paid(subscription=subscription, invoice=invoice, plans=plans, trial_ends_at=facts.trial_ends_at)
        problem = disagreement(paid)
        if problem is None and not apply_invoice(session, paid=paid):
            problem = "none of its prices is a plan's"
        if problem is None:
            row.applied_at = clock.now()
        else:
            subscription.reason = f"invoice {invoice.id}: {problem}"
            log.error("invoice_not_understood", subscription=subscription.id, invoice=invoice.id, problem=problem)


def _note_running_price(
    session: Session, subscription: Subscription, facts: SubscriptionFacts, plans: dict[str, PricedPlan]
) -> None:
    """What the plan that runs now costs, whatever the subscription's own price is by now."""
    now = ledger.now(session)
    for stretch in stretches_of(session, subscription_id=subscription.id):
        if stretch.starts_at <= now and (stretch.ends_at is None or stretch.ends_at > now):
            price_id = running_price_id(facts, plans, plan=stretch.plan)
            subscription.running_price_minor = plans[price_id].price_minor if price_id else None


def _new_row(session: Session, subscription: Subscription, invoice: InvoiceFacts) -> SubscriptionInvoice:
    row = SubscriptionInvoice(
        stripe_invoice_id=invoice.id,
        subscription_id=subscription.id,
        account_id=subscription.account_id,
        billing_reason=invoice.billing_reason,
        currency=invoice.currency,
        created_at=invoice.created_at,
    )
    session.add(row)
    return row


def _go_on(session: Session, subscription: Subscription) -> None:
    """What follows from it: a free plan has been replaced, a year is paid out, another plan may begin."""
    stretches = stretches_of(session, subscription_id=subscription.id)
    now = ledger.now(session)
    if stretches and not subscription.has_ended:
        begun = min(stretches[0].starts_at, now)
        end_free(session, account_id=subscription.account_id, mode=subscription.mode, moment=begun)
    for stretch in stretches:
        grant_until(session, entitlement=stretch, now=now)
    if subscription.has_ended and subscription.pending_plan and subscription.successor_id is None:
        outbox.put(
            session,
            job=SUCCESSOR_JOB,
            key=f"successor:{subscription.id}",
            args={"subscription_id": subscription.id},
        )


def _standing(subscription: Subscription) -> tuple[object, ...]:
    return (
        subscription.status,
        subscription.plan,
        subscription.period_ends_at,
        subscription.cancel_at_period_end,
        subscription.unpaid_invoice_id,
        subscription.needs,
        subscription.reason,
    )
