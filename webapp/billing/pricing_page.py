"""GET /, /pricing and /<locale>/pricing."""

from flask import Blueprint, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.currency import choose_currency
from webapp.billing.entitlement import is_subscriber
from webapp.billing.pricing import compare_offers
from webapp.billing.stripe_api import mode
from webapp.catalog.rate_card import list_features, rate_card_in_force
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.i18n.locale import tags, use_tag
from webapp.people.next_page import safe_next

blueprint = Blueprint("pricing", __name__)


@blueprint.get("/")
@blueprint.get("/pricing")
def pricing() -> ResponseReturnValue:
    """The prices, in the reader's language."""
    return _page()


@blueprint.get("/<tag>/pricing")
def pricing_in(tag: str) -> ResponseReturnValue:
    """The prices in the language that the URL names, for links and search engines; 404 for others."""
    if tag not in tags():
        abort(404)
    use_tag(tag)
    return _page()


def _page() -> str:
    settings: Settings = current_app.config["SETTINGS"]
    currency = choose_currency(request.args.get("currency"), settings)
    query = f"?currency={currency}" if currency != settings.currencies[0] else ""
    with unit_of_work() as session:
        return render_template(
            "billing/pricing.html",
            pricing=compare_offers(session, currency=currency),
            currencies=settings.currencies,
            features=list_features(session),
            rate_card=rate_card_in_force(session),
            next_page=safe_next(request.args.get("next")),
            subscriber=_reader_subscribes(session),
            base_url=settings.base_url,
            language_urls={tag: f"/{tag}/pricing{query}" for tag in tags()},
        )


def _reader_subscribes(session: Session) -> bool:
    """Whether the reader is signed in and on a plan that is paid for."""
    if not current_user.is_authenticated:
        return False
    now = ledger.now(session)
    return is_subscriber(session, account_id=current_user.account_id, mode=mode(), now=now)
