"""/admin/accounts/<id>/deduct: credits are taken away, in burn order, as a spend of no feature."""

from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session
from wtforms import BooleanField

from webapp import ledger
from webapp.admin.account_figures import figures_before, figures_of
from webapp.admin.account_form import Input, act_page, credits_field, credits_input, find_account, text_input
from webapp.admin.acts import Act, Done, Order, define
from webapp.admin.forms import Form, reason_field, text_field
from webapp.admin.refusal_words import only_so_many, refused
from webapp.ledger import LedgerRefusal
from webapp.people.roles import require_role


def _deduct(session: Session, order: Order, *, account_id: int, credits: int, into_debt: bool, text: str) -> Done:
    before = figures_before(session, account_id=account_id)
    available = ledger.balance(session, account_id=account_id).available
    try:
        entry = ledger.spend(
            session,
            account_id=account_id,
            amount=credits,
            idempotency_key=order.key,
            actor=order.actor,
            description=text,
        ).entry
    except LedgerRefusal as refusal:
        raise refused(refusal, field="credits") from None
    owed = credits + sum(entry.drawn_amounts)
    if owed and not into_debt:
        raise only_so_many(available, field="credits")
    return Done(
        subject=f"account:{account_id}",
        account_id=account_id,
        before=before,
        after=figures_of(session, account_id=account_id),
        credits=credits,
    )


DEDUCT = define(
    Act(
        key="account.deduct",
        label=_l("Deduct credits"),
        done=_l("The credits are deducted."),
        roles=("finance",),
        do=_deduct,
    )
)


class DeductForm(Form):
    """How many, whether the overdraft may pay, what the customer reads, and why."""

    credits = credits_field()
    text = text_field(required=_l("Say what the customer reads in the history."))
    into_debt = BooleanField()
    reason = reason_field()


@require_role("finance")
def deduct(account_id: int) -> ResponseReturnValue:
    """The form, then what it would do, then it is done."""
    account = find_account(account_id)
    form = DeductForm()
    inputs = [
        credits_input("credits", _l("Credits")),
        text_input(hint=_l("Such as: correction of a double grant."), required=True),
    ]
    if account.overdraft_limit:
        inputs.append(Input(name="into_debt", label=_l("The overdraft may pay, too"), kind="checkbox"))
    return act_page(
        DEDUCT,
        account=account,
        form=form,
        inputs=inputs,
        arguments=lambda: {
            "credits": form.credits.data,
            "into_debt": form.into_debt.data,
            "text": form.text.data,
        },
        lead=_l("They leave in the order in which they would be spent. What is reserved or frozen stays."),
    )
