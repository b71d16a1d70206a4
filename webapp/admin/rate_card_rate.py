"""/admin/rate-card/draft/rates/<feature>: one feature's price in the draft, as a form."""

from collections.abc import Mapping

from flask import Blueprint, abort, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from webapp.admin.finding_words import say
from webapp.admin.price_form import PriceForm, free_pers, roundings
from webapp.admin.rate_card_draft import gone, save
from webapp.catalog.feature_changes import find_feature
from webapp.catalog.pricing import Pricing
from webapp.catalog.pricing_terms import read_pricing
from webapp.catalog.rate_card import Feature
from webapp.catalog.rate_card_draft import DraftChanged, NoDraft, RateCardDraft, find_draft, prices_of_draft
from webapp.database import unit_of_work
from webapp.people.roles import require_role

pages = Blueprint("admin_rate_card_rate", __name__)

PATH = "/admin/rate-card/draft/rates/<key>"


@pages.get(PATH)
@require_role("finance")
def rate(key: str) -> ResponseReturnValue:
    """What the feature costs in the draft, to be changed."""
    with unit_of_work() as session:
        draft, feature = _find(session, key)
        if draft is None:
            return gone()
        pricing = prices_of_draft(session, draft=draft).get(key)
        return _page(draft, feature, pricing, PriceForm.of(pricing))


@pages.post(PATH)
@require_role("finance")
def change(key: str) -> ResponseReturnValue:
    """The draft says that price for the feature, or has none for it; else the form with what is wrong."""
    with unit_of_work() as session:
        draft, feature = _find(session, key)
        if draft is None:
            return gone()
        prices = prices_of_draft(session, draft=draft)
        before = prices.pop(key, None)
        form = PriceForm(request.form)
        if form.step == "more":
            return _page(draft, feature, before, form.with_more_tiers())
        if form.step != "remove":
            read = read_pricing(form.terms(before), where=key)
            if not isinstance(read, Pricing):
                messages = form.messages({finding.where.removeprefix(f"{key}."): say(finding) for finding in read})
                return _page(draft, feature, before, form, messages=messages), 422
            prices[key] = read
        try:
            save(session, draft=draft, prices=prices)
        except NoDraft:
            return gone()
        except DraftChanged as changed:
            now = prices_of_draft(session, draft=changed.draft).get(key)
            return _page(changed.draft, feature, now, form, changed=True), 409
    flash(_("The draft is saved."))
    return redirect("/admin/rate-card/draft", 303)


def _find(session: Session, key: str) -> tuple[RateCardDraft | None, Feature]:
    feature = find_feature(session, key=key)
    if feature is None:
        abort(404)
    return find_draft(session), feature


def _page(
    draft: RateCardDraft,
    feature: Feature,
    pricing: Pricing | None,
    form: PriceForm,
    *,
    messages: Mapping[str, str] | None = None,
    changed: bool = False,
) -> str:
    return render_template(
        "admin/rate_card/rate.html",
        draft=draft,
        feature=feature,
        pricing=pricing,
        form=form,
        messages=messages or {},
        changed=changed,
        roundings=roundings(),
        free_pers=free_pers(),
    )
