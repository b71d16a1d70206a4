"""Sessions are rows: a cookie is worth what its row is worth, and log-out deletes the row."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Identity,
    LargeBinary,
    Text,
    delete,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.people.expired_rows import drop_expired_rows
from webapp.people.user import User

STAY_FOR = timedelta(days=30)
BROWSER_SESSION_FOR = timedelta(hours=24)
SEEN_EVERY = timedelta(minutes=1)


class SessionRow(Base):
    """One browser in which a person is signed in until `expires_at`, which each use moves on."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    stay: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    last_seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    password_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ip: Mapped[str] = mapped_column(Text)
    user_agent: Mapped[str] = mapped_column(Text)


@dataclass(frozen=True)
class Seen:
    """Who a token belongs to, and whether it is time to note that they were here."""

    user: User
    session_id: int
    stay: bool
    due: bool


def now() -> datetime:
    """The real time, not the ledger's: moving the sandbox's clock by a month must log nobody out."""
    return datetime.now(UTC)


def hash_token(token: str) -> bytes:
    """What is stored of a token: whoever reads the database cannot sign in with it."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def start(session: Session, *, user_id: int, stay: bool, ip: str, user_agent: str) -> str:
    """The person has one more session; returns its token, which is stored nowhere. Their expired ones are gone."""
    moment = now()
    session.execute(delete(SessionRow).where(SessionRow.user_id == user_id, SessionRow.expires_at <= moment))
    token = secrets.token_urlsafe(32)
    session.add(
        SessionRow(
            token_hash=hash_token(token),
            user_id=user_id,
            stay=stay,
            created_at=moment,
            last_seen_at=moment,
            expires_at=moment + lifetime(stay=stay),
            password_at=moment,
            ip=storable(ip, 64),
            user_agent=storable(user_agent, 300),
        )
    )
    session.flush()
    return token


_COLUMNS = User.__table__.columns.keys()
# Each page asks it: as an object of the ORM the person costs as much as the rest of a small page's statements.
_FIND = text(
    f"SELECT s.id, s.stay, s.last_seen_at, {', '.join(f'u.{name}' for name in _COLUMNS)} FROM users u"  # noqa: S608
    " JOIN sessions s ON s.user_id = u.id WHERE s.token_hash = :token_hash AND s.expires_at > :moment"
)


def find(session: Session, *, token: str) -> Seen | None:
    """The person whose live session has this token, in one statement; None for any other token.

    The User belongs to no Session.
    """
    moment = now()
    row = session.execute(_FIND, {"token_hash": hash_token(token), "moment": moment}).one_or_none()
    if row is None:
        return None
    session_id, stay, last_seen_at, *values = row
    user = User()
    user.__dict__.update(zip(_COLUMNS, values, strict=True))  # as loaded: set one by one they were changes, each noted
    return Seen(user=user, session_id=session_id, stay=stay, due=moment - last_seen_at >= SEEN_EVERY)


def touch(session: Session, *, session_id: int, stay: bool) -> None:
    """The session was used now, and lives on from now."""
    moment = now()
    session.execute(
        update(SessionRow)
        .where(SessionRow.id == session_id)
        .values(last_seen_at=moment, expires_at=moment + lifetime(stay=stay))
    )


def stays(session: Session, *, session_id: int) -> bool:
    """Whether that session outlives the browser."""
    return bool(session.scalars(select(SessionRow.stay).where(SessionRow.id == session_id)).one_or_none())


def list_sessions(session: Session, *, user_id: int) -> list[SessionRow]:
    """The person's live sessions, the one used last first."""
    return list(
        session.scalars(
            select(SessionRow)
            .where(SessionRow.user_id == user_id, SessionRow.expires_at > now())
            .order_by(SessionRow.last_seen_at.desc(), SessionRow.id.desc())
            .limit(100)
        )
    )


def end(session: Session, *, user_id: int, session_id: int) -> bool:
    """That session of that person is over; False when there was none."""
    ended = session.execute(
        delete(SessionRow).where(SessionRow.id == session_id, SessionRow.user_id == user_id).returning(SessionRow.id)
    ).all()
    return bool(ended)


def end_all(session: Session, *, user_id: int, except_id: int | None = None) -> int:
    """All sessions of the person are over, except that one; returns how many were."""
    doomed = delete(SessionRow).where(SessionRow.user_id == user_id)
    if except_id is not None:
        doomed = doomed.where(SessionRow.id != except_id)
    return len(session.execute(doomed.returning(SessionRow.id)).all())


def drop_expired(session: Session, *, limit: int) -> int:
    """Delete one chunk of the sessions that have ended by themselves; returns how many."""
    return drop_expired_rows(session, SessionRow, moment=now(), limit=limit)


def lifetime(*, stay: bool) -> timedelta:
    """How long a session lives without being used."""
    return STAY_FOR if stay else BROWSER_SESSION_FOR


def storable(text: str, most: int) -> str:
    """What a stranger sent, cut, and without what PostgreSQL or a terminal would choke on."""
    return "".join(character if character.isprintable() else " " for character in text)[:most]
