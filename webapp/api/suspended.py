"""What is refused to suspended accounts: spending, which costs no statement to find out, and buying."""

from collections.abc import Callable
from typing import TypeVar

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.problems import Problem
from webapp.people.suspension import is_suspended, not_suspended, why_suspended

Answer = TypeVar("Answer")


def unless_suspended(
    session: Session,
    *,
    account_id: int,
    write: Callable[[ledger.Condition | None], Answer],
    was_done: Callable[[], bool] = lambda: False,
    relied_on: ledger.Condition | None = None,
) -> Answer:
    """What `write` returns, which must write on the condition that it is given.

    What `was_done` before under the same key is answered again all the same: it spends nothing. Raises
    AccountSuspended, and ConditionFailed when `relied_on` is what does not hold; nothing was written then.
    """
    try:
        return write(ledger.all_of(relied_on, not_suspended(account_id)))
    except ledger.ConditionFailed:
        if is_suspended(session, account_id=account_id) and not was_done():
            raise why_suspended(session, account_id=account_id) from None
        return write(relied_on)


def nothing_sold(session: Session, *, account_id: int) -> Problem:
    """The refusal to sell something to the account, which is suspended."""
    detail = _("This account is suspended, so nothing can be bought for it at the moment.")
    return Problem(403, "account_suspended", detail, reason=why_suspended(session, account_id=account_id).reason)
