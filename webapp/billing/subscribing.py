"""From "Subscribe" to Stripe's pay page: the order is written first, then Stripe is asked, once for each intent."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.billing.checkout import CurrencyNotOffered, stripe_locale
from webapp.billing.entitlement import running
from webapp.billing.holder import Holder
from webapp.billing.plan_order import PlanOrder, lock_order, open_orders
from webapp.billing.purchase import next_check
from webapp.billing.settling_order import settle_order
from webapp.billing.stripe_api import UnknownToStripe, calling, client
from webapp.billing.stripe_customer import ensure_customer
from webapp.billing.stripe_price import ensure_price
from webapp.billing.subscription import current_subscription
from webapp.catalog.plan import Plan, find_plan
from webapp.people.user import User


class PlanRefusal(Exception):
    """Nobody can get on the plan like that; nothing was written."""


class PlanNotFound(PlanRefusal):
    """There is no plan of that code."""


class PlanNotOnOffer(PlanRefusal):
    """The plan exists but isn't offered any more."""


class Suspended(PlanRefusal):
    """The person is suspended and can't buy anything."""


class AlreadySubscribed(PlanRefusal):
    """The account is on `plan`, which is that very plan, or a subscription that is to be changed instead."""

    def __init__(self, plan: str) -> None:
        self.plan = plan
        super().__init__(plan)


def choose_plan(session: Session, *, code: str, holder: Holder) -> Plan:
    """The plan, if this account may get on it. Raises PlanNotFound, PlanNotOnOffer or Suspended."""
    plan = find_plan(session, code=code)
    if plan is None:
        raise PlanNotFound(code)
    if not plan.active:
        raise PlanNotOnOffer(code)
    if holder.suspended:
        raise Suspended(holder.external_id)
    return plan


def refuse_second(session: Session, *, plan: Plan, holder: Holder, mode: str) -> None:
    """The account may begin the plan now. Raises AlreadySubscribed.

    One subscription an account, and no plan twice; a plan for life may stand beside a subscription.
    """
    found = running(session, account_id=holder.account_id, mode=mode, now=ledger.now(session))
    if any(one.plan == plan.code for one in found):
        raise AlreadySubscribed(plan.code)
    subscription = current_subscription(session, account_id=holder.account_id, mode=mode)
    if subscription is not None and plan.kind != "lifetime":
        raise AlreadySubscribed(subscription.plan)


def plan_price_in(plan: Plan, *, currency: str, accepted: tuple[str, ...]) -> int:
    """The price in minor units of an `accepted` currency. Raises CurrencyNotOffered."""
    price_minor = plan.price_minor(currency) if currency in accepted else None
    if price_minor is None:
        raise CurrencyNotOffered(currency, [price.currency for price in plan.prices if price.currency in accepted])
    return price_minor


def start_order(
    session: Session,
    *,
    plan: Plan,
    price_minor: int,
    currency: str,
    user: User | Holder,
    intent: str,
    mode: str,
    shown_name: str,
    locale: str,
    return_to: str | None = None,
    success_url: str | None = None,
    cancel_url: str | None = None,
) -> PlanOrder:
    """An order exists that says which plan was chosen, for how much and by whom; nobody can change that any more.

    The same `intent` of the same account for the same plan and currency is the same order, however often and however
    simultaneously it is submitted. A free trial is for those who never had a plan that is paid for. Without a user,
    `success_url` and `cancel_url` say where Stripe leads back to; else both may be left out. Commit before
    `open_plan_checkout`.
    """
    moment = clock.now()
    session.execute(
        insert(PlanOrder)
        .values(
            user_id=user.id,
            account_id=user.account_id,
            external_id=user.external_id,
            intent=intent,
            mode=mode,
            plan=plan.code,
            plan_name=plan.name,
            shown_name=shown_name,
            billed=plan.billed,
            price_minor=price_minor,
            currency=currency,
            trial_days=trial_days_for(session, plan=plan, account_id=user.account_id, mode=mode),
            locale=locale,
            return_to=return_to,
            success_url=success_url,
            cancel_url=cancel_url,
            created_at=moment,
            check_at=next_check(now=moment, checks=0),
        )
        .on_conflict_do_nothing(constraint="plan_orders_intent_key")
    )
    return session.scalars(
        select(PlanOrder).where(
            PlanOrder.account_id == user.account_id,
            PlanOrder.intent == intent,
            PlanOrder.plan == plan.code,
            PlanOrder.currency == currency,
        )
    ).one()


