"""Asking Stripe unprompted: for events that never came, and for payments and credits that don't meet.

What can be repaired is, by the very code that handles events; the rest is reported for a person.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import clock, outbox
from webapp.billing.events import is_handled, look_at, replay_event
from webapp.billing.fulfilment import settle_purchase
from webapp.billing.paid_at_stripe import PaidThing, list_paid_invoices, list_paid_sessions, list_undelivered_events
from webapp.billing.plan_order import PlanOrder
from webapp.billing.plan_refunding import plan_refund_key, send_plan_refund
from webapp.billing.plan_reversals import PlanReversal
from webapp.billing.purchase import Purchase, list_since, next_check
from webapp.billing.refund import Refund
from webapp.billing.refunding import outbox_key, send_refund
from webapp.billing.stripe_api import mode
from webapp.billing.stripe_event import StripeEvent
from webapp.billing.subscription import Subscription, SubscriptionInvoice
from webapp.database import retried, unit_of_work

log = structlog.get_logger()

JOB = "fulfil_purchase"
PAGE = 100
# Longer than the outbox tries by itself.
FORGOTTEN = timedelta(hours=2)

# Which of these ids of Stripe's are settled and need no look.
Settled = Callable[[Session, list[str]], set[str]]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the report. `outcome`: fine, repaired, or parked (a person has to look)."""

    outcome: str
    what: str


