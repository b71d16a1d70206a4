"""Buying a package: the summary, and off to Stripe's pay page."""

import re
import secrets
from typing import Any

from flask import Blueprint, abort, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.billing import breaker
from webapp.billing.checkout import (
    CurrencyNotOffered,
    PackageNotFound,
    PackageNotOnSale,
    SubscribersOnly,
    choose_package,
    open_checkout,
    price_in,
    start_purchase,
)
from webapp.billing.currency import choose_currency
from webapp.billing.entitlement import is_subscriber
from webapp.billing.purchase import Purchase
from webapp.billing.stripe_api import PaymentsUnavailable, mode
from webapp.catalog.package import Package
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.i18n.content import translate
from webapp.i18n.locale import current_tag
from webapp.people.next_page import safe_next
from webapp.people.suspension import is_suspended
from webapp.reading import reader

blueprint = Blueprint("checkout", __name__)

_INTENT = re.compile(r"[A-Za-z0-9_-]{16,64}")


@blueprint.get("/packages/<code>/buy")
@login_required  # type: ignore[untyped-decorator]
def summary(code: str) -> ResponseReturnValue:
    """What is bought, for how much and until when it is good, before anybody pays."""
    session = reader()
    package = _package_or_refusal(session, code)
    if not isinstance(package, Package):
        return package
    wanted = choose_currency(request.args.get("currency"), _settings())
    offered = _offered(package)
    if not offered:
        return _refused(410, _("This package is not for sale at the moment."))
    currency = wanted if wanted in offered else offered[0]
    return _render_summary(session, package, currency=currency, intent=secrets.token_urlsafe(18))


@blueprint.post("/packages/<code>/buy")
@login_required  # type: ignore[untyped-decorator]
def buy(code: str) -> ResponseReturnValue:
    """303 to Stripe's pay page. The same form submitted twice leads to the same page and one payment."""
    intent = request.form.get("intent", "")
    if not _INTENT.fullmatch(intent):
        intent = secrets.token_urlsafe(18)
    with unit_of_work() as session:
        package = _package_or_refusal(session, code)
        if not isinstance(package, Package):
            return package
        currency = request.form.get("currency", _settings().currencies[0]).strip().upper()
        try:
            purchase = _start(session, package, currency=currency, intent=intent)
        except CurrencyNotOffered as refusal:
            if not refusal.offered:
                return _refused(410, _("This package is not for sale at the moment."))
            errors = {"currency": _("This package is not offered in that currency.")}
            page = _render_summary(session, package, currency=refusal.offered[0], intent=intent, errors=errors)
            return page, 422
        purchase_id = purchase.id
    return _to_stripe(purchase_id)


def _start(session: Session, package: Package, *, currency: str, intent: str) -> Purchase:
    return start_purchase(
        session,
        package=package,
        price_minor=price_in(package, currency=currency, accepted=_settings().currencies),
        currency=currency,
        user_id=current_user.id,
        account_id=current_user.account_id,
        external_id=current_user.external_id,
        intent=intent,
        mode=mode(),
        shown_name=translate("package", package.code, package.name),
        locale=current_tag(),
        return_to=safe_next(request.form.get("next")),
    )


def _to_stripe(purchase_id: int) -> ResponseReturnValue:
    try:
        with unit_of_work() as session:
            purchase = open_checkout(
                session,
                purchase_id=purchase_id,
                email=current_user.email,
                base_url=_settings().base_url,
                tax=_settings().stripe_tax,
            )
            if purchase.state == "open" and purchase.checkout_url:
                return redirect(purchase.checkout_url, 303)
            if purchase.stripe_session_id:
                return redirect(f"/checkout/return?session_id={purchase.stripe_session_id}", 303)
    except PaymentsUnavailable:
        return _unavailable(purchase_id)
    return _refused(410, _("This checkout has expired. Nothing was charged."))


def _unavailable(purchase_id: int) -> ResponseReturnValue:
    """Stripe does not answer: the purchase stays, and the same form may be sent again."""
    with unit_of_work() as session:
        purchase = session.get_one(Purchase, purchase_id)
        page = render_template("billing/checkout/unavailable.html", purchase=purchase)
    return page, 503, {"Retry-After": "30"}


def _package_or_refusal(session: Session, code: str) -> Package | ResponseReturnValue:
    try:
        moment = ledger.now(session)
        subscriber = is_subscriber(session, account_id=current_user.account_id, mode=mode(), now=moment)
        if is_suspended(session, account_id=current_user.account_id):
            return _refused(403, _("Your account is suspended, so nothing can be bought with it at the moment."))
        return choose_package(session, code=code, subscriber=subscriber)
    except PackageNotFound:
        abort(404)
    except PackageNotOnSale:
        return _refused(410, _("This package is not for sale any more."))
    except SubscribersOnly:
        return _refused(403, _("This package is for subscribers only."), to_plans=True)


def _refused(status: int, reason: str, *, to_plans: bool = False) -> ResponseReturnValue:
    return render_template("billing/checkout/refused.html", reason=reason, to_plans=to_plans), status


def _render_summary(
    session: Session, package: Package, *, currency: str, intent: str, errors: dict[str, str] | None = None
) -> str:
    account = ledger.get_account(session, account_id=current_user.account_id)
    return render_template(
        "billing/checkout/summary.html",
        package=package,
        price_minor=package.price_minor(currency),
        currency=currency,
        currencies=_offered(package),
        ends_at=package.validity.ends_at(clock.now(), time_zone=account.time_zone),
        balance=ledger.balance(session, account_id=current_user.account_id),
        intent=intent,
        next_page=safe_next(request.values.get("next")),
        errors=errors or {},
        payments_away=breaker.is_open(),
        taxed=_settings().stripe_tax,
    )


def _offered(package: Package) -> list[str]:
    return [currency for currency in _settings().currencies if package.price_minor(currency) is not None]


def _settings() -> Any:
    settings: Settings = current_app.config["SETTINGS"]
    return settings
