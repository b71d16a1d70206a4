"""/admin/campaigns: credits as a present: which there are, and one of them, which can be ended."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext, pgettext
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp import clock
from webapp.admin import acting
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.admin.figure_words import say_value
from webapp.admin.forms import Form, reason_field
from webapp.admin.listing import Column, Listing, Rows, Sort, list_csv, list_page
from webapp.catalog.campaign import BadCampaign, Campaign, CampaignAccount, end_campaign
from webapp.database import unit_of_work
from webapp.i18n.formats import iso
from webapp.people.roles import require_role

pages = Blueprint("admin_campaigns", __name__)


def campaign_figures(campaign: Campaign) -> dict[str, Any]:
    """What it promises, for the audit log."""
    return {
        "name": campaign.name,
        "credits": campaign.credits,
        "expiry_days": campaign.expires_days,
        "audience": campaign.audience,
        "plan": campaign.plan,
        "starts_at": {"at": iso(campaign.starts_at)},
        "ends_at": {"at": iso(campaign.ends_at)} if campaign.ends_at else None,
    }


def _end(session: Session, order: Order, *, code: str) -> Done:
    found = session.get(Campaign, code)
    before = {} if found is None else campaign_figures(found)
    try:
        ended = end_campaign(session, code=code)
    except BadCampaign:
        raise Refused(_("The campaign is over already.")) from None
    after = {} if ended is None else campaign_figures(ended)
    return Done(subject=f"campaign:{code}", before=before, after=after)


END = define(
    Act(
        key="campaign.end",
        label=_l("End the campaign"),
        done=_l("The campaign is over. What it gave stays."),
        roles=("finance",),
        do=_end,
    )
)


def _state(campaign: Any) -> str:
    now = clock.now()
    if campaign.starts_at > now:
        return str(pgettext("campaign", "not begun"))
    over = campaign.ends_at is not None and campaign.ends_at <= now
    return str(pgettext("campaign", "over") if over else pgettext("campaign", "running"))


def _selection(_values: Mapping[str, str]) -> Rows:
    return select(
        Campaign.code,
        Campaign.name,
        Campaign.credits,
        Campaign.expires_days,
        Campaign.audience,
        Campaign.plan,
        Campaign.starts_at,
        Campaign.ends_at,
    )


LISTING = Listing(
    key="campaigns",
    title=_l("Campaigns"),
    path="/admin/campaigns",
    id=Campaign.code,
    selection=_selection,
    columns=(
        Column(
            key="name",
            label=_l("Campaign"),
            show=lambda row: (f"/admin/campaigns/{row.code}/details", row.name),
            kind="link",
        ),
        Column(key="code", label=_l("Code"), show=lambda row: row.code, kind="code"),
        Column(key="credits", label=_l("Credits"), show=lambda row: row.credits, kind="credits"),
        Column(key="expires", label=_l("Expire after days"), show=lambda row: row.expires_days, kind="credits"),
        Column(key="whom", label=_l("For whom"), show=lambda row: row.plan or say_value("audience", row.audience)),
        Column(key="begins", label=_l("Begins"), show=lambda row: row.starts_at, kind="moment"),
        Column(key="ends", label=_l("Ends"), show=lambda row: row.ends_at, kind="moment"),
        Column(key="state", label=lazy_pgettext("campaign", "State"), show=_state),
    ),
    sorts=(Sort(key="newest", label=_l("Newest first"), by=Campaign.created_at),),
    empty=_l("There is no campaign yet"),
    lead=_l("Credits as a present, once an account. A job looks every ten minutes for who qualifies."),
)


@pages.get(LISTING.path)
@require_role("finance")
def campaigns() -> ResponseReturnValue:
    """All of them, the newest first."""
    return list_page(LISTING, template="admin/catalog/campaigns.html")


@pages.get(f"{LISTING.path}.csv")
@require_role("finance")
def campaigns_csv() -> Response:
    """The same as CSV."""
    return list_csv(LISTING)


class EndForm(Form):
    """Why."""

    reason = reason_field()


@pages.route(f"{LISTING.path}/<code>/details", methods=["GET", "POST"])
@require_role("finance")
def details(code: str) -> ResponseReturnValue:
    """What one promises to whom; and the form that ends it."""
    form = EndForm()
    if form.validate_on_submit():
        return acting.handle(
            END,
            arguments={"code": code},
            reason=form.reason.data,
            back=LISTING.path,
            refuse=lambda refusal: _page(code, form, refusal=str(refusal.message)),
        )
    return _page(code, form)


def _page(code: str, form: EndForm, *, refusal: str = "") -> ResponseReturnValue:
    with unit_of_work() as session:
        campaign = None if "\0" in code else session.get(Campaign, code)
        if campaign is None:
            abort(404)
        listed = select(func.count()).select_from(CampaignAccount).where(CampaignAccount.campaign == code)
        html = render_template(
            "admin/catalog/campaign.html",
            campaign=campaign,
            form=form,
            messages=dict(form.messages, **({"reason": refusal} if refusal else {})),
            listed=session.scalar(listed) if campaign.audience == "accounts" else None,
            audience=say_value("audience", campaign.audience),
            state=_state(campaign),
            is_over=campaign.ends_at is not None and campaign.ends_at <= clock.now(),
        )
    return html, 422 if form.errors or refusal else 200
