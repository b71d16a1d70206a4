"""From one plan to another: more at once and for the rest of the period, less when what was paid for is over."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import stripe
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import Entitlement, stretches_of
from webapp.billing.following import follow_subscription
from webapp.billing.holder import Holder, holder_of
from webapp.billing.paid_invoice import period_at
from webapp.billing.stripe_api import calling, client
from webapp.billing.stripe_price import ensure_price
from webapp.billing.subscription import Subscription, find_subscription
from webapp.catalog.periods import share_left
from webapp.catalog.plan import Plan

NOW = "now"
AT_PERIOD_END = "period_end"


class ChangeRefusal(Exception):
    """The plan can't be changed like that; nothing was written, and Stripe was not asked to change anything."""


class SamePlan(ChangeRefusal):
    """The person is on that plan, and stays on it."""


class NotChangeable(ChangeRefusal):
    """The subscription has ended, lacks a payment, or the plan is none that one changes to."""


class PaymentRefused(Exception):
    """The bank refused what the change costs now; the plan is as it was."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a change would do: `credits_now` more credits at once for `due_minor`, everything else at `effective_at`.

    `way` is now or period_end. `moment` is what parts of periods are reckoned from, so that the change costs what the
    preview said. Money in minor units of `currency`; `price_minor` is what the plan costs each time from then on.
    """

    plan: Plan
    way: str
    credits_now: int
    due_minor: int
    price_minor: int
    currency: str
    effective_at: datetime
    moment: datetime


def running_stretch(session: Session, *, subscription: Subscription, now: datetime) -> Entitlement | None:
    """What the subscription entitles to now."""
    found = stretches_of(session, subscription_id=subscription.id)
    return next(
        (one for one in reversed(found) if one.starts_at <= now and (one.ends_at is None or one.ends_at > now)), None
    )


def preview_change(
    session: Session, *, subscription: Subscription, plan: Plan, moment: datetime | None = None
) -> Change:
    """What changing to `plan` would do at `moment` (now, by default). Changes nothing of ours.

    Stripe is asked what a change at once costs. Raises SamePlan, NotChangeable, PaymentsUnavailable.
    """
    now = ledger.now(session).replace(microsecond=0)
    moment = moment or now
    stretch = running_stretch(session, subscription=subscription, now=now)
    price_minor = plan.price_minor(subscription.currency)
    if stretch is None or subscription.status not in ("active", "trialing") or subscription.period_ends_at is None:
        raise NotChangeable(subscription.status)
    if subscription.period_starts_at is not None and moment < subscription.period_starts_at:
        raise NotChangeable("the period has ended since")
    if plan.kind == "lifetime" or price_minor is None:
        raise NotChangeable(plan.code)
    if plan.code == stretch.plan and plan.code == subscription.plan and subscription.pending_plan is None:
        raise SamePlan(plan.code)
    way = way_to(stretch, plan)
    due_minor = credits_now = 0
    if way == NOW:
        credits_now = _credits_now(session, stretch, plan, moment)
        due_minor = _due_now(session, subscription, plan, price_minor, moment)
    return Change(
        plan=plan,
        way=way,
        credits_now=credits_now,
        due_minor=due_minor,
        price_minor=price_minor,
        currency=subscription.currency,
        effective_at=moment if way == NOW else subscription.period_ends_at,
        moment=moment,
    )


def way_to(stretch: Entitlement, plan: Plan) -> str:
    """More credits, or a year instead of months, begin at once; anything else when the period has ended."""
    more = plan.credits_per_month > stretch.credits_per_month
    longer = stretch.kind == "monthly" and plan.kind == "yearly"
    if stretch.trial or plan.kind == "free":
        return AT_PERIOD_END
    if plan.kind == stretch.kind:
        return NOW if more else AT_PERIOD_END
    return NOW if longer and plan.credits_per_month >= stretch.credits_per_month else AT_PERIOD_END


def change_plan(session: Session, *, subscription: Subscription, change: Change) -> Subscription:
    """The change of a preview is made, and what it grants at once is granted.

    At Stripe first: what costs something now is paid, or nothing changes (PaymentRefused). Killed after that, the
    event about it does the rest. A change at the period's end can be undone until then. Raises PaymentsUnavailable.
    """
    stretch = running_stretch(session, subscription=subscription, now=ledger.now(session))
    if change.way == NOW:
        _change_now(session, subscription, change)
    elif stretch is not None and stretch.kind == change.plan.kind:
        _swap_price(session, subscription, change.plan, change.price_minor)
    else:
        _ends_with_period(subscription, ends=True)
    changed = follow_subscription(session, stripe_id=subscription.stripe_subscription_id)
    ends = change.way == AT_PERIOD_END and (stretch is None or stretch.kind != change.plan.kind)
    changed.pending_plan = change.plan.code if ends else None
    return changed


def cancel_at_period_end(session: Session, *, subscription: Subscription) -> Subscription:
    """The subscription ends with the period that is paid for; until then everything stays. Raises
    PaymentsUnavailable."""
    _ends_with_period(subscription, ends=True)
    changed = follow_subscription(session, stripe_id=subscription.stripe_subscription_id)
    changed.pending_plan = None
    return changed


def keep_plan(session: Session, *, subscription: Subscription) -> Subscription:
    """Whatever was to happen at the period's end does not: the person stays on the plan that they are on.

    Raises PaymentsUnavailable.
    """
    stretch = running_stretch(session, subscription=subscription, now=ledger.now(session))
    _ends_with_period(subscription, ends=False)
    if stretch is not None and stretch.plan != subscription.plan:
        plan = session.get_one(Plan, stretch.plan)
        price_minor = plan.price_minor(subscription.currency)
        if price_minor is not None and stretch.kind == plan.kind:
            _swap_price(session, subscription, plan, price_minor)
    changed = follow_subscription(session, stripe_id=subscription.stripe_subscription_id)
    changed.pending_plan = None
    return changed


