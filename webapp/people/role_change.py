"""Who has a role here: given, changed and taken away. The first one is made by `flask admin create`."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.people import sessions
from webapp.people.email_address import email_key
from webapp.people.user import ROLES, User

MOST_LISTED = 500


class NobodyThere(Exception):
    """Nobody has this address."""


class NotConfirmed(Exception):
    """The address was never confirmed: whoever signed up with it may be anybody."""


class LastOwner(Exception):
    """They are the only owner; nobody could give roles any more."""


def people_with_role(session: Session) -> Sequence[User]:
    """Everybody with a role, owners first, at most MOST_LISTED."""
    found = select(User).where(User.role.is_not(None)).order_by(User.role, User.id).limit(MOST_LISTED)
    return sorted(session.scalars(found), key=lambda user: (ROLES.index(user.role or ""), user.email_key))


def change_role(session: Session, *, email: str, role: str | None) -> tuple[User, str | None]:
    """The person with that address has that role from now on, None for none; returns them and their role before.

    All their sessions are over when it is another one. Locks all owners, so that of two who take each other's role
    away one fails. Raises NobodyThere, NotConfirmed (for a person without a role), LastOwner; nothing was written then.
    """
    assert role is None or role in ROLES
    owners = session.scalars(select(User.id).where(User.role == "owner").order_by(User.id).with_for_update()).all()
    user = session.scalars(
        select(User)
        .where(User.email_key == email_key(email))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if user is None:
        raise NobodyThere
    before = user.role
    if before is None and role is not None and user.confirmed_at is None:
        raise NotConfirmed
    if before == "owner" and role != "owner" and len(owners) == 1:
        raise LastOwner
    if before != role:
        user.role = role
        session.flush()
        sessions.end_all(session, user_id=user.id)
    return user, before
