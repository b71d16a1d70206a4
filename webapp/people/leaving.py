"""Leaving: the person is forgotten and their account closed for good; what was booked stays booked, without a name."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.people import portal_session
from webapp.people.password_change import WrongPassword
from webapp.people.passwords import password_matches
from webapp.people.suspension import is_suspended, suspend
from webapp.people.user import User

CLOSED = "closed: its holder has left"


class HasRole(Exception):
    """The person runs this place; somebody else has to take their role away first."""


def check_may_leave(session: Session, *, user_id: int, password: str) -> User:
    """The person, locked, who knows the password and has no role. Raises WrongPassword, HasRole."""
    user = session.get_one(User, user_id, with_for_update=True)
    if not password_matches(user.password_hash, password):
        raise WrongPassword
    if user.role is not None:
        raise HasRole
    return user


def forget_person(session: Session, *, user: User) -> None:
    """Nobody logs in as this person again: address, name, password, sessions and links are gone.

    The account keeps its entries and what it had, and loses its name and metadata. It is suspended, so nobody spends
    from it. The hash of the address by which first credits are known stays. Locks the account.
    """
    if not is_suspended(session, account_id=user.account_id):
        suspend(session, account_id=user.account_id, reason=CLOSED, actor=user.actor)
    ledger.open_account(session, external_id=user.external_id, name="", time_zone="UTC", metadata={})
    portal_session.end_all(session, account_id=user.account_id)
    session.execute(delete(User).where(User.id == user.id))
    session.expunge(user)
