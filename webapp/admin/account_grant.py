"""/admin/accounts/<id>/grant: credits for one account, with a reason, from somebody who may give them."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session
from wtforms import IntegerField
from wtforms.validators import InputRequired, NumberRange, Optional

from webapp import clock, ledger
from webapp.admin import acting
from webapp.admin.account_figures import figures_of
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.admin.forms import Form, reason_field, text_field
from webapp.admin.refusal_words import refused
from webapp.database import unit_of_work
from webapp.ledger import AccountNotFound, LedgerRefusal
from webapp.people.roles import require_role

pages = Blueprint("admin_account_grant", __name__)

MOST_CREDITS = 10**12
MOST_DAYS = 36_500


def _grant(session: Session, order: Order, *, account_id: int, credits: int, days: int | None, text: str) -> Done:
    before = figures_of(session, account_id=account_id)
    try:
        ledger.grant(
            session,
            account_id=account_id,
            amount=credits,
            source="admin",
            actor=order.actor,
            idempotency_key=order.key,
            expires_at=clock.now() + timedelta(days=days) if days else None,
            description=text,
            metadata={"reason": order.reason},
        )
    except LedgerRefusal as refusal:
        raise refused(refusal) from None
    return Done(
        subject=f"account:{account_id}",
        account_id=account_id,
        before=before,
        after=figures_of(session, account_id=account_id),
        credits=credits,
    )


GRANT = define(
    Act(
        key="account.grant",
        label=_l("Grant credits"),
        done=_l("The credits are granted."),
        roles=("finance", "support"),
        do=_grant,
        gives_credits=True,
    )
)


class GrantForm(Form):
    """How many, until when, what the customer reads, and why."""

    credits = IntegerField(validators=[InputRequired(_l("Say how many.")), NumberRange(1, MOST_CREDITS)])
    days = IntegerField(validators=[Optional(), NumberRange(1, MOST_DAYS)])
    text = text_field()
    reason = reason_field()


@pages.route("/admin/accounts/<number:account_id>/grant", methods=["GET", "POST"])
@require_role("finance", "support")
def grant(account_id: int) -> ResponseReturnValue:
    """The form, then what it would do, then it is done."""
    with unit_of_work() as session:
        try:
            account = ledger.get_account(session, account_id=account_id)
        except AccountNotFound:
            abort(404)
    form = GrantForm()

    def page(**more: Any) -> ResponseReturnValue:
        html = render_template("admin/accounts/grant.html", form=form, account=account, **more)
        return html, 422 if form.errors or more else 200

    def refuse(refusal: Refused) -> ResponseReturnValue:
        return page(refusal=str(refusal.message))

    if not form.validate_on_submit():
        return page()
    return acting.handle(
        GRANT,
        arguments={
            "account_id": account_id,
            "credits": form.credits.data,
            "days": form.days.data,
            "text": form.text.data or "",
        },
        reason=form.reason.data,
        back=f"/admin/accounts/{account_id}",
        refuse=refuse,
    )