def check_open_purchases(session: Session, *, limit: int = 200) -> int:
    """Put the purchases to work whose time to ask Stripe has come; returns how many. One bounded chunk.

    Two at once share them (SKIP LOCKED); each purchase's next time is set here, so that it is asked about after
    2, 4, 8 … minutes and then hourly until it is settled.
    """
    moment = clock.now()
    due = session.scalars(
        select(Purchase)
        .where(Purchase.check_at <= moment, Purchase.mode == mode())
        .order_by(Purchase.check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for purchase in due:
        purchase.checks += 1
        purchase.check_at = next_check(now=moment, checks=purchase.checks)
        outbox.put(
            session,
            job=JOB,
            key=f"check-purchase:{purchase.id}:{purchase.checks}",
            args={"purchase_id": purchase.id},
        )
    return len(due)


def reconcile(*, since: datetime, closely: bool) -> Iterator[Line]:
    """What was paid at Stripe since then has its credits here, and the other way round; a line for each thing.

    First the events that Stripe could not deliver and refunds that were asked for here and never made, then paid
    sessions and invoices, then purchases: `closely` each of them is compared with its payment in every point; otherwise
    only those that are granted and not among the paid ones. Last what plans were granted for and Stripe does not call
    paid, which a person has to look at. Each thing is a unit of work of its own: what was done stays done when Stripe
    goes away in between. Raises PaymentsUnavailable.
    """
    yield from _fetch_events(since)
    yield from _send_refunds()
    paid: set[str] = set()
    for session_page in list_paid_sessions(since=since):
        paid.update(thing.id for thing in session_page)
        yield from _settle_paid(session_page, _settled_sessions)
    for invoice_page in list_paid_invoices(since=since):
        paid.update(thing.id for thing in invoice_page)
        yield from _settle_paid(invoice_page, _settled_invoices)
    yield from _compare_purchases(since, closely=closely, paid=paid)
    yield from _compare_plans(since, paid=paid)


def _fetch_events(since: datetime) -> Iterator[Line]:
    """Events that Stripe could not deliver: fetched and handled, those that somebody here cares about."""
    for event_id, type in list_undelivered_events(since=since):
        if not is_handled(type):
            continue
        state, reason, was = retried(partial(_replay, event_id=event_id))
        if state == "parked":
            yield Line(outcome="parked", what=f"event {event_id} ({type}): {reason}")
        elif was is None and state == "handled":
            yield Line(outcome="repaired", what=f"event {event_id} ({type}) had never arrived; it is handled now")


def _replay(session: Session, event_id: str) -> tuple[str, str | None, str | None]:
    known = session.get(StripeEvent, event_id)
    was = known.state if known is not None else None
    if known is not None and known.state in ("handled", "ignored"):
        return known.state, None, was
    event = replay_event(session, event_id=event_id)
    return event.state, event.reason, was


def _send_refunds() -> Iterator[Line]:
    """Refunds whose every attempt failed, for an hour: made now, or found to be made."""
    with unit_of_work() as session:
        waiting = session.scalars(
            select(Refund.id)
            .join(Purchase, Purchase.id == Refund.purchase_id)
            .where(Refund.state == "new", Refund.created_at < clock.now() - FORGOTTEN, Purchase.mode == mode())
            .order_by(Refund.id)
        ).all()
        of_plans = session.scalars(
            select(Refund.id)
            .join(PlanReversal, PlanReversal.stripe_payment_intent_id == Refund.stripe_payment_intent_id)
            .where(Refund.state == "new", Refund.created_at < clock.now() - FORGOTTEN, PlanReversal.mode == mode())
            .order_by(Refund.id)
        ).all()
    sends = [*((_send_refund, one) for one in waiting), *((_send_plan_refund, one) for one in of_plans)]
    for send, refund_id in sends:
        state, failure = retried(partial(send, refund_id=refund_id))
        refused = state == "refused"
        what = f"refund {refund_id} was refused: {failure}" if refused else f"refund {refund_id} is {state} now"
        yield Line(outcome="parked" if refused else "repaired", what=what)


def _send_refund(session: Session, refund_id: int) -> tuple[str, str | None]:
    refund = send_refund(session, refund_id=refund_id)
    outbox.finish(session, key=outbox_key(refund_id))
    return refund.state, refund.failure


def _send_plan_refund(session: Session, refund_id: int) -> tuple[str, str | None]:
    refund = send_plan_refund(session, refund_id=refund_id)
    outbox.finish(session, key=plan_refund_key(refund_id))
    return refund.state, refund.failure


def _settle_paid(things: list[PaidThing], settled: Settled) -> Iterator[Line]:
    """Those that are paid and not settled here are looked at as if an event had told of them."""
    with unit_of_work() as session:
        known = settled(session, [thing.id for thing in things])
    for thing in things:
        if thing.id in known:
            continue
        outcome = retried(partial(look_at, type=thing.event_type, thing=thing.data))
        if outcome is None:
            if thing.claims_us:
                yield Line(outcome="parked", what=f"{thing.id} is paid, says it is ours, and fits nothing that we sold")
        elif outcome.parked is not None:
            yield Line(outcome="parked", what=f"{thing.id} is paid: {outcome.parked}")
        else:
            yield Line(outcome="repaired", what=f"{thing.id} was paid and has its credits now")


def _settled_sessions(session: Session, ids: list[str]) -> set[str]:
    purchases = select(Purchase.stripe_session_id).where(
        Purchase.stripe_session_id.in_(ids), Purchase.state == "fulfilled"
    )
    orders = select(PlanOrder.stripe_session_id).where(
        PlanOrder.stripe_session_id.in_(ids), PlanOrder.state == "fulfilled"
    )
    return {*session.scalars(purchases), *session.scalars(orders)}


def _settled_invoices(session: Session, ids: list[str]) -> set[str]:
    applied = select(SubscriptionInvoice.stripe_invoice_id).where(
        SubscriptionInvoice.stripe_invoice_id.in_(ids), SubscriptionInvoice.applied_at.is_not(None)
    )
    return set(session.scalars(applied))


def _compare_purchases(since: datetime, *, closely: bool, paid: set[str]) -> Iterator[Line]:
    after = 0
    while True:
        with unit_of_work() as session:
            rows: Iterable[tuple[int, str, str | None]] = [
                (row.id, row.state, row.stripe_session_id)
                for row in list_since(session, since=since, mode=mode(), after=after, limit=PAGE)
            ]
        if not rows:
            return
        for purchase_id, state, session_id in rows:
            after = purchase_id
            if closely or (state == "fulfilled" and session_id not in paid):
                yield retried(partial(_compare, purchase_id=purchase_id))


def _compare_plans(since: datetime, *, paid: set[str]) -> Iterator[Line]:
    """Invoices and orders that plans were granted for, and that are not among the paid ones."""
    invoices = (
        select(SubscriptionInvoice.stripe_invoice_id)
        .join(Subscription, Subscription.id == SubscriptionInvoice.subscription_id)
        .where(
            SubscriptionInvoice.applied_at.is_not(None),
            SubscriptionInvoice.created_at >= since,
            Subscription.mode == mode(),
        )
        .order_by(SubscriptionInvoice.created_at)
    )
    orders = (
        select(PlanOrder.stripe_session_id)
        .where(PlanOrder.state == "fulfilled", PlanOrder.created_at >= since, PlanOrder.mode == mode())
        .order_by(PlanOrder.id)
    )
    with unit_of_work() as session:
        granted = [*session.scalars(invoices), *session.scalars(orders)]
    for name in granted:
        if name is not None and name not in paid:
            yield Line(outcome="parked", what=f"{name}: its credits are granted, and Stripe does not call it paid")


def _compare(session: Session, purchase_id: int) -> Line:
    before = session.get_one(Purchase, purchase_id).version
    purchase = settle_purchase(session, purchase_id=purchase_id, look_for=("refunds", "disputes"))
    if purchase.state == "parked" or purchase.reason is not None:
        granted = " (its credits are granted)" if purchase.state == "fulfilled" else ""
        return Line(outcome="parked", what=f"purchase {purchase.id}{granted}: {purchase.reason}")
    if purchase.version != before:
        return Line(outcome="repaired", what=f"purchase {purchase.id} is {purchase.state} now")
    return Line(outcome="fine", what=f"purchase {purchase.id} is {purchase.state}")