def trial_days_for(session: Session, *, plan: Plan, account_id: int, mode: str) -> int:
    """How many days this account may try the plan for free: once in a life, whatever the plan."""
    if plan.trial_days == 0 or plan.billed == "once":
        return 0
    had_one = session.scalars(
        select(PlanOrder.id)
        .where(PlanOrder.account_id == account_id, PlanOrder.mode == mode, PlanOrder.state == "fulfilled")
        .limit(1)
    ).first()
    return 0 if had_one is not None else plan.trial_days


def prepare_checkout(session: Session, *, order_id: int, email: str | None) -> None:
    """Stripe knows who buys and what it costs, and we know by which names. Commit before `open_plan_checkout`.

    So whoever pays on a page whose making was never noted here is known all the same. Raises PaymentsUnavailable.
    """
    order = session.get_one(PlanOrder, order_id)
    _ensure_customer(session, order, email)
    if order.is_subscription and order.stripe_session_id is None:
        _line_item(session, order)


def open_plan_checkout(session: Session, *, order_id: int, email: str | None, base_url: str, tax: bool) -> PlanOrder:
    """The order has its Checkout Session: `checkout_url` is where to pay, and no other order of a subscription is open.

    Repeated or simultaneous calls lead to the same session: Stripe replays its answer under the order's idempotency
    key. Asks Stripe first, then locks the order. Raises PaymentsUnavailable; the order stays as it was then.
    """
    order = session.get_one(PlanOrder, order_id)
    if order.stripe_session_id is not None:
        return order
    if order.is_subscription:
        _close_others(session, order)
    customer_id = _ensure_customer(session, order, email)
    line_item = _line_item(session, order)
    with calling("create checkout session"):
        made = client().v1.checkout.sessions.create(
            params=_session_params(order, line_item, customer_id=customer_id, base_url=base_url, tax=tax),  # type: ignore[arg-type]
            options={"idempotency_key": f"plan-order:{order.id}:{order.external_id}"},
        )
    order = lock_order(session, order_id=order_id)
    order.note_session(made.id, url=made.url)
    return order


def _ensure_customer(session: Session, order: PlanOrder, email: str | None) -> str:
    return ensure_customer(
        session, account_id=order.account_id, external_id=order.external_id, email=email, mode=order.mode
    )


def _close_others(session: Session, order: PlanOrder) -> None:
    """Two pay pages would be two subscriptions: the older one is closed, or settled if it was paid just now."""
    for other in open_orders(session, account_id=order.account_id, mode=order.mode):
        if other.id == order.id or not other.is_subscription or other.stripe_session_id is None:
            continue
        try:
            with calling("retrieve checkout session"):
                found = client().v1.checkout.sessions.retrieve(other.stripe_session_id)
            if found.status == "open":
                with calling("expire checkout session"):
                    client().v1.checkout.sessions.expire(other.stripe_session_id)
        except UnknownToStripe:
            pass
        settle_order(session, order_id=other.id)


def _line_item(session: Session, order: PlanOrder) -> dict[str, Any]:
    if order.is_subscription:
        plan = find_plan(session, code=order.plan)
        assert plan is not None, "plans are never deleted"
        price_id = ensure_price(
            session, plan=plan, price_minor=order.price_minor, currency=order.currency, mode=order.mode
        )
        return {"quantity": 1, "price": price_id}
    return {
        "quantity": 1,
        "price_data": {
            "currency": order.currency.lower(),
            "unit_amount": order.price_minor,
            "product_data": {"name": order.shown_name},
        },
    }


def _session_params(
    order: PlanOrder, line_item: dict[str, Any], *, customer_id: str, base_url: str, tax: bool
) -> dict[str, Any]:
    """All from the snapshot: a retry has to ask for the very same, or Stripe refuses its key."""
    reference = {"plan_order": str(order.id)}
    params: dict[str, Any] = {
        "mode": "subscription" if order.is_subscription else "payment",
        "customer": customer_id,
        "client_reference_id": order.external_id,
        "metadata": reference,
        "line_items": [line_item],
        "allow_promotion_codes": True,
        "locale": stripe_locale(order.locale),
        "success_url": order.success_url or f"{base_url}/checkout/return?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": order.cancel_url or f"{base_url}/plan/cancelled/{order.id}",
    }
    if order.is_subscription:
        params["subscription_data"] = {"metadata": reference}
        if order.trial_days:
            params["subscription_data"]["trial_period_days"] = order.trial_days
    else:
        params["payment_intent_data"] = {"metadata": reference, "description": order.shown_name}
    if tax:
        params["automatic_tax"] = {"enabled": True}
        params["customer_update"] = {"address": "auto"}
    return params
