"""From the checkout of a plan to being on it, exactly once, whoever notices it first."""

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp import clock, ledger, outbox
from webapp.billing.entitlement import Entitlement, terms_of
from webapp.billing.following import NotOurs, Unexplained, follow_subscription
from webapp.billing.free_plan import end_free
from webapp.billing.granting_due import grant_until
from webapp.billing.order_payment import OrderPayment, fetch_order_payment
from webapp.billing.plan_order import OPEN_STATES, PlanOrder, lock_order
from webapp.billing.purchase import next_check
from webapp.billing.stripe_api import UnknownToStripe, mode
from webapp.catalog.plan import find_plan

log = structlog.get_logger()

JOB = "settle_plan_order"


def settle_order(session: Session, *, order_id: int) -> PlanOrder:
    """The order stands as its checkout stands at Stripe now.

    Complete, and what was agreed: the person is on the plan. A subscription is followed, and its paid invoices grant;
    a plan for life begins with its payment. Anything that differs from the snapshot is parked with the reason, and
    nothing begins. Safe to repeat, in any order and at once. One made in another mode is left alone.

    Stripe is asked before anything is locked; then the order is locked, the entitlements, and the account inside the
    ledger's functions. Raises PaymentsUnavailable; nothing was written then.
    """
    order = session.get_one(PlanOrder, order_id, populate_existing=True)
    if order.mode != mode():
        return order
    if order.stripe_session_id is None:
        return _give_up_when_old(session, order)
    payment = _fetch(order.stripe_session_id)
    if _begins_subscription(order, payment) and payment is not None and payment.subscription_id is not None:
        problem = _follow(session, payment.subscription_id)
    else:
        problem = None
    order = lock_order(session, order_id=order_id)
    before = (order.state, order.reason)
    _apply(session, order, payment, problem)
    if (order.state, order.reason) != before:
        order.version += 1
    return order


def differences(order: PlanOrder, payment: OrderPayment, *, livemode: bool) -> list[str]:
    """In which points Stripe's word differs from the snapshot: none, or nothing may begin."""
    expected: list[tuple[str, object, object]] = [
        ("session", order.stripe_session_id, payment.session_id),
        ("mode", "subscription" if order.is_subscription else "payment", payment.mode),
        ("livemode", livemode, payment.livemode),
        ("currency", order.currency, payment.currency),
        ("client reference", order.external_id, payment.client_reference),
        ("order", str(order.id), payment.order_reference),
    ]
    if order.trial_days == 0:
        expected.append(("amount", order.price_minor, payment.subtotal_minor))
    return [f"{name}: {found!r} instead of {wanted!r}" for name, wanted, found in expected if wanted != found]


def check_open_orders(session: Session, *, limit: int) -> int:
    """Put the orders to work whose time to ask Stripe has come; returns how many. One bounded chunk."""
    moment = clock.now()
    due = session.scalars(
        select(PlanOrder)
        .where(PlanOrder.check_at <= moment, PlanOrder.mode == mode())
        .order_by(PlanOrder.check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for order in due:
        order.checks += 1
        order.check_at = next_check(now=moment, checks=order.checks)
        outbox.put(session, job=JOB, key=f"check-plan-order:{order.id}:{order.checks}", args={"order_id": order.id})
    return len(due)


def _fetch(session_id: str) -> OrderPayment | None:
    try:
        return fetch_order_payment(session_id)
    except UnknownToStripe:
        return None


def _begins_subscription(order: PlanOrder, payment: OrderPayment | None) -> bool:
    if payment is None or not order.is_subscription or payment.status != "complete":
        return False
    return not differences(order, payment, livemode=order.mode == "live")


def _follow(session: Session, subscription_id: str) -> str | None:
    """What a person has to look at; None when the subscription could be followed."""
    try:
        with session.begin_nested():
            return follow_subscription(session, stripe_id=subscription_id).reason
    except NotOurs:
        return f"subscription {subscription_id} is for no plan of ours"
    except Unexplained as unexplained:
        return unexplained.reason


def _apply(session: Session, order: PlanOrder, payment: OrderPayment | None, problem: str | None) -> None:
    if payment is None:
        _park(order, ["session: Stripe does not know it"])
        return
    problems = differences(order, payment, livemode=order.mode == "live") + ([problem] if problem else [])
    if problems:
        _park(order, problems)
    elif payment.settled:
        if order.state != "fulfilled":
            _fulfil(session, order, payment)
    elif order.state != "fulfilled":
        _wait(order, payment)


def _fulfil(session: Session, order: PlanOrder, payment: OrderPayment) -> None:
    order.state, order.reason, order.check_at = "fulfilled", None, None
    order.paid_at = ledger.now(session)
    order.paid_minor, order.tax_minor = payment.paid_minor, payment.tax_minor
    order.stripe_payment_intent_id = payment.payment_intent_id
    order.stripe_subscription_id = payment.subscription_id
    session.flush()
    if not order.is_subscription:
        _begin_for_life(session, order)
    log.info("plan_order_fulfilled", order=order.id, plan=order.plan)


def _begin_for_life(session: Session, order: PlanOrder) -> None:
    plan = find_plan(session, code=order.plan)
    assert plan is not None, "plans are never deleted"
    assert order.paid_at is not None
    account = ledger.get_account(session, account_id=order.account_id)
    session.execute(
        insert(Entitlement)
        .values(
            user_id=order.user_id,
            account_id=order.account_id,
            external_id=order.external_id,
            mode=order.mode,
            order_id=order.id,
            **{**terms_of(plan), "plan_name": order.plan_name},
            anchor_at=order.paid_at,
            time_zone=account.time_zone,
            starts_at=order.paid_at,
            next_at=order.paid_at,
            created_at=order.paid_at,
        )
        .on_conflict_do_nothing(constraint="entitlements_order_id_key")
    )
    entitlement = session.scalars(
        select(Entitlement)
        .where(Entitlement.order_id == order.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    end_free(session, account_id=order.account_id, mode=order.mode, moment=order.paid_at)
    grant_until(session, entitlement=entitlement, now=order.paid_at)


def _wait(order: PlanOrder, payment: OrderPayment) -> None:
    """No money yet: what the buyer may still expect."""
    if payment.status == "expired":
        order.state = "expired"
    elif payment.failed:
        order.state = "failed"
    else:
        order.state = "pending" if payment.status == "complete" else "open"
    order.reason = None
    if order.state not in OPEN_STATES:
        order.check_at = None
    elif order.check_at is None:
        order.check_at = next_check(now=clock.now(), checks=order.checks)


def _park(order: PlanOrder, problems: list[str]) -> None:
    """Set it aside for a person. Who is on the plan already stays on it, but it is shouted about too."""
    log.error("plan_order_differs_from_its_checkout", order=order.id, state=order.state, problems=problems)
    if order.state == "fulfilled":
        return
    order.state, order.reason, order.check_at = "parked", "; ".join(problems), None


def _give_up_when_old(session: Session, order: PlanOrder) -> PlanOrder:
    """Stripe never heard of it and nobody retries after a day: a session would not live longer either."""
    order = lock_order(session, order_id=order.id)
    if order.state == "new" and (clock.now() - order.created_at).days >= 1:
        order.state, order.check_at = "expired", None
        order.version += 1
    return order
