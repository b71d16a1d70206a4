"""/admin/campaigns/sign-up: what who signs up is given, and every change that led to it."""

from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session
from wtforms import BooleanField, IntegerField
from wtforms.validators import InputRequired, NumberRange, Optional

from webapp.admin import acting
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.admin.forms import Form, reason_field
from webapp.billing.sign_up_terms import sign_up_terms
from webapp.catalog.sign_up_grant import MOST_CREDITS, MOST_DAYS, change_sign_up_grant, newest_sign_up_grants
from webapp.database import unit_of_work
from webapp.people.roles import require_role

pages = Blueprint("admin_sign_up_grant", __name__)

PATH = "/admin/campaigns/sign-up"
MOST_SHOWN = 50


def _figures(session: Session) -> dict[str, Any]:
    terms = sign_up_terms(session)
    return {"credits": terms.credits, "expiry_days": terms.days, "confirmed_only": terms.confirmed_only}


def _change(session: Session, order: Order, *, credits: int, expires_days: int | None, confirmed_only: bool) -> Done:
    before = _figures(session)
    change_sign_up_grant(
        session, credits=credits, expires_days=expires_days, confirmed_only=confirmed_only, actor=order.actor
    )
    return Done(subject="sign-up", before=before, after=_figures(session), credits=credits)


CHANGE = define(
    Act(
        key="sign-up.change",
        label=_l("Change the sign-up credits"),
        done=_l("Who signs up from now on gets that."),
        roles=("finance",),
        do=_change,
    )
)


class SignUpForm(Form):
    """How many, for how long, from when on, and why."""

    credits = IntegerField(validators=[InputRequired(_l("Say how many.")), NumberRange(0, MOST_CREDITS)])
    expires_days = IntegerField(validators=[Optional(), NumberRange(1, MOST_DAYS)])
    confirmed_only = BooleanField()
    reason = reason_field()


@pages.route(PATH, methods=["GET", "POST"])
@require_role("finance")
def change() -> ResponseReturnValue:
    """What is in force and what was; the form, then what it would change, then it is changed."""
    with unit_of_work() as session:
        terms = sign_up_terms(session)
    now = {"credits": terms.credits, "expires_days": terms.days, "confirmed_only": terms.confirmed_only}
    form = SignUpForm(data=now)

    def page(refusal: Refused | None = None) -> ResponseReturnValue:
        if refusal is not None:
            form.refuse("credits", str(refusal.message))
        with unit_of_work() as session:
            past = newest_sign_up_grants(session, most=MOST_SHOWN)
            html = render_template("admin/catalog/sign_up.html", form=form, terms=terms, past=past)
        return html, 422 if form.errors else 200

    if not form.validate_on_submit():
        return page()
    return acting.handle(
        CHANGE,
        arguments={
            "credits": form.credits.data,
            "expires_days": form.expires_days.data,
            "confirmed_only": form.confirmed_only.data,
        },
        reason=form.reason.data,
        back=PATH,
        refuse=page,
    )
