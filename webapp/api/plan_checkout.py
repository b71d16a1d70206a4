"""Getting an account on a plan by the API: what `POST /checkout-sessions` does with a `plan`."""

import hashlib
from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from webapp.api.answers import CheckoutSessionAnswer
from webapp.api.endpoint import Reply
from webapp.api.problems import Problem, invalid, language
from webapp.api.suspended import nothing_sold
from webapp.billing.checkout import CurrencyNotOffered
from webapp.billing.free_plan import HasBetterPlan, start_free
from webapp.billing.holder import Holder, holder_of
from webapp.billing.plan_order import PlanOrder
from webapp.billing.purchase import Purchase
from webapp.billing.stripe_api import mode
from webapp.billing.subscribing import (
    AlreadySubscribed,
    PlanNotFound,
    PlanNotOnOffer,
    Suspended,
    choose_plan,
    open_plan_checkout,
    plan_price_in,
    prepare_checkout,
    refuse_second,
    start_order,
)
from webapp.catalog.plan import Plan
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.i18n.content import translate

SESSION_ID = "{CHECKOUT_SESSION_ID}"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which account gets on which plan, and where its customer is led afterwards."""

    account_id: int
    external_id: str
    plan: str
    currency: str | None
    success_url: str
    cancel_url: str
    idempotency_key: str


def begin_plan(session: Session, wanted: Wanted, *, settings: Settings) -> int | None:
    """The id of the order that says what was promised; None where there is nothing to pay: the free plan has begun.

    Raises Problem: 400 for what can't be had, 403 for a suspended account, 409 for one that is on a plan already.
    """
    holder = holder_of(session, account_id=wanted.account_id, external_id=wanted.external_id)
    plan = _choose(session, wanted.plan, holder)
    if plan.kind == "free":
        _start_free(session, plan, holder)
        return None
    try:
        refuse_second(session, plan=plan, holder=holder, mode=mode())
    except AlreadySubscribed as refusal:
        raise _already(refusal.plan) from None
    currency, price_minor = _price(plan, wanted.currency, settings)
    return start_order(
        session,
        plan=plan,
        price_minor=price_minor,
        currency=currency,
        user=holder,
        intent="api:" + hashlib.sha256(wanted.idempotency_key.encode()).hexdigest(),
        mode=mode(),
        shown_name=translate("plan", plan.code, plan.name),
        locale=language(),
        success_url=wanted.success_url,
        cancel_url=wanted.cancel_url,
    ).id


def open_plan(order_id: int, *, settings: Settings) -> Reply:
    """Where the customer pays for the order. Units of work of its own. Raises PaymentsUnavailable."""
    with unit_of_work() as session:
        order = session.get_one(PlanOrder, order_id)
        was_open = order.stripe_session_id is not None
        email = holder_of(session, account_id=order.account_id, external_id=order.external_id).email
        if not was_open:
            prepare_checkout(session, order_id=order_id, email=email)
    with unit_of_work() as session:
        order = open_plan_checkout(
            session, order_id=order_id, email=email, base_url=settings.base_url, tax=settings.stripe_tax
        )
        return Reply(body=CheckoutSessionAnswer(url=page_of(order)), replayed=was_open)


def page_of(paid: PlanOrder | Purchase) -> str:
    """Stripe's page; where its answer never reached us and an event told of it, the customer has been there."""
    return paid.checkout_url or (paid.success_url or "").replace(SESSION_ID, paid.stripe_session_id or "")


def _choose(session: Session, code: str, holder: Holder) -> Plan:
    try:
        return choose_plan(session, code=code, holder=holder)
    except PlanNotFound:
        raise invalid(_("There is no plan “%(plan)s”.", plan=code), field="plan") from None
    except PlanNotOnOffer:
        raise invalid(_("This plan is not offered any more."), field="plan") from None
    except Suspended:
        raise nothing_sold(session, account_id=holder.account_id) from None


def _start_free(session: Session, plan: Plan, holder: Holder) -> None:
    try:
        start_free(session, plan=plan, user=holder, mode=mode())
    except HasBetterPlan as refusal:
        raise _already(refusal.entitlement.plan) from None


def _already(plan: str) -> Problem:
    detail = _("This account is on the plan “%(plan)s” already; a plan is changed on the page “Your plan”.", plan=plan)
    return Problem(409, "already_subscribed", detail, plan=plan)


def _price(plan: Plan, wanted: str | None, settings: Settings) -> tuple[str, int]:
    """The currency and the price in its minor unit."""
    offered = [currency for currency in settings.currencies if plan.price_minor(currency) is not None]
    if not offered:
        raise invalid(_("This plan is not offered at the moment."), field="plan")
    currency = offered[0] if wanted is None else wanted.upper()
    try:
        return currency, plan_price_in(plan, currency=currency, accepted=settings.currencies)
    except CurrencyNotOffered:
        raise invalid(_("This plan is not offered in that currency."), field="currency") from None
