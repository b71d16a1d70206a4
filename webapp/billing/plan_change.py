"""From one plan to another: more at once and for the rest of the period, less when what was paid for is over."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import stripe
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import Entitlement, stretches_of
from webapp.billing.following import follow_subscription, plans_in
from webapp.billing.paid_invoice import period_at
from webapp.billing.running_price import running_price_id
from webapp.billing.stripe_api import calling, client
from webapp.billing.stripe_price import ensure_price
from webapp.billing.subscription import Subscription
from webapp.billing.subscription_facts import NOTHING_FOLLOWS, THEN, fetch_subscription
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


class ConfirmationNeeded(Exception):
    """The bank wants its customer to confirm the payment at `url`; then the plan is changed, until then it is not."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(url)


# https://docs.stripe.com/error-codes: 3-D Secure is asked for, or was and could not be done without the cardholder.
_UNCONFIRMED = ("subscription_payment_intent_requires_action", "authentication_required")


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
    """What changing to `plan` would do at `moment` (now, by default). The plan has its price at Stripe then.

    Commit before `change_plan`. Stripe is asked what a change at once costs. Raises SamePlan, NotChangeable,
    PaymentsUnavailable.
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
    if plan.kind != "free":  # Known for good before it is subscribed to, or a kill would leave a price of nobody's.
        ensure_price(
            session, plan=plan, price_minor=price_minor, currency=subscription.currency, mode=subscription.mode
        )
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

    At Stripe first: what costs something now is paid, or nothing changes (PaymentRefused; ConfirmationNeeded, where
    the change waits at Stripe for the cardholder, for 23 hours). Killed after that, the event about it does the rest.
    A change at the period's end can be undone until then. Where another subscription follows this one, commit
    `note_wish` first. Raises PaymentsUnavailable.
    """
    stretch = running_stretch(session, subscription=subscription, now=ledger.now(session))
    if change.way == NOW:
        _change_now(session, subscription, change)
    elif not _another_follows(stretch, change):
        price_id = ensure_price(
            session,
            plan=change.plan,
            price_minor=change.price_minor,
            currency=subscription.currency,
            mode=subscription.mode,
        )
        _swap_price(subscription, price_id)
    else:
        _ends_with_period(subscription, ends=True, then=change.plan.code)
    changed = follow_subscription(session, stripe_id=subscription.stripe_subscription_id)
    changed.pending_plan = change.plan.code if _another_follows(stretch, change) else None
    return changed


def note_wish(session: Session, *, subscription: Subscription, change: Change) -> None:
    """What is to follow this subscription when its period has ended is written down, where anything is.

    Commit it before `change_plan`: Stripe tells later that its subscription ends, and of which wish that comes, but not
    of what follows it. Nothing comes of a wish that Stripe never heard of.
    """
    stretch = running_stretch(session, subscription=subscription, now=ledger.now(session))
    if _another_follows(stretch, change):
        subscription.pending_plan = change.plan.code


def _another_follows(stretch: Entitlement | None, change: Change) -> bool:
    """Whether this subscription ends for it and another one begins, because their rhythms differ."""
    return change.way == AT_PERIOD_END and (stretch is None or stretch.kind != change.plan.kind)


def cancel_at_period_end(session: Session, *, subscription: Subscription) -> Subscription:
    """The subscription ends with the period that is paid for; until then everything stays. Raises
    PaymentsUnavailable."""
    _ends_with_period(subscription, ends=True, then=NOTHING_FOLLOWS)
    changed = follow_subscription(session, stripe_id=subscription.stripe_subscription_id)
    changed.pending_plan = None
    return changed


def keep_plan(session: Session, *, subscription: Subscription) -> Subscription:
    """Whatever was to happen at the period's end does not: the person stays on the plan that they are on.

    They stay at the price that they paid last, even where the catalogue has another by now. Raises PaymentsUnavailable.
    """
    stretch = running_stretch(session, subscription=subscription, now=ledger.now(session))
    _ends_with_period(subscription, ends=False, then=NOTHING_FOLLOWS)
    if stretch is not None and stretch.plan != subscription.plan:
        price_id = _price_paid(session, subscription, stretch)
        if price_id is not None:
            _swap_price(subscription, price_id)
    changed = follow_subscription(session, stripe_id=subscription.stripe_subscription_id)
    changed.pending_plan = None
    return changed


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
            return
        except stripe.CardError as error:
            if error.code not in _UNCONFIRMED:
                raise PaymentRefused(error.code) from error
    url = _change_when_confirmed(subscription, params, key=f"{key}:confirmed")
    if url is not None:
        raise ConfirmationNeeded(url)


def _change_when_confirmed(subscription: Subscription, params: dict[str, Any], *, key: str) -> str | None:
    """The same change, made by Stripe as soon as its payment is confirmed: where that is done. None: it is made.

    https://docs.stripe.com/billing/subscriptions/pending-updates
    """
    with calling("change subscription"):
        try:
            changed = client().v1.subscriptions.update(
                subscription.stripe_subscription_id,
                params={**params, "payment_behavior": "pending_if_incomplete", "expand": ["latest_invoice"]},  # type: ignore[arg-type]
                options={"idempotency_key": key},
            )
        except stripe.CardError as error:
            raise PaymentRefused(error.code) from error
    invoice = changed.latest_invoice
    if changed.pending_update is None or invoice is None or isinstance(invoice, str):
        return None
    return invoice.hosted_invoice_url


def _price_paid(session: Session, subscription: Subscription, stretch: Entitlement) -> str | None:
    """By which of Stripe's prices the plan that runs was paid last; the catalogue's where no invoice says it."""
    facts = fetch_subscription(subscription.stripe_subscription_id)
    found = running_price_id(facts, plans_in(session, facts), plan=stretch.plan)
    if found is not None:
        return found
    plan = session.get_one(Plan, stretch.plan)
    price_minor = plan.price_minor(subscription.currency)
    if price_minor is None or stretch.kind != plan.kind:
        return None
    return ensure_price(
        session, plan=plan, price_minor=price_minor, currency=subscription.currency, mode=subscription.mode
    )


def _swap_price(subscription: Subscription, price_id: str) -> None:
    """The next invoice is for that price, the period that is paid for stays as it is."""
    with calling("change subscription"):
        client().v1.subscriptions.update(
            subscription.stripe_subscription_id,
            params={
                "items": [{"id": subscription.stripe_item_id or "", "price": price_id}],
                "proration_behavior": "none",
                "cancel_at_period_end": False,
            },
        )


def _ends_with_period(subscription: Subscription, *, ends: bool, then: str) -> None:
    """`then` is kept with it at Stripe, so that whoever follows it knows which wish of ours was heard there."""
    with calling("change subscription"):
        client().v1.subscriptions.update(
            subscription.stripe_subscription_id, params={"cancel_at_period_end": ends, "metadata": {THEN: then}}
        )
