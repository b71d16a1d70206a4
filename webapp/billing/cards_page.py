"""/settings/cards: the cards that Stripe keeps for the reader."""

import re
import secrets

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from webapp import clock
from webapp.billing import breaker
from webapp.billing.checkout import stripe_locale
from webapp.billing.saved_cards import (
    CardNotFound,
    CardPays,
    SetupNotFound,
    Wallet,
    fetch_wallet,
    is_saved,
    make_default,
    open_setup,
    remove_card,
)
from webapp.billing.stripe_api import PaymentsUnavailable, mode
from webapp.billing.stripe_customer import customer_id_of, ensure_customer
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.i18n.locale import current_tag

blueprint = Blueprint("cards", __name__)

HERE = "/settings/cards"
_INTENT = re.compile(r"[A-Za-z0-9_-]{16,64}")
_SESSION_ID = re.compile(r"cs_[A-Za-z0-9_]{1,250}")
_CARD_ID = re.compile(r"pm_[A-Za-z0-9_]{1,250}")


@blueprint.get(HERE)
@login_required  # type: ignore[untyped-decorator]
def cards() -> ResponseReturnValue:
    """The cards, or that Stripe can't be asked for them now."""
    return _page()


@blueprint.post(f"{HERE}/add")
@login_required  # type: ignore[untyped-decorator]
def add() -> ResponseReturnValue:
    """303 to Stripe's page that saves a card. The same form twice leads to the same page."""
    settings: Settings = current_app.config["SETTINGS"]
    intent = request.form.get("intent", "")
    if not _INTENT.fullmatch(intent):
        intent = secrets.token_urlsafe(18)
    try:
        with unit_of_work() as session:
            customer_id = ensure_customer(
                session,
                account_id=current_user.account_id,
                external_id=current_user.external_id,
                email=current_user.email,
                mode=mode(),
            )
        url = open_setup(
            customer_id=customer_id,
            intent=intent,
            currency=settings.currencies[0],
            locale=stripe_locale(current_tag()),
            return_url=f"{settings.base_url}{HERE}/saved",
            back_url=f"{settings.base_url}{HERE}",
        )
    except PaymentsUnavailable:
        return _away()
    return redirect(url, 303)


@blueprint.get(f"{HERE}/saved")
@login_required  # type: ignore[untyped-decorator]
def saved() -> ResponseReturnValue:
    """Back from Stripe: the list, which says whether a card was saved. 404 for a checkout that is not the reader's."""
    session_id = request.args.get("session_id", "")
    customer_id = _customer()
    if customer_id is None or not _SESSION_ID.fullmatch(session_id):
        abort(404)
    try:
        flash(_("Your card is saved.") if is_saved(customer_id, session_id=session_id) else _("No card was saved."))
    except SetupNotFound:
        abort(404)
    except PaymentsUnavailable:
        return _away()
    return redirect(HERE, 303)


@blueprint.post(f"{HERE}/<card_id>/default")
@login_required  # type: ignore[untyped-decorator]
def default(card_id: str) -> ResponseReturnValue:
    """That card pays for the plan and invoices from now on."""
    customer_id = _customer_with(card_id)
    try:
        make_default(customer_id, card_id=card_id)
    except CardNotFound:
        abort(404)
    except PaymentsUnavailable:
        return _away()
    flash(_("This card pays from now on."))
    return redirect(HERE, 303)


@blueprint.post(f"{HERE}/<card_id>/remove")
@login_required  # type: ignore[untyped-decorator]
def remove(card_id: str) -> ResponseReturnValue:
    """Stripe does not keep that card any more; 409 with the reason for the one that pays for the plan."""
    customer_id = _customer_with(card_id)
    try:
        remove_card(customer_id, card_id=card_id)
    except CardNotFound:
        abort(404)
    except CardPays:
        return _page(problem=_("This card pays for your plan. Let another one pay first, then remove it."), status=409)
    except PaymentsUnavailable:
        return _away()
    flash(_("The card is removed."))
    return redirect(HERE, 303)


def _customer() -> str | None:
    with unit_of_work() as session:
        return customer_id_of(session, account_id=current_user.account_id, mode=mode())


def _customer_with(card_id: str) -> str:
    customer_id = _customer()
    if customer_id is None or not _CARD_ID.fullmatch(card_id):
        abort(404)
    return customer_id


def _page(*, problem: str = "", status: int = 200) -> ResponseReturnValue:
    customer_id = _customer()
    try:
        if customer_id is None:
            wallet = Wallet(cards=(), has_subscription=False)
        else:
            wallet = fetch_wallet(customer_id)
    except PaymentsUnavailable:
        return _away()
    page = render_template(
        "billing/cards/cards.html",
        wallet=wallet,
        away=breaker.is_open(),
        problem=problem,
        intent=secrets.token_urlsafe(18),
        now=clock.now(),
    )
    return page, status


def _away() -> ResponseReturnValue:
    """Stripe does not answer, so the cards can't be shown; nothing was changed, or may be asked for again."""
    page = render_template("billing/cards/cards.html", wallet=None, away=True, problem="", intent="", now=clock.now())
    return page, 503, {"Retry-After": "30"}
