"""/admin/accounts/<id>/grants/<grant>/take-back: a grant that was given by mistake is revoked, all or part of it."""

from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.account_words.made_of import PLAN_SOURCES
from webapp.account_words.naming import grant_name
from webapp.admin.account_figures import figures_before, figures_of
from webapp.admin.account_form import act_page, credits_field, credits_input, find_account, found, text_input
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.admin.forms import Form, reason_field, text_field
from webapp.admin.refusal_words import refused
from webapp.i18n.formats import credits_number
from webapp.ledger import Grant, LedgerRefusal
from webapp.people.roles import require_role


def can_be_taken_back(grant: Grant) -> bool:
    """Whether the operator alone decides over it: how much is revoked of what was paid for follows the money."""
    return grant.source != "purchase" and grant.source not in PLAN_SOURCES and not grant.cost_minor


def _take_back(session: Session, order: Order, *, account_id: int, grant_id: int, target: int, text: str) -> Done:
    before = figures_before(session, account_id=account_id)
    try:
        grant = ledger.get_grant(session, account_id=account_id, grant_id=grant_id)
        if not can_be_taken_back(grant):
            raise Refused(_l("Somebody paid for it, or a plan gave it: refund the payment, or deduct credits."))
        entry = ledger.revoke(
            session, account_id=account_id, grant_id=grant_id, target=target, actor=order.actor, reason=text
        )
    except LedgerRefusal as refusal:
        raise refused(refusal, field="target") from None
    if entry is None:
        raise Refused(_l("Nothing would change."), field="target")
    return Done(
        subject=f"account:{account_id}",
        account_id=account_id,
        before={"grant": str(grant_id), "revoked": grant.revoked, **before},
        after={"grant": str(grant_id), "revoked": target, **figures_of(session, account_id=account_id)},
        credits=abs(entry.amount),
    )


TAKE_BACK = define(
    Act(
        key="grant.take_back",
        label=_l("Take a grant back"),
        done=_l("The grant is taken back as far as you said."),
        roles=("finance",),
        do=_take_back,
    )
)


class TakeBackForm(Form):
    """How many of its credits in total, what the customer reads, and why."""

    target = credits_field(least=0)
    text = text_field()
    reason = reason_field()


@require_role("finance")
def take_back(account_id: int, grant_id: int) -> ResponseReturnValue:
    """The form, then what it would do, then it is done."""
    account = find_account(account_id)
    grant = found(lambda session: ledger.get_grant(session, account_id=account_id, grant_id=grant_id))
    form = TakeBackForm()
    hint = _(
        "Granted: %(amount)s. Taken back so far: %(revoked)s. A lower number gives some of them back.",
        amount=credits_number(grant.amount),
        revoked=credits_number(grant.revoked),
    )
    return act_page(
        TAKE_BACK,
        account=account,
        form=form,
        inputs=[
            credits_input("target", _l("Taken back in total"), value=grant.amount, hint=hint),
            text_input(hint=_l("Such as: this gift was meant for somebody else.")),
        ],
        arguments=lambda: {"grant_id": grant_id, "target": form.target.data, "text": form.text.data or ""},
        lead=_(
            "“%(grant)s”: what is left of it is taken, and what was spent of it becomes debt.",
            grant=grant_name(grant),
        ),
    )
