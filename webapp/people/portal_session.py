"""Portal sessions: a product leads its user to the account's pages by a link that works once."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, ColumnElement, DateTime, Identity, LargeBinary, Text, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.people.expired_rows import drop_expired_rows
from webapp.people.sessions import SEEN_EVERY, hash_token, now, storable
from webapp.people.user import User
from webapp.people.visitor import Visitor, host_of

LINK_FOR = timedelta(minutes=5)
UNUSED_FOR = timedelta(hours=2)
AT_MOST_FOR = timedelta(hours=24)
# By what a cookie's token is known to be of a portal session; a person's token has no dot.
PREFIX = "portal."


class PortalSession(Base):
    """One link, and from when it was opened the session that it became.

    Neither the link's token nor the session's is in it, only their SHA-256. The row is deleted when the session ends.
    """

    __tablename__ = "portal_sessions"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger, index=True)
    external_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    locale: Mapped[str | None] = mapped_column(Text)
    page: Mapped[str] = mapped_column(Text)
    return_url: Mapped[str] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(Text)
    link_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    opened_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ip: Mapped[str] = mapped_column(Text, default="")
    user_agent: Mapped[str] = mapped_column(Text, default="")

    @property
    def return_host(self) -> str:
        return host_of(self.return_url)


class LinkUnusable(Exception):
    """The link was opened before, is too old, was revoked, or never was one; nobody is told which."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link that was made: `seed` and the secret key make its token, as often as the caller asks again."""

    seed: str
    expires_at: datetime


def make_link(
    session: Session,
    *,
    account_id: int,
    external_id: str,
    name: str,
    time_zone: str,
    locale: str | None,
    page: str,
    return_url: str,
    made_by: str,
    secret_key: str,
) -> Link:
    """There is a link to the account's pages that works once, for LINK_FOR.

    `locale` is a tag that the site has, or None for the browser's; `page` and `return_url` were checked by the caller.
    """
    moment = now()
    seed = secrets.token_urlsafe(16)
    session.add(
        PortalSession(
            account_id=account_id,
            external_id=external_id,
            name=name,
            time_zone=time_zone,
            locale=locale,
            page=page,
            return_url=return_url,
            made_by=made_by,
            link_hash=hash_token(token_of(seed, secret_key=secret_key)),
            created_at=moment,
            expires_at=moment + LINK_FOR,
        )
    )
    session.flush()
    return Link(seed=seed, expires_at=moment + LINK_FOR)


def token_of(seed: str, *, secret_key: str) -> str:
    """The token in the link's URL: whoever reads the database cannot make it."""
    made = hmac.new(secret_key.encode(), f"portal link {seed}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def find_link(session: Session, *, token: str) -> PortalSession:
    """The link of that token, not opened yet; looking changes nothing. Raises LinkUnusable."""
    row = session.scalars(select(PortalSession).where(*_unopened(token))).one_or_none()
    if row is None:
        raise LinkUnusable
    return row


def open_link(session: Session, *, token: str, ip: str, user_agent: str) -> tuple[PortalSession, str]:
    """The link has become a session; returns it and the session's token, which is stored nowhere.

    Of simultaneous calls one wins. Raises LinkUnusable; nothing was written then.
    """
    moment = now()
    session_token = PREFIX + secrets.token_urlsafe(32)
    opened = (
        update(PortalSession)
        .where(*_unopened(token))
        .values(
            token_hash=hash_token(session_token),
            opened_at=moment,
            last_seen_at=moment,
            expires_at=moment + UNUSED_FOR,
            ip=storable(ip, 64),
            user_agent=storable(user_agent, 300),
        )
        .returning(PortalSession)
        .execution_options(populate_existing=True)
    )
    row = session.scalars(opened).one_or_none()
    if row is None:
        raise LinkUnusable
    return row, session_token


def is_link_of(session: Session, *, token: str, portal_session_id: int) -> bool:
    """Whether that session was begun by this very link: who goes back in the browser's history comes from there."""
    asked = select(PortalSession.id).where(
        PortalSession.id == portal_session_id, PortalSession.link_hash == hash_token(token)
    )
    return session.scalars(asked).one_or_none() is not None


def find_visitor(session: Session, *, token: str) -> tuple[Visitor, bool] | None:
    """Who has the live session of this token, and whether it is time to note that they were here; in one statement."""
    moment = now()
    row = session.execute(
        select(PortalSession, User.email)
        .outerjoin(User, User.account_id == PortalSession.account_id)
        .where(PortalSession.token_hash == hash_token(token), PortalSession.expires_at > moment)
    ).one_or_none()
    if row is None:
        return None
    found, email = row
    visitor = Visitor(
        current_session_id=found.id,
        session_token=token,
        account_id=found.account_id,
        external_id=found.external_id,
        name=found.name or found.external_id,
        email=email,
        locale=found.locale,
        time_zone=found.time_zone,
        return_url=found.return_url,
        confirmed_at=found.created_at,
    )
    return visitor, moment - (found.last_seen_at or found.created_at) >= SEEN_EVERY


def touch(session: Session, *, portal_session_id: int) -> None:
    """The session was used now, and lives on from now, at most AT_MOST_FOR in all."""
    row = session.get(PortalSession, portal_session_id)
    if row is not None and row.opened_at is not None:
        row.last_seen_at = now()
        row.expires_at = min(now() + UNUSED_FOR, row.opened_at + AT_MOST_FOR)
        session.flush()


def change_locale(session: Session, *, portal_session_id: int, locale: str) -> None:
    """The visitor reads in that language from now on; `locale` is one that the site has."""
    session.get_one(PortalSession, portal_session_id).locale = locale


def list_portal_sessions(session: Session, *, account_id: int) -> list[PortalSession]:
    """The account's live ones, the one used last first; a link that nobody has opened yet is none."""
    return list(
        session.scalars(
            select(PortalSession)
            .where(
                PortalSession.account_id == account_id,
                PortalSession.opened_at.is_not(None),
                PortalSession.expires_at > now(),
            )
            .order_by(PortalSession.last_seen_at.desc(), PortalSession.id.desc())
            .limit(100)
        )
    )


def end(session: Session, *, account_id: int, portal_session_id: int) -> bool:
    """That session, or link, of that account is over; False when there was none."""
    ended = (
        delete(PortalSession)
        .where(PortalSession.id == portal_session_id, PortalSession.account_id == account_id)
        .returning(PortalSession.id)
    )
    return bool(session.execute(ended).all())


def end_all(session: Session, *, account_id: int) -> int:
    """All sessions and links of the account are over; returns how many were."""
    ended = delete(PortalSession).where(PortalSession.account_id == account_id).returning(PortalSession.id)
    return len(session.execute(ended).all())


def drop_expired(session: Session, *, limit: int) -> int:
    """Delete one chunk of the sessions and links that have ended by themselves; returns how many."""
    return drop_expired_rows(session, PortalSession, moment=now(), limit=limit)


def _unopened(token: str) -> tuple[ColumnElement[bool], ...]:
    return (
        PortalSession.link_hash == hash_token(token),
        PortalSession.opened_at.is_(None),
        PortalSession.expires_at > now(),
    )
