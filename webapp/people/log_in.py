"""Who is it? An address and a password."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.people.email_address import email_key
from webapp.people.passwords import needs_rehash, password_matches, rehash
from webapp.people.user import User


def authenticate(session: Session, *, email: str, password: str) -> User | None:
    """The user of that address when the password is theirs, else None.

    An unknown address takes as long as a known one: a hash is computed either way. A hash made with weaker
    parameters than today's is replaced.
    """
    user = session.scalars(select(User).where(User.email_key == _lookup_key(email))).one_or_none()
    if not password_matches(user.password_hash if user else None, password):
        return None
    assert user is not None
    if needs_rehash(user.password_hash):
        user.password_hash = rehash(password)
    return user


def find_user(session: Session, *, email: str) -> User | None:
    """The user of that address, if any."""
    return session.scalars(select(User).where(User.email_key == _lookup_key(email))).one_or_none()


def _lookup_key(email: str) -> str:
    """A key that is safe to ask PostgreSQL for, whatever was typed."""
    return email_key(email[:1_000].replace("\x00", ""))
