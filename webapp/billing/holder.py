"""Whose account it is that is on a plan, or gets on one."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.people.suspension import is_suspended
from webapp.people.user import User


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The holder of an account; `id` is the user's, None for an account that only the product's backend knows."""

    id: int | None
    account_id: int
    external_id: str
    email: str | None = None
    suspended: bool = False


def holder_of(session: Session, *, account_id: int, external_id: str) -> Holder:
    """Who holds that account."""
    user = session.scalars(select(User).where(User.account_id == account_id)).one_or_none()
    return Holder(
        id=user.id if user else None,
        account_id=account_id,
        external_id=external_id,
        email=user.email if user else None,
        suspended=is_suspended(session, account_id=account_id),
    )
