"""/admin/accounts/<id>/grants/<grant>/freeze and /unfreeze: what is left of a grant pays for nothing, until it may."""

from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.account_words.naming import grant_name
from webapp.admin.account_figures import figures_before, figures_of
from webapp.admin.account_form import ReasonForm, act_page, find_account, found
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.admin.audit import Figures
from webapp.admin.refusal_words import refused
from webapp.ledger import LedgerRefusal
from webapp.people.roles import require_role

# All freezes of admins are one to the ledger; a dispute's has a name of its own, and each has to be lifted.
REFERENCE = "admin"


def _freeze(session: Session, order: Order, *, account_id: int, grant_id: int) -> Done:
    before = _figures_before(session, account_id=account_id, grant_id=grant_id)
    try:
        new = ledger.freeze(
            session,
            account_id=account_id,
            grant_id=grant_id,
            reference=REFERENCE,
            actor=order.actor,
            reason="operator",
        )
    except LedgerRefusal as refusal:
        raise refused(refusal) from None
    if not new:
        raise Refused(_l("An admin has frozen it already."))
    return _done(session, account_id=account_id, grant_id=grant_id, before=before)


def _unfreeze(session: Session, order: Order, *, account_id: int, grant_id: int) -> Done:
    before = _figures_before(session, account_id=account_id, grant_id=grant_id)
    try:
        was = ledger.unfreeze(session, account_id=account_id, grant_id=grant_id, reference=REFERENCE, actor=order.actor)
    except LedgerRefusal as refusal:
        raise refused(refusal) from None
    if not was:
        raise Refused(_l("No admin has frozen it. What a dispute has frozen stays so until the bank has decided."))
    return _done(session, account_id=account_id, grant_id=grant_id, before=before)


def _figures_before(session: Session, *, account_id: int, grant_id: int) -> Figures:
    figures = figures_before(session, account_id=account_id)
    return {**_of_grant(session, account_id=account_id, grant_id=grant_id), **figures}


def _of_grant(session: Session, *, account_id: int, grant_id: int) -> Figures:
    try:
        grant = ledger.get_grant(session, account_id=account_id, grant_id=grant_id)
    except LedgerRefusal as refusal:
        raise refused(refusal) from None
    return {"grant": str(grant_id), "frozen": grant.frozen}


def _done(session: Session, *, account_id: int, grant_id: int, before: Figures) -> Done:
    grant = _of_grant(session, account_id=account_id, grant_id=grant_id)
    return Done(
        subject=f"account:{account_id}",
        account_id=account_id,
        before=before,
        after={**grant, **figures_of(session, account_id=account_id)},
    )


FREEZE = define(
    Act(
        key="grant.freeze",
        label=_l("Freeze a grant"),
        done=_l("The grant is frozen."),
        roles=("finance",),
        do=_freeze,
    )
)
UNFREEZE = define(
    Act(
        key="grant.unfreeze",
        label=_l("Unfreeze a grant"),
        done=_l("The freeze is lifted."),
        roles=("finance",),
        do=_unfreeze,
    )
)


@require_role("finance")
def freeze_grant(account_id: int, grant_id: int) -> ResponseReturnValue:
    """The form, then what it would do, then it is done."""
    return _page(FREEZE, account_id=account_id, grant_id=grant_id)


@require_role("finance")
def unfreeze_grant(account_id: int, grant_id: int) -> ResponseReturnValue:
    """The form, then what it would do, then it is done."""
    return _page(UNFREEZE, account_id=account_id, grant_id=grant_id)


def _page(act: Act, *, account_id: int, grant_id: int) -> ResponseReturnValue:
    account = find_account(account_id)
    grant = found(lambda session: ledger.get_grant(session, account_id=account_id, grant_id=grant_id))
    return act_page(
        act, account=account, form=ReasonForm(), arguments=lambda: {"grant_id": grant_id}, lead=grant_name(grant)
    )
