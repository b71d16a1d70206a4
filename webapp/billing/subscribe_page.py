"""Getting on a plan: the summary, off to Stripe's pay page, and back."""

import re
import secrets
from functools import partial

import structlog
from flask import Blueprint, abort, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.billing import breaker
from webapp.billing.checkout import CurrencyNotOffered
from webapp.billing.currency import choose_currency
from webapp.billing.entitlement import running
from webapp.billing.free_plan import HasBetterPlan, start_free
from webapp.billing.holder import Holder, holder_of
from webapp.billing.outcome import ask_stripe, next_poll, outcome_of
from webapp.billing.plan_order import PlanOrder, find_order_by_session
from webapp.billing.settling_order import settle_order
from webapp.billing.stripe_api import PaymentsUnavailable, mode
from webapp.billing.subscribing import (
    PlanNotFound,
    PlanNotOnOffer,
    Suspended,
    choose_plan,
    open_plan_checkout,
    plan_price_in,
    prepare_checkout,
    start_order,
    trial_days_for,
)
from webapp.billing.subscription import current_subscription, first_invoice_url
from webapp.catalog.periods import period_start
from webapp.catalog.plan import Plan
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.i18n.content import translate
from webapp.i18n.locale import current_tag
from webapp.people.next_page import safe_next
from webapp.people.signed_in import htmx_asks
from webapp.reading import reader

log = structlog.get_logger()

blueprint = Blueprint("subscribe", __name__)

_INTENT = re.compile(r"[A-Za-z0-9_-]{16,64}")


@blueprint.get("/plans/<code>/subscribe")
@login_required  # type: ignore[untyped-decorator]
def summary(code: str) -> ResponseReturnValue:
    """What the plan gives, what it costs and when, before anybody pays."""
    session = reader()
    plan = _plan_or_elsewhere(session, code)
    if not isinstance(plan, Plan):
        return plan
    wanted = choose_currency(request.args.get("currency"), _settings())
    offered = _offered(plan)
    if not offered:
        return _refused(410, _("This plan is not offered at the moment."))
    return _render_summary(session, plan, currency=wanted if wanted in offered else offered[0])


@blueprint.post("/plans/<code>/subscribe")
@login_required  # type: ignore[untyped-decorator]
def subscribe(code: str) -> ResponseReturnValue:
    """303 to Stripe's pay page, or to the plan at once where it is free. The same form twice is one order."""
    intent = request.form.get("intent", "")
    if not _INTENT.fullmatch(intent):
        intent = secrets.token_urlsafe(18)
    with unit_of_work() as session:
        plan = _plan_or_elsewhere(session, code)
        if not isinstance(plan, Plan):
            return plan
        if plan.kind == "free":
            return _take_free(session, plan)
        currency = request.form.get("currency", _settings().currencies[0]).strip().upper()
        try:
            price_minor = plan_price_in(plan, currency=currency, accepted=_settings().currencies)
        except CurrencyNotOffered as refusal:
            if not refusal.offered:
                return _refused(410, _("This plan is not offered at the moment."))
            errors = {"currency": _("This plan is not offered in that currency.")}
            return _render_summary(session, plan, currency=refusal.offered[0], errors=errors), 422
        order = start_order(
            session,
            plan=plan,
            price_minor=price_minor,
            currency=currency,
            user=_reader(session),
            intent=intent,
            mode=mode(),
            shown_name=translate("plan", plan.code, plan.name),
            locale=current_tag(),
            return_to=safe_next(request.form.get("next")),
        )
        order_id = order.id
    return _to_stripe(order_id)


@blueprint.get("/plan/cancelled/<int:order_id>")
@login_required  # type: ignore[untyped-decorator]
def cancelled(order_id: int) -> ResponseReturnValue:
    """Where Stripe sends who left the pay page: the same page of outcomes."""
    with unit_of_work() as session:
        order = session.get(PlanOrder, order_id) if order_id < 2**63 else None
        if order is None or not _belongs_to_reader(order) or order.stripe_session_id is None:
            abort(404)
        return redirect(f"/checkout/return?session_id={order.stripe_session_id}", 303)