def begin_successor(session: Session, *, subscription_id: int) -> None:
    """The plan that was to follow an ended subscription has begun, once: a free one, or a subscription of its own.

    Stripe is asked under a key that names the ended one, so that a repetition gets the same subscription. It is paid
    by the same payment method; where the bank refuses, it waits for a payment. Raises PaymentsUnavailable.
    """
    from webapp.billing.free_plan import HasBetterPlan, start_free

    ended = session.get_one(Subscription, subscription_id)
    if ended.pending_plan is None or ended.successor_id is not None or not ended.has_ended:
        return
    plan = session.get_one(Plan, ended.pending_plan)
    if plan.kind == "free":
        try:
            with session.begin_nested():
                start_free(session, plan=plan, user=_holder(session, ended), mode=ended.mode)
        except HasBetterPlan:
            pass  # they have chosen something else meanwhile
        ended.successor_id = "free"
        return
    price_minor = plan.price_minor(ended.currency)
    assert price_minor is not None, "a preview has found it"
    price_id = ensure_price(session, plan=plan, price_minor=price_minor, currency=ended.currency, mode=ended.mode)
    params: dict[str, Any] = {
        "customer": ended.stripe_customer_id,
        "items": [{"price": price_id}],
        "off_session": True,
        "metadata": {"after": ended.stripe_subscription_id},
    }
    if ended.stripe_payment_method_id is not None:
        params["default_payment_method"] = ended.stripe_payment_method_id
    with calling("create subscription"):
        made = client().v1.subscriptions.create(
            params=params,  # type: ignore[arg-type]
            options={"idempotency_key": f"after:{ended.stripe_subscription_id}"},
        )
    follow_subscription(session, stripe_id=made.id)
    locked = find_subscription(session, stripe_id=ended.stripe_subscription_id, lock=True)
    assert locked is not None
    locked.successor_id = made.id


def _holder(session: Session, subscription: Subscription) -> Holder:
    return holder_of(session, account_id=subscription.account_id, external_id=subscription.external_id)


def open_portal(*, customer_id: str, return_url: str, locale: str) -> str:
    """Where Stripe lets the person see invoices and change the payment method. Raises PaymentsUnavailable."""
    with calling("create portal session"):
        made = client().v1.billing_portal.sessions.create(
            params={"customer": customer_id, "return_url": return_url, "locale": locale}
        )
    return made.url


def _credits_now(session: Session, stretch: Entitlement, plan: Plan, moment: datetime) -> int:
    running = period_at(session, stretch, moment)
    bounds = {"starts_at": running.starts_at, "ends_at": running.ends_at, "moment": moment}
    if plan.kind == stretch.kind:
        more = plan.credits_per_month - stretch.credits_per_month
        return share_left(credits=more, **bounds)
    unused = share_left(credits=stretch.credits_per_month, **bounds)
    return max(0, plan.credits_per_month - unused)


def _due_now(session: Session, subscription: Subscription, plan: Plan, price_minor: int, moment: datetime) -> int:
    details = _change_params(session, subscription, plan, price_minor, moment)
    details.pop("payment_behavior")
    with calling("preview invoice"):
        preview = client().v1.invoices.create_preview(
            params={"subscription": subscription.stripe_subscription_id, "subscription_details": details}  # type: ignore[arg-type]
        )
    return preview.amount_due


def _change_params(
    session: Session, subscription: Subscription, plan: Plan, price_minor: int, moment: datetime
) -> dict[str, Any]:
    price_id = ensure_price(
        session, plan=plan, price_minor=price_minor, currency=subscription.currency, mode=subscription.mode
    )
    return {
        "items": [{"id": subscription.stripe_item_id or "", "price": price_id}],
        "proration_behavior": "always_invoice",
        "proration_date": int(moment.timestamp()),
        "cancel_at_period_end": False,
        "payment_behavior": "error_if_incomplete",
    }


def _change_now(session: Session, subscription: Subscription, change: Change) -> None:
    params = _change_params(session, subscription, change.plan, change.price_minor, change.moment)
    key = f"change:{subscription.stripe_subscription_id}:{change.plan.code}:{params['proration_date']}"
    with calling("change subscription"):
        try:
            client().v1.subscriptions.update(
                subscription.stripe_subscription_id,
                params=params,  # type: ignore[arg-type]
                options={"idempotency_key": key},
            )
        except stripe.CardError as error:
            raise PaymentRefused(error.code) from error


def _swap_price(session: Session, subscription: Subscription, plan: Plan, price_minor: int) -> None:
    """The next invoice is for `plan`, the period that is paid for stays as it is."""
    price_id = ensure_price(
        session, plan=plan, price_minor=price_minor, currency=subscription.currency, mode=subscription.mode
    )
    with calling("change subscription"):
        client().v1.subscriptions.update(
            subscription.stripe_subscription_id,
            params={
                "items": [{"id": subscription.stripe_item_id or "", "price": price_id}],
                "proration_behavior": "none",
                "cancel_at_period_end": False,
            },
        )


def _ends_with_period(subscription: Subscription, *, ends: bool) -> None:
    with calling("change subscription"):
        client().v1.subscriptions.update(subscription.stripe_subscription_id, params={"cancel_at_period_end": ends})
