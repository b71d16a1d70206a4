"""The plan page: what one is on, what comes next, and changing it with a preview."""

from datetime import UTC, datetime, timedelta

from flask import Blueprint, abort, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.account_limits import AccountLimits, limits_of
from webapp.billing.checkout import stripe_locale
from webapp.billing.currency import choose_currency
from webapp.billing.holder import holder_of
from webapp.billing.limit_words import allowance_words, ceiling_words
from webapp.billing.plan_change import (
    NOW,
    ConfirmationNeeded,
    NotChangeable,
    PaymentRefused,
    SamePlan,
    cancel_at_period_end,
    change_plan,
    keep_plan,
    note_wish,
    open_portal,
    preview_change,
    running_stretch,
)
from webapp.billing.plan_overview import plan_overview
from webapp.billing.stripe_api import PaymentsUnavailable, mode
from webapp.billing.stripe_customer import customer_id_of
from webapp.billing.subscribing import PlanNotFound, PlanNotOnOffer, Suspended, choose_plan
from webapp.billing.subscription import Subscription, current_subscription
from webapp.catalog.plan import Plan
from webapp.catalog.rate_card import Feature
from webapp.catalog.shop_window import shop_window
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.i18n.content import translate
from webapp.i18n.locale import current_tag
from webapp.reading import reader

blueprint = Blueprint("plan", __name__)

# What a preview said holds for so long.
PREVIEW_GOOD_FOR = timedelta(minutes=30)


@blueprint.get("/plan")
@login_required  # type: ignore[untyped-decorator]
def plan() -> ResponseReturnValue:
    """The plan as it stands."""
    return _page()


@blueprint.get("/plan/change/<code>")
@login_required  # type: ignore[untyped-decorator]
def preview(code: str) -> ResponseReturnValue:
    """What a change would do and cost, before it is made."""
    return _preview(code)


@blueprint.post("/plan/change/<code>")
@login_required  # type: ignore[untyped-decorator]
def change(code: str) -> ResponseReturnValue:
    """303 to the plan when the change is made; the preview again when it is too old, or when the bank refused."""
    moment = _moment_of_preview()
    if moment is None:
        return _preview(code, problem=_("Time has passed; please look at this once more."), status=409)
    try:
        with unit_of_work() as session:
            subscription, plan = _subscription_and_plan(session, code)
            asked = preview_change(session, subscription=subscription, plan=plan, moment=moment)
            note_wish(session, subscription=subscription, change=asked)
        with unit_of_work() as session:  # its price at Stripe and the wish are known for good before anything is done
            subscription, _plan = _subscription_and_plan(session, code)
            change_plan(session, subscription=subscription, change=asked)
    except (SamePlan, NotChangeable):
        return redirect("/plan", 303)
    except ConfirmationNeeded as needed:
        problem = _("Your bank wants you to confirm the payment. As soon as you have, your plan changes.")
        return _preview(code, problem=problem, confirm_url=needed.url, status=402)
    except PaymentRefused:
        return _preview(code, problem=_("The bank refused the payment, so your plan is as it was."), status=402)
    except PaymentsUnavailable:
        return _unavailable()
    return redirect("/plan", 303)


@blueprint.post("/plan/cancel")
@login_required  # type: ignore[untyped-decorator]
def cancel() -> ResponseReturnValue:
    """The subscription ends with the period that is paid for."""
    return _do(cancel_at_period_end)


@blueprint.post("/plan/keep")
@login_required  # type: ignore[untyped-decorator]
def keep() -> ResponseReturnValue:
    """What was to happen at the period's end does not."""
    return _do(keep_plan)


@blueprint.post("/plan/portal")
@login_required  # type: ignore[untyped-decorator]
def portal() -> ResponseReturnValue:
    """303 to Stripe's own pages about invoices and payment methods."""
    settings: Settings = current_app.config["SETTINGS"]
    with unit_of_work() as session:
        customer_id = customer_id_of(session, account_id=current_user.account_id, mode=mode())
    if customer_id is None:
        return redirect("/plan", 303)
    try:
        url = open_portal(
            customer_id=customer_id,
            return_url=f"{settings.base_url}/plan",
            locale=stripe_locale(current_tag()),
        )
    except PaymentsUnavailable:
        return _unavailable()
    return redirect(url, 303)


def _page() -> str:
    settings: Settings = current_app.config["SETTINGS"]
    session = reader()
    window = shop_window(session)
    limits = limits_of(session, account_id=current_user.account_id, window=window)
    overview = plan_overview(
        session,
        account_id=current_user.account_id,
        mode=mode(),
        currency=choose_currency(None, settings),
        window=window,
    )
    return render_template(
        "billing/plan/overview.html",
        o=overview,
        limits=limits,
        features=_names(session, limits),
        ceiling_words=ceiling_words,
        allowance_words=allowance_words,
        customer=customer_id_of(session, account_id=current_user.account_id, mode=mode()) is not None,
    )


def _names(session: Session, limits: AccountLimits) -> dict[str, str]:
    """What the features that are limited or free are called."""
    keys = {one.feature for one in (*limits.ceilings, *limits.allowances)}
    if not keys:
        return {}
    rows = session.execute(select(Feature.key, Feature.name).where(Feature.key.in_(keys)))
    return {key: translate("feature", key, name) for key, name in rows}


def _preview(code: str, *, problem: str = "", confirm_url: str = "", status: int = 200) -> ResponseReturnValue:
    try:
        with unit_of_work() as session:
            subscription, plan = _subscription_and_plan(session, code)
            found = preview_change(session, subscription=subscription, plan=plan)
            now = ledger.now(session)
            stretch = running_stretch(session, subscription=subscription, now=now)
            page = render_template(
                "billing/plan/change.html",
                change=found,
                stretch=stretch,
                problem=problem,
                confirm_url=confirm_url,
                at_once=found.way == NOW,
            )
            return page, status
    except (SamePlan, NotChangeable):
        return redirect("/plan", 303)
    except PaymentsUnavailable:
        return _unavailable()


def _subscription_and_plan(session: Session, code: str) -> tuple[Subscription, Plan]:
    """The reader's subscription, and the plan of that code. Aborts with 404, raises NotChangeable."""
    try:
        holder = holder_of(session, account_id=current_user.account_id, external_id=current_user.external_id)
        plan = choose_plan(session, code=code, holder=holder)
    except PlanNotFound:
        abort(404)
    except (PlanNotOnOffer, Suspended) as refusal:
        raise NotChangeable(code) from refusal
    subscription = current_subscription(session, account_id=current_user.account_id, mode=mode())
    if subscription is None:
        raise NotChangeable(code)
    return subscription, plan


def _do(what: object) -> ResponseReturnValue:
    assert callable(what)
    try:
        with unit_of_work() as session:
            subscription = current_subscription(session, account_id=current_user.account_id, mode=mode())
            if subscription is not None:
                what(session, subscription=subscription)
    except PaymentsUnavailable:
        return _unavailable()
    return redirect("/plan", 303)


def _moment_of_preview() -> datetime | None:
    """When the preview was made that the reader agreed to; None when that is too long ago, or no time at all."""
    raw = request.form.get("moment", "")
    if not raw.isascii() or not raw.isdecimal() or len(raw) > 11:
        return None
    moment = datetime.fromtimestamp(int(raw), UTC)
    with unit_of_work() as session:
        now = ledger.now(session)
    return moment if now - PREVIEW_GOOD_FOR <= moment <= now else None


def _unavailable() -> ResponseReturnValue:
    return render_template("billing/plan/unavailable.html", order=None), 503, {"Retry-After": "30"}
