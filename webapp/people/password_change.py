"""A new password, by somebody who knows the old one."""

from sqlalchemy.orm import Session

from webapp import clock, outbox
from webapp.people import portal_session, sessions
from webapp.people.passwords import hash_password, password_matches
from webapp.people.user import User


class WrongPassword(Exception):
    """The present password is another."""


def change_password(session: Session, *, user_id: int, current: str, new: str) -> User:
    """`new` is the password, no session of the person is left, and a mail tells them.

    Locks the user. Raises WrongPassword, BadPassword; nothing was written then.
    """
    user = session.get_one(User, user_id, with_for_update=True)
    if not password_matches(user.password_hash, current):
        raise WrongPassword
    set_password(session, user=user, password=new)
    return user


def set_password(session: Session, *, user: User, password: str) -> None:
    """The user has this password, no session is left, and a mail tells them. Raises BadPassword."""
    user.password_hash = hash_password(password, email=user.email)
    user.password_changed_at = clock.now()
    session.flush()
    sessions.end_all(session, user_id=user.id)
    portal_session.end_all(session, account_id=user.account_id)
    outbox.put(
        session,
        job="send_mail",
        key=f"password-changed:{user.id}:{user.password_changed_at.isoformat()}",
        args={"mail": "password_changed", "user_id": user.id},
    )
