"""/admin/campaigns/new: a present for everybody, for who is on a plan, or for a list of accounts."""

from datetime import datetime
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_login import current_user
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from wtforms import IntegerField, StringField, TextAreaField
from wtforms.validators import InputRequired, NumberRange, Optional, Regexp

from webapp import clock
from webapp.admin import acting
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.admin.campaigns import campaign_figures
from webapp.admin.figure_words import VALUES
from webapp.admin.forms import Form, reason_field, stripped, text_field
from webapp.admin.moment_field import NotAMoment, read_moment
from webapp.admin.offer_form import one_of
from webapp.billing.plan_holders import count_on_plans
from webapp.billing.stripe_api import mode
from webapp.catalog.campaign import AUDIENCES, MOST_DAYS, BadCampaign, Campaign, create_campaign
from webapp.catalog.plan import Plan, find_plan
from webapp.database import unit_of_work
from webapp.i18n.formats import credits_number
from webapp.people.roles import require_role

pages = Blueprint("admin_campaign_create", __name__)

MOST_CREDITS = 10**12
MOST_NAMES = 1_000
# So many are counted; of many more the planner's estimate is good enough to ask for a second person.
MOST_COUNTED = 10_000
_MOST_BIGINT = 2**63 - 1
_NAMED = text("SELECT external_id, account_id FROM ledger.accounts_v WHERE external_id = ANY (:names)")
_PEOPLE = text(
    "SELECT greatest((SELECT count(*) FROM (SELECT FROM users LIMIT :most) few),"
    " (SELECT CAST(reltuples AS bigint) FROM pg_class WHERE oid = CAST('users' AS regclass)))"
)


def _create(
    session: Session,
    order: Order,
    *,
    code: str,
    name: str,
    credits: int,
    expires_days: int | None,
    plan: str | None,
    account_ids: list[int] | None,
    starts_at: str | None,
    ends_at: str | None,
) -> Done:
    if session.get(Campaign, code) is not None:
        raise Refused(_("There is a campaign of this code already."), field="code")
    begins = datetime.fromisoformat(starts_at) if starts_at else clock.now()
    ends = datetime.fromisoformat(ends_at) if ends_at else None
    if ends is not None and ends <= max(begins, clock.now()):
        raise Refused(_("It must end later than it begins, and later than now."), field="ends_at")
    try:
        made = create_campaign(
            session,
            code=code,
            name=name,
            credits=credits,
            expires_days=expires_days,
            starts_at=begins,
            ends_at=ends,
            plan=plan,
            account_ids=account_ids,
        )
    except BadCampaign:
        raise Refused(_("There is a campaign of this code already."), field="code") from None
    reach = len(account_ids) if account_ids is not None else _reach(session, plan)
    return Done(
        subject=f"campaign:{code}",
        before={},
        after={**campaign_figures(made), "accounts": reach},
        credits=min(credits * max(1, reach), _MOST_BIGINT),
    )


def _reach(session: Session, plan: str | None) -> int:
    """About how many accounts would have it by now; more may come."""
    if plan is not None:
        return count_on_plans(session, plans=[plan], mode=mode(), most=MOST_COUNTED)[plan]
    return int(session.execute(_PEOPLE, {"most": MOST_COUNTED}).scalar_one())


CREATE = define(
    Act(
        key="campaign.create",
        label=_l("Make the campaign"),
        done=_l("The campaign is made."),
        roles=("finance",),
        do=_create,
    )
)


class CampaignForm(Form):
    """What is given, to whom, when, and why."""

    code = StringField(
        filters=[stripped],
        validators=[Regexp(r"^[a-z0-9][a-z0-9-]{0,39}\Z", message=_l("Use 1 to 40 of a to z, digits and hyphens."))],
    )
    name = text_field(required=_l("Give it a name."))
    credits = IntegerField(validators=[InputRequired(_l("Say how many.")), NumberRange(1, MOST_CREDITS)])
    expires_days = IntegerField(validators=[Optional(), NumberRange(1, MOST_DAYS)])
    audience = one_of(AUDIENCES)
    plan = StringField(filters=[stripped])
    accounts = TextAreaField(filters=[stripped])
    starts_at = StringField(filters=[stripped])
    ends_at = StringField(filters=[stripped])
    reason = reason_field()

    def read(self, session: Session) -> dict[str, Any] | None:
        """The act's arguments; None where something is wrong, and `messages` say what."""
        sound = bool(self.validate_on_submit())
        arguments = {
            "code": self.code.data,
            "name": self.name.data,
            "credits": self.credits.data,
            "expires_days": self.expires_days.data,
            "plan": self._plan(session) if self.audience.data == "plan" else None,
            "account_ids": self._account_ids(session) if self.audience.data == "accounts" else None,
            "starts_at": self._moment("starts_at"),
            "ends_at": self._moment("ends_at"),
        }
        return arguments if sound and not self.messages else None

    def _plan(self, session: Session) -> str | None:
        plan = find_plan(session, code=self.plan.data or "")
        if plan is None:
            self.refuse("plan", _("Choose one of the list."))
        return None if plan is None else plan.code

    def _account_ids(self, session: Session) -> list[int]:
        names = list(dict.fromkeys((self.accounts.data or "").split()))
        if not names or len(names) > MOST_NAMES:
            most = credits_number(MOST_NAMES)
            self.refuse("accounts", _("Name 1 to %(most)s accounts, one a line.", most=most))
            return []
        found = {row.external_id: row.account_id for row in session.execute(_NAMED, {"names": names})}
        missing = [name for name in names if name not in found]
        if missing:
            told = ngettext(
                "There is no account %(names)s.",
                "There are no accounts %(names)s.",
                len(missing),
                names=", ".join(one[:80] for one in missing[:5]),
            )
            self.refuse("accounts", told)
        return sorted(found.values())

    def _moment(self, name: str) -> str | None:
        if not self[name].data:
            return None
        try:
            return read_moment(self[name].data).isoformat()
        except NotAMoment:
            self.refuse(name, _("Say the day and the time."))
            return None


@pages.route("/admin/campaigns/new", methods=["GET", "POST"])
@require_role("finance")
def create() -> ResponseReturnValue:
    """The form, then what it would promise and to how many, then it is made."""
    form = CampaignForm(data={"audience": "everyone"})
    if not form.is_submitted():
        return _page(form)
    with unit_of_work() as session:
        arguments = form.read(session)
    if arguments is None:
        return _page(form)

    def refuse(refusal: Refused) -> ResponseReturnValue:
        form.refuse(refusal.field or "code", str(refusal.message))
        return _page(form)

    return acting.handle(
        CREATE, arguments=arguments, reason=form.reason.data or "", back="/admin/campaigns", refuse=refuse
    )


def _page(form: CampaignForm) -> ResponseReturnValue:
    with unit_of_work() as session:
        plans = session.scalars(select(Plan).order_by(Plan.position, Plan.code))
        html = render_template(
            "admin/catalog/campaign_new.html",
            form=form,
            plans=[("", "–"), *((plan.code, f"{plan.name} ({plan.code})") for plan in plans)],
            audiences=list(VALUES["audience"].items()),
            time_zone=current_user.time_zone,
        )
    return html, 422 if form.messages else 200