def come_back(session_id: str, polls: int) -> ResponseReturnValue | None:
    """The outcome of a plan's checkout, settled first; None when the session is of no plan of this reader."""
    with unit_of_work() as session:
        order = find_order_by_session(session, session_id=session_id)
        if order is None or not _belongs_to_reader(order):
            return None
        order_id = order.id
    asked = ask_stripe(partial(settle_order, order_id=order_id), polls=polls, order=order_id)
    with unit_of_work() as session:
        order = session.get_one(PlanOrder, order_id)
        outcome = outcome_of(order.state, asked=asked)
        found = running(session, account_id=order.account_id, mode=order.mode, now=ledger.now(session))
        part = htmx_asks()
        return render_template(
            "billing/plan/_outcome.html" if part else "billing/plan/return.html",
            announce=part,
            order=order,
            outcome=outcome,
            entitlement=next((one for one in found if one.plan == order.plan), None),
            balance=ledger.balance(session, account_id=order.account_id),
            receipt_url=first_invoice_url(session, stripe_id=order.stripe_subscription_id),
            next_poll=next_poll(outcome, polls=polls),
        )


def _take_free(session: Session, plan: Plan) -> ResponseReturnValue:
    try:
        start_free(session, plan=plan, user=_reader(session), mode=mode())
    except HasBetterPlan:
        session.rollback()
    return redirect("/plan", 303)


def _to_stripe(order_id: int) -> ResponseReturnValue:
    settings = _settings()
    try:
        with unit_of_work() as session:
            prepare_checkout(session, order_id=order_id, email=current_user.email)
        with unit_of_work() as session:
            order = open_plan_checkout(
                session,
                order_id=order_id,
                email=current_user.email,
                base_url=settings.base_url,
                tax=settings.stripe_tax,
            )
            if order.state == "open" and order.checkout_url:
                return redirect(order.checkout_url, 303)
            if order.stripe_session_id:
                return redirect(f"/checkout/return?session_id={order.stripe_session_id}", 303)
    except PaymentsUnavailable:
        with unit_of_work() as session:
            order = session.get_one(PlanOrder, order_id)
            page = render_template("billing/plan/unavailable.html", order=order)
        return page, 503, {"Retry-After": "30"}
    return _refused(410, _("This checkout has expired. Nothing was charged."))


def _plan_or_elsewhere(session: Session, code: str) -> Plan | ResponseReturnValue:
    """The plan that the reader may begin; else what says why not, or leads to where they are already."""
    try:
        plan = choose_plan(session, code=code, holder=_reader(session))
    except PlanNotFound:
        abort(404)
    except PlanNotOnOffer:
        return _refused(410, _("This plan is not offered any more."))
    except Suspended:
        return _refused(403, _("Your account is suspended, so nothing can be bought with it at the moment."))
    elsewhere = _already_somewhere(session, plan)
    return plan if elsewhere is None else elsewhere


def _already_somewhere(session: Session, plan: Plan) -> ResponseReturnValue | None:
    """Who is on the plan sees it; who has a subscription changes it instead of getting a second one."""
    found = running(session, account_id=current_user.account_id, mode=mode(), now=ledger.now(session))
    if any(one.plan == plan.code for one in found):
        return redirect("/plan", 303)
    subscription = current_subscription(session, account_id=current_user.account_id, mode=mode())
    if subscription is None or plan.kind == "lifetime":
        better = any(one.kind != "free" for one in found)
        return redirect("/plan", 303) if plan.kind == "free" and better else None
    return redirect(f"/plan/change/{plan.code}", 303)


def _belongs_to_reader(order: PlanOrder) -> bool:
    return bool(order.account_id == current_user.account_id) and order.mode == mode()


def _reader(session: Session) -> Holder:
    return holder_of(session, account_id=current_user.account_id, external_id=current_user.external_id)


def _refused(status: int, reason: str) -> ResponseReturnValue:
    return render_template("billing/checkout/refused.html", reason=reason), status


def _render_summary(session: Session, plan: Plan, *, currency: str, errors: dict[str, str] | None = None) -> str:
    account = ledger.get_account(session, account_id=current_user.account_id)
    trial_days = trial_days_for(session, plan=plan, account_id=current_user.account_id, mode=mode())
    now = clock.now()
    months = 12 if plan.kind == "yearly" else 1
    return render_template(
        "billing/plan/subscribe.html",
        plan=plan,
        price_minor=plan.price_minor(currency),
        currency=currency,
        currencies=_offered(plan),
        trial_days=trial_days,
        next_at=period_start(now, 1, account.time_zone),
        renews_at=period_start(now, months, account.time_zone) if plan.kind in ("monthly", "yearly") else None,
        intent=secrets.token_urlsafe(18),
        next_page=safe_next(request.values.get("next")),
        errors=errors or {},
        payments_away=plan.kind != "free" and breaker.is_open(),
    )


def _offered(plan: Plan) -> list[str]:
    return [code for code in _settings().currencies if plan.price_minor(code) is not None]


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings
