"""GET /, /pricing and /<locale>/pricing."""

from collections.abc import Sequence

from flask import Blueprint, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.currency import choose_currency
from webapp.billing.entitlement import PAID_KINDS, Entitlement, running
from webapp.billing.limit_words import fair_use_words
from webapp.billing.pricing import Pricing, compare_offers
from webapp.billing.stripe_api import mode
from webapp.catalog.ceilings import list_ceilings
from webapp.catalog.rate_card import RatedFeature, list_features, rate_card_in_force
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.i18n.content import translate
from webapp.i18n.locale import tags, use_tag
from webapp.people.first_credits import Terms, terms_now
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
        pricing = compare_offers(session, currency=currency)
        features = list_features(session)
        mine = _plans_of_reader(session)
        return render_template(
            "billing/pricing.html",
            pricing=pricing,
            currencies=settings.currencies,
            features=features,
            rate_card=rate_card_in_force(session),
            next_page=safe_next(request.args.get("next")),
            subscriber=any(one.kind in PAID_KINDS and not one.paused for one in mine),
            mine={one.plan for one in mine},
            only_for=_features_paid_for(pricing, features),
            fair_use=_fair_use(session, features),
            first=_welcome(session),
            base_url=settings.base_url,
            language_urls={tag: f"/{tag}/pricing{query}" for tag in tags()},
        )


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


def _fair_use(session: Session, features: Sequence[RatedFeature]) -> dict[str, list[str]]:
    """By the codes of plans that limit how much is used: how much of what, in words."""
    names = {feature.key: translate("feature", feature.key, feature.name) for feature in features}
    found: dict[str, list[str]] = {}
    for one in list_ceilings(session):
        if one.feature in names:
            found.setdefault(one.plan, []).append(fair_use_words(names[one.feature], one.quantity, one.per))
    return found


def _welcome(session: Session) -> Terms | None:
    """What a stranger on the front page is promised for signing up; None on other pages and for people we know."""
    return terms_now(session) if request.path == "/" and not current_user.is_authenticated else None
