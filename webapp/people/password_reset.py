"""A forgotten password: a link by mail that works once, for an hour.

The request writes the same single outbox row whether or not the address is known, and the link is made when the
mail is sent. So no answer tells who has an account, in words or in time, and no token is ever kept in clear.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    ForeignKey,
    Identity,
    LargeBinary,
    delete,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock, outbox
from webapp.extensions import Base
from webapp.people.email_address import parse_email
from webapp.people.password_change import set_password
from webapp.people.sessions import hash_token
from webapp.people.user import User

VALID_FOR = timedelta(hours=1)
ONE_MAIL_PER = timedelta(minutes=1)


class LinkUnusable(Exception):
    """The reset link is unknown, used, or too old."""


class PasswordReset(Base):
    """A reset link that was mailed; `used_at` also when another one was used in its stead."""

    __tablename__ = "password_resets"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


def request_reset(session: Session, *, email: str) -> None:
    """A mail with a link is on its way, if somebody has this address; at most one a minute. Raises BadEmail."""
    address = parse_email(email)
    minute = int(clock.now().timestamp() // ONE_MAIL_PER.total_seconds())
    digest = hashlib.sha256(address.key.encode()).hexdigest()
    outbox.put(
        session,
        job="send_mail",
        key=f"password-reset:{digest}:{minute}",
        args={"mail": "password_reset", "email_key": address.key},
    )


def issue_token(session: Session, *, user_id: int) -> str:
    """One more link of that person is valid, for an hour; returns its token. Their links of old are gone."""
    moment = clock.now()
    session.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id, PasswordReset.expires_at <= moment))
    token = secrets.token_urlsafe(32)
    session.add(
        PasswordReset(token_hash=hash_token(token), user_id=user_id, created_at=moment, expires_at=moment + VALID_FOR)
    )
    session.flush()
    return token


def is_usable(session: Session, *, token: str) -> bool:
    """Whether the link could be used now; using it is `reset_password`."""
    return session.scalars(select(PasswordReset.id).where(*_usable(token))).one_or_none() is not None


def reset_password(session: Session, *, token: str, password: str) -> User:
    """The link's person has this password, all their links and sessions are dead, their address is confirmed.

    Locks the link, then the user. Raises LinkUnusable, BadPassword; nothing was written then.
    """
    with session.begin_nested():
        user_id = session.execute(
            update(PasswordReset).where(*_usable(token)).values(used_at=clock.now()).returning(PasswordReset.user_id)
        ).scalar_one_or_none()
        if user_id is None:
            raise LinkUnusable
        user = session.get_one(User, user_id, with_for_update=True)
        set_password(session, user=user, password=password)
        user.confirmed_at = user.confirmed_at or clock.now()
        session.execute(
            update(PasswordReset)
            .where(PasswordReset.user_id == user.id, PasswordReset.used_at.is_(None))
            .values(used_at=clock.now())
        )
    return user


def _usable(token: str) -> tuple[ColumnElement[bool], ...]:
    return (
        PasswordReset.token_hash == hash_token(token),
        PasswordReset.used_at.is_(None),
        PasswordReset.expires_at > clock.now(),
    )
