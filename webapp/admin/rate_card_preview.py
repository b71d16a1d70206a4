"""/admin/rate-card/draft/preview: what was used lately, at the prices of the draft."""

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from webapp.admin.rate_card import names_of
from webapp.admin.rate_card_draft import gone
from webapp.billing.price_preview import FeaturePreview
from webapp.billing.rate_card_preview import ask_preview, figures_of, find_preview
from webapp.catalog.rate_card_draft import NoDraft, RateCardDraft, find_draft
from webapp.database import unit_of_work
from webapp.people.roles import require_role

pages = Blueprint("admin_rate_card_preview", __name__)

PATH = "/admin/rate-card/draft/preview"
DAYS = (7, 30, 90)
USUAL_DAYS = 30
SECONDS = 2.0  # so long somebody waits for a page; a worker does the rest


@pages.get(PATH)
@require_role("finance")
def preview() -> ResponseReturnValue:
    """The last preview of the draft, or how far it has come."""
    with unit_of_work() as session:
        draft = find_draft(session)
        return gone() if draft is None else _page(session, draft)


@pages.post(PATH)
@require_role("finance")
def ask() -> ResponseReturnValue:
    """A preview is made, or begun: a worker goes on where there is much to read."""
    days = next((one for one in DAYS if request.form.get("days") == str(one)), USUAL_DAYS)
    with unit_of_work() as session:
        draft = find_draft(session)
        if draft is None:
            return gone()
        try:
            ask_preview(session, draft=draft, days=days, seconds=SECONDS)
        except NoDraft:
            return gone()
    return redirect(PATH, 303)


def _page(session: Session, draft: RateCardDraft) -> str:
    found = find_preview(session, draft_id=draft.id)
    figures = figures_of(session, preview=found) if found else None
    return render_template(
        "admin/rate_card/preview.html",
        draft=draft,
        preview=found,
        figures=figures,
        total=_total(figures.features) if figures else None,
        names=names_of(session),
        days=DAYS,
        chosen=found.days if found else USUAL_DAYS,
    )


def _total(features: list[FeaturePreview]) -> FeaturePreview:
    return FeaturePreview(
        feature="",
        uses=sum(one.uses for one in features),
        before=sum(one.before for one in features),
        after=sum(one.after for one in features),
        refused=sum(one.refused for one in features),
        by_amount=sum(one.by_amount for one in features),
    )
