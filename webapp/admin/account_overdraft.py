"""/admin/accounts/<id>/overdraft: how far an account may go below zero."""

from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.admin.account_form import act_page, credits_field, credits_input, find_account
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.admin.forms import Form, reason_field
from webapp.admin.refusal_words import refused
from webapp.ledger import LedgerRefusal
from webapp.people.roles import require_role


def _set_overdraft(session: Session, order: Order, *, account_id: int, limit: int) -> Done:
    ledger.lock_accounts(session, account_ids=[account_id])
    account = ledger.get_account(session, account_id=account_id)
    if limit == account.overdraft_limit:
        raise Refused(_l("It is this already."), field="limit")
    debt = ledger.balance(session, account_id=account_id).debt
    try:
        ledger.open_account(session, external_id=account.external_id, overdraft_limit=limit)
    except LedgerRefusal as refusal:
        raise refused(refusal, field="limit") from None
    ledger.note_changes(session, [account_id])
    return Done(
        subject=f"account:{account_id}",
        account_id=account_id,
        before={"overdraft_limit": account.overdraft_limit, "debt": debt},
        after={"overdraft_limit": limit, "debt": debt},
        credits=max(0, limit - account.overdraft_limit),
    )


SET_OVERDRAFT = define(
    Act(
        key="account.overdraft",
        label=_l("Set the overdraft limit"),
        done=_l("The overdraft limit is set."),
        roles=("finance",),
        do=_set_overdraft,
    )
)


class OverdraftForm(Form):
    """How many credits, and why."""

    limit = credits_field(least=0)
    reason = reason_field()


@require_role("finance")
def set_overdraft(account_id: int) -> ResponseReturnValue:
    """The form, then what it would do, then it is done."""
    account = find_account(account_id)
    form = OverdraftForm()
    return act_page(
        SET_OVERDRAFT,
        account=account,
        form=form,
        inputs=[credits_input("limit", _l("Overdraft limit"), value=account.overdraft_limit, hint=_l("In credits."))],
        arguments=lambda: {"limit": form.limit.data},
        lead=_l("So far may spends take the account below zero. The next credits that arrive pay the debt first."),
    )
