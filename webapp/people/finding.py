"""People found by what one has at hand: an address, or how it begins."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.people.email_address import email_key
from webapp.people.user import User

FEWEST_CHARACTERS = 3
_AFTER_ALL = "\U0010ffff"


def person_by_email(session: Session, *, email: str) -> User | None:
    """The person with that address."""
    return session.scalars(select(User).where(User.email_key == email_key(email))).one_or_none()


def people_by_beginning(session: Session, *, beginning: str, limit: int) -> Sequence[User]:
    """Some of the people whose address begins so, by address; nobody for less than three characters.

    By the index users_email_key_prefix_idx, whose order is that of the bytes: however many begin so, few are read.
    """
    key = email_key(beginning)
    if len(key) < FEWEST_CHARACTERS:
        return []
    begins = (User.email_key.bool_op("~>=~")(key), User.email_key.bool_op("~<~")(key + _AFTER_ALL))
    return sorted(session.scalars(select(User).where(*begins).limit(limit)), key=lambda user: user.email_key)
