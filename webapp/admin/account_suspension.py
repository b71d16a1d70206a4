"""/admin/accounts/<id>/suspend and /resume: nothing is bought or spent, until it is again."""

from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from webapp import outbox
from webapp.admin.account_form import ReasonForm, act_page, find_account
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.people.roles import require_role
from webapp.people.suspension import find_suspension, resume, suspend
from webapp.usage.retrying import retry_resumed


def _suspend(session: Session, order: Order, *, account_id: int) -> Done:
    if find_suspension(session, account_id=account_id) is not None:
        raise Refused(_l("It is suspended already."))
    suspend(session, account_id=account_id, reason=order.reason, actor=order.actor)
    return _turned(account_id, suspended=True)


def _resume(session: Session, order: Order, *, account_id: int) -> Done:
    if not resume(session, account_id=account_id, actor=order.actor):
        raise Refused(_l("It is not suspended."))
    if retry_resumed(session, account_id=account_id):
        outbox.hint(session, job="charge_usage")
    return _turned(account_id, suspended=False)


def _turned(account_id: int, *, suspended: bool) -> Done:
    return Done(
        subject=f"account:{account_id}",
        account_id=account_id,
        before={"suspended": not suspended},
        after={"suspended": suspended},
    )


SUSPEND = define(
    Act(
        key="account.suspend",
        label=_l("Suspend the account"),
        done=_l("The account is suspended."),
        roles=("finance",),
        do=_suspend,
    )
)
RESUME = define(
    Act(
        key="account.resume",
        label=_l("Lift the suspension"),
        done=_l("The account can buy and spend again."),
        roles=("finance",),
        do=_resume,
    )
)


@require_role("finance")
def suspend_account(account_id: int) -> ResponseReturnValue:
    """The form, then what it would do, then it is done."""
    return act_page(
        SUSPEND,
        account=find_account(account_id),
        form=ReasonForm(),
        arguments=dict,
        lead=_l("Nothing is bought for it and none of its credits are spent, until the suspension is lifted."),
        reason_hint=_l("For the audit log, and for your own programs: the API tells them. No page shows it."),
    )


@require_role("finance")
def resume_account(account_id: int) -> ResponseReturnValue:
    """The form, then what it would do, then it is done."""
    return act_page(
        RESUME,
        account=find_account(account_id),
        form=ReasonForm(),
        arguments=dict,
        lead=_l("It can buy and spend again, and is charged for the usage that has waited."),
    )
