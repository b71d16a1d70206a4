"""The figures of an account that acts show before and after."""

from sqlalchemy.orm import Session

from webapp import ledger
from webapp.admin.audit import Figures


def figures_of(session: Session, *, account_id: int) -> Figures:
    """What the account has now, as the words of `figure_words` name it. Raises AccountNotFound."""
    now = ledger.balance(session, account_id=account_id)
    return {"available": now.available, "balance": now.balance, "held": now.held, "debt": now.debt}


def figures_before(session: Session, *, account_id: int) -> Figures:
    """The same, and nobody else writes to the account until the commit. Locks it. Raises AccountNotFound."""
    ledger.lock_accounts(session, account_ids=[account_id])
    return figures_of(session, account_id=account_id)
