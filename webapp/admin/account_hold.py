"""/admin/accounts/<id>/holds/<number>/void: reserved credits are free again, and nothing is charged."""

from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.account_words.naming import hold_name
from webapp.admin.account_figures import figures_before, figures_of
from webapp.admin.account_form import ReasonForm, act_page, find_account, found
from webapp.admin.acts import Act, Done, Order, define
from webapp.admin.refusal_words import refused
from webapp.ledger import LedgerRefusal
from webapp.people.roles import require_role


def _void(session: Session, order: Order, *, account_id: int, number: int) -> Done:
    before = figures_before(session, account_id=account_id)
    try:
        hold = ledger.void_hold(
            session, account_id=account_id, number=number, actor=order.actor, idempotency_key=order.key
        ).hold
    except LedgerRefusal as refusal:
        raise refused(refusal) from None
    which = {"hold": f"{number}"}
    return Done(
        subject=f"account:{account_id}",
        account_id=account_id,
        before={**which, **before},
        after={**which, **figures_of(session, account_id=account_id)},
        credits=hold.amount,
    )


VOID = define(
    Act(
        key="hold.void",
        label=_l("Void a hold"),
        done=_l("The hold is void; its credits are free again."),
        roles=("finance", "support"),
        do=_void,
    )
)


@require_role("finance", "support")
def void_hold(account_id: int, number: int) -> ResponseReturnValue:
    """The form, then what it would do, then it is done."""
    account = find_account(account_id)
    hold = found(lambda session: ledger.get_hold(session, account_id=account_id, number=number))
    lead = found(lambda session: hold_name(session, hold))
    return act_page(VOID, account=account, form=ReasonForm(), arguments=lambda: {"number": number}, lead=lead)
