"""GET /, /pricing and /<locale>/pricing."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.currency import choose_currency
from webapp.billing.entitlement import PAID_KINDS, Entitlement, running
from webapp.billing.limit_words import fair_use_words
from webapp.billing.pricing import Pricing, compare
from webapp.billing.pricing_kept import keeper
from webapp.billing.stripe_api import mode
from webapp.catalog.rate_card import RatedFeature
from webapp.catalog.shop_window import ShopWindow, shop_window
from webapp.config import Settings
from webapp.i18n.content import translate
from webapp.i18n.locale import tags, use_tag
from webapp.people.first_credits import Terms, terms_now
from webapp.people.next_page import safe_next
from webapp.reading import reader

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
    next_page = safe_next(request.args.get("next"))
    session = reader()
    window = shop_window(session)
    mine = _plans_of_reader(session)
    says = {
        "subscriber": any(one.kind in PAID_KINDS and not one.paused for one in mine),
        "mine": frozenset(one.plan for one in mine),
        "first": _welcome(session),
    }
    kept, keep = keeper(window, currency, request.path, next_page, *says.values())
    return render_template(
        "billing/pricing.html",
        **says,
        **({} if kept is not None else _offers(window, currency)),
        keep=keep,
        currency=currency,
        currencies=settings.currencies,
        next_page=next_page,
        base_url=settings.base_url,
        language_urls={tag: f"/{tag}/pricing{query}" for tag in tags()},
    )


def _offers(window: ShopWindow, currency: str) -> dict[str, Any]:
    """What of the page is the same for everybody."""
    pricing = compare(window.packages, window.plans, currency=currency)
    return {
        "pricing": pricing,
        "features": window.features,
        "rate_card": window.rate_card,
        "only_for": _features_paid_for(pricing, window.features),
        "fair_use": _fair_use(window),
    }


def _plans_of_reader(session: Session) -> Sequence[Entitlement]:
    """What the reader is on; nothing for strangers."""
    if not current_user.is_authenticated:
        return ()
    return running(session, account_id=current_user.account_id, mode=mode(), now=ledger.now(session))


def _features_paid_for(pricing: Pricing, features: Sequence[RatedFeature]) -> dict[str, str]:
    """By the codes of plans whose credits don't pay for everything, the names of what they pay for."""
    names = {feature.key: translate("feature", feature.key, feature.name) for feature in features}
    limited = {offer.plan.code: offer.plan.features for offer in pricing.plans if offer.plan.features is not None}
    return {code: ", ".join(names.get(key, key) for key in keys) for code, keys in limited.items()}


def _fair_use(window: ShopWindow) -> dict[str, list[str]]:
    """By the codes of plans that limit how much is used: how much of what, in words."""
    names = {feature.key: translate("feature", feature.key, feature.name) for feature in window.features}
    found: dict[str, list[str]] = {}
    for one in window.limits:
        if one.feature in names:
            found.setdefault(one.plan, []).append(fair_use_words(names[one.feature], one.quantity, one.per))
    return found


def _welcome(session: Session) -> Terms | None:
    """What a stranger on the front page is promised for signing up; None on other pages and for people we know."""
    return terms_now(session) if request.path == "/" and not current_user.is_authenticated else None
