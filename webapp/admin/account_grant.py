"""/admin/accounts/<id>/grant: credits for one account, with a reason, from somebody who may give them."""

from datetime import timedelta

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.admin.account_figures import figures_before, figures_of
from webapp.admin.account_form import (
    Input,
    act_page,
    credits_field,
    credits_input,
    find_account,
    text_input,
    whole_number_field,
)
from webapp.admin.acts import Act, Done, Order, define
from webapp.admin.forms import Form, reason_field, text_field
from webapp.admin.refusal_words import refused
from webapp.ledger import LedgerRefusal
from webapp.people.roles import require_role

pages = Blueprint("admin_account_grant", __name__)

MOST_DAYS = 36_500


def _grant(session: Session, order: Order, *, account_id: int, credits: int, days: int | None, text: str) -> Done:
    before = figures_before(session, account_id=account_id)
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

    credits = credits_field()
    days = whole_number_field(most=MOST_DAYS, required=False)
    text = text_field()
    reason = reason_field()


@pages.route("/admin/accounts/<number:account_id>/grant", methods=["GET", "POST"])
@require_role("finance", "support")
def grant(account_id: int) -> ResponseReturnValue:
    """The form, then what it would do, then it is done."""
    account = find_account(account_id)
    form = GrantForm()
    days = Input(
        name="days",
        label=_l("Expire after days"),
        kind="number",
        hint=_l("Empty: never."),
        more={"min": 1, "inputmode": "numeric"},
    )
    return act_page(
        GRANT,
        account=account,
        form=form,
        inputs=[
            credits_input("credits", _l("Credits")),
            days,
            text_input(hint=_l("Such as: an apology for yesterday’s outage.")),
        ],
        arguments=lambda: {"credits": form.credits.data, "days": form.days.data, "text": form.text.data or ""},
    )
