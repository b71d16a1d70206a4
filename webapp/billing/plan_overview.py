"""What somebody's plan is, what comes next, and what it could become."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import Entitlement, running
from webapp.billing.plan_change import way_to
from webapp.billing.subscription import Subscription, current_subscription
from webapp.catalog.plan import Plan, find_plan
from webapp.catalog.shop_window import ShopWindow


@dataclass(frozen=True, kw_only=True)
class NextGrant:
    """`credits` credits come at `at`; with `if_paid` only when the payment then succeeds."""

    credits: int
    at: datetime
    if_paid: bool


@dataclass(frozen=True, kw_only=True)
class Option:
    """A plan that one could change to: `way` is now, period_end, or checkout where there is nothing to change."""

    plan: Plan
    price_minor: int
    way: str


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What keeps a plan from going on until its holder does something; `url` is Stripe's page where it is done.

    `kind`: address (Stripe can't reckon taxes), confirmation (the bank asks its customer), unpaid.
    """

    kind: str
    url: str | None


def trouble_with(subscription: Subscription | None) -> Trouble | None:
    """What the holder of the subscription has to do; None when all is well."""
    if subscription is None or (subscription.needs is None and not subscription.lacks_payment):
        return None
    return Trouble(kind=subscription.needs or "unpaid", url=subscription.unpaid_invoice_url)


@dataclass(frozen=True, kw_only=True)
class PlanOverview:
    """Everything on the plan page. `others` run beside `main`, such as a plan for life beside a subscription.

    `price_minor` is what the subscription's plan that runs costs each time. `then` is the plan that follows at
    `changes_at`, for `then_price_minor`; None with a `changes_at` is the end.
    """

    main: Entitlement | None
    others: Sequence[Entitlement]
    plan: Plan | None
    subscription: Subscription | None
    currency: str
    next_grant: NextGrant | None
    changes_at: datetime | None
    then: Plan | None
    price_minor: int | None
    then_price_minor: int | None
    options: list[Option]

    @property
    def lacks_payment(self) -> bool:
        """Whether the bank refused a payment, so that no new credits come."""
        return self.subscription is not None and self.subscription.lacks_payment

    @property
    def trouble(self) -> Trouble | None:
        return trouble_with(self.subscription)

    @property
    def trial_ends_at(self) -> datetime | None:
        if self.subscription is None or self.subscription.status != "trialing":
            return None
        return self.subscription.trial_ends_at


def plan_overview(session: Session, *, account_id: int, mode: str, currency: str, window: ShopWindow) -> PlanOverview:
    """How things stand with this person's plan now; prices in the subscription's currency, else in `currency`."""
    now = ledger.now(session)
    found = running(session, account_id=account_id, mode=mode, now=now)
    main = found[0] if found else None
    subscription = current_subscription(session, account_id=account_id, mode=mode)
    if subscription is not None:
        currency = subscription.currency
    changes_at, then = _what_changes(session, main, subscription)
    plan = _plan(session, main.plan, window) if main is not None else None
    return PlanOverview(
        main=main,
        others=found[1:],
        plan=plan,
        subscription=subscription,
        currency=currency,
        next_grant=_next_grant(session, main, subscription, then=then, ends=changes_at is not None),
        changes_at=changes_at,
        then=then,
        price_minor=_running_price(main, subscription, plan),
        then_price_minor=_price_then(subscription, then),
        options=_options(window.plans, main, subscription, currency),
    )


def next_grant(session: Session, *, account_id: int, mode: str, now: datetime) -> NextGrant | None:
    """When this person's plan gives credits the next time after `now`; None when none are to come."""
    found = running(session, account_id=account_id, mode=mode, now=now)
    if not found:
        return None
    main = found[0]
    subscription = current_subscription(session, account_id=account_id, mode=mode)
    changes_at, then = _what_changes(session, main, subscription)
    return _next_grant(session, main, subscription, then=then, ends=changes_at is not None)


def _what_changes(
    session: Session, main: Entitlement | None, subscription: Subscription | None
) -> tuple[datetime | None, Plan | None]:
    if main is None or subscription is None or main.subscription_id != subscription.id:
        return None, None
    if subscription.cancel_at_period_end:
        then = find_plan(session, code=subscription.pending_plan) if subscription.pending_plan else None
        return subscription.period_ends_at, then
    if subscription.plan != main.plan:
        return subscription.period_ends_at, find_plan(session, code=subscription.plan)
    return None, None


def _running_price(main: Entitlement | None, subscription: Subscription | None, plan: Plan | None) -> int | None:
    if main is None or subscription is None or main.subscription_id != subscription.id:
        return None
    if subscription.plan == main.plan:
        return subscription.price_minor
    listed = plan.price_minor(subscription.currency) if plan is not None else None
    return subscription.running_price_minor if subscription.running_price_minor is not None else listed


def _price_then(subscription: Subscription | None, then: Plan | None) -> int | None:
    if subscription is None or then is None:
        return None
    return subscription.price_minor if subscription.plan == then.code else then.price_minor(subscription.currency)


def _next_grant(
    session: Session,
    main: Entitlement | None,
    subscription: Subscription | None,
    *,
    then: Plan | None,
    ends: bool,
) -> NextGrant | None:
    if main is None or main.paused:
        return None
    if main.next_at is not None:
        return NextGrant(credits=main.credits_per_month, at=main.next_at, if_paid=False)
    if subscription is None or subscription.period_ends_at is None or (ends and then is None):
        return None
    credits = then.credits_per_month if then is not None else main.credits_per_month
    return NextGrant(credits=credits, at=subscription.period_ends_at, if_paid=True)


def _plan(session: Session, code: str, window: ShopWindow) -> Plan | None:
    """The plan of that code, on offer or not."""
    offered = next((plan for plan in window.plans if plan.code == code), None)
    return offered if offered is not None else find_plan(session, code=code)


def _options(
    plans: Sequence[Plan], main: Entitlement | None, subscription: Subscription | None, currency: str
) -> list[Option]:
    options = []
    for plan in plans:
        price_minor = plan.price_minor(currency)
        if price_minor is None or (main is not None and plan.code == main.plan):
            continue
        changes = subscription is not None and main is not None and main.subscription_id == subscription.id
        if plan.kind == "lifetime" or not changes:
            if main is not None and plan.kind == "free":
                continue
            way = "checkout"
        else:
            assert main is not None
            assert subscription is not None
            if subscription.lacks_payment:  # nothing is changed before that is paid
                continue
            way = way_to(main, plan)
        options.append(Option(plan=plan, price_minor=price_minor, way=way))
    return options
