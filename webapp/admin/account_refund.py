"""/admin/accounts/<id>/entries/<seq>/refund: credits of a spend go back to the grants that they came from."""

from flask import abort
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.account_words.naming import entry_title
from webapp.admin.account_figures import figures_before, figures_of
from webapp.admin.account_form import act_page, credits_field, credits_input, find_account, found, text_input
from webapp.admin.acts import Act, Done, Order, define
from webapp.admin.forms import Form, reason_field, text_field
from webapp.admin.refusal_words import refused
from webapp.i18n.formats import credits_number
from webapp.ledger import LedgerRefusal
from webapp.people.roles import require_role


def _refund(session: Session, order: Order, *, account_id: int, seq: int, credits: int | None, text: str) -> Done:
    before = figures_before(session, account_id=account_id)
    try:
        entry = ledger.refund_spend(
            session,
            account_id=account_id,
            seq=seq,
            amount=credits,
            idempotency_key=order.key,
            actor=order.actor,
            reason=text,
        ).entry
    except LedgerRefusal as refusal:
        raise refused(refusal, field="credits") from None
    return Done(
        subject=f"account:{account_id}",
        account_id=account_id,
        before={"entry": str(seq), **before},
        after={"entry": str(seq), **figures_of(session, account_id=account_id)},
        credits=entry.amount,
    )


REFUND_SPEND = define(
    Act(
        key="spend.refund",
        label=_l("Refund a spend"),
        done=_l("The credits are back where they came from."),
        roles=("finance", "support"),
        do=_refund,
        gives_credits=True,
    )
)


class RefundForm(Form):
    """How many, what the customer reads, and why."""

    credits = credits_field(required=False)
    text = text_field()
    reason = reason_field()


@require_role("finance", "support")
def refund_spend(account_id: int, seq: int) -> ResponseReturnValue:
    """The form, then what it would do, then it is done. Only spends have it."""
    account = find_account(account_id)
    entry = found(lambda session: ledger.entry(session, account_id=account_id, seq=seq))
    if entry.kind != "spend":
        abort(404)
    title = found(lambda session: entry_title(session, entry))
    form = RefundForm()
    return act_page(
        REFUND_SPEND,
        account=account,
        form=form,
        inputs=[
            credits_input("credits", _l("Credits"), hint=_l("Empty: all that is left of it."), required=False),
            text_input(hint=_l("Such as: the picture could not be made.")),
        ],
        arguments=lambda: {"seq": seq, "credits": form.credits.data, "text": form.text.data or ""},
        lead=ngettext(
            "%(what)s: %(number)s credit was charged.",
            "%(what)s: %(number)s credits were charged.",
            -entry.amount,
            what=title,
            number=credits_number(-entry.amount),
        ),
        back=f"/admin/accounts/{account_id}/entries/{seq}",
    )
