"""Seeing an account's pages as its holder does: somebody with a role, for half an hour, and reading only."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Text, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import ledger
from webapp.extensions import Base
from webapp.people.expired_rows import drop_expired_rows
from webapp.people.leaving import HasRole
from webapp.people.sessions import SessionRow, now, storable
from webapp.people.user import User
from webapp.people.visitor import SeenAccount

LASTS = timedelta(minutes=30)
# Under this name the cookie says that the browser's session sees an account; worth nothing without its row.
MARK = "seeing"


class SeenAs(Base):
    """That session sees that account's pages until `expires_at`. A trigger notes the end in the audit log."""

    __tablename__ = "seen_as"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    session_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("sessions.id", ondelete="CASCADE"), unique=True)
    user_id: Mapped[int] = mapped_column(BigInteger)
    who: Mapped[str] = mapped_column(Text)
    ip: Mapped[str] = mapped_column(Text)
    account_id: Mapped[int] = mapped_column(BigInteger)
    external_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    locale: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    began_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def begin(session: Session, *, account_id: int, by: User, session_id: int, ip: str, reason: str) -> SeenAs:
    """That session of `by` sees the account's pages from now on, for LASTS, and no other account's any more.

    Locks the session's row: of two clicks at once the later one counts. Raises HasRole where the account's person has a
    role, ledger.AccountNotFound; nothing was written then.
    """
    account = ledger.get_account(session, account_id=account_id)
    person = session.scalars(select(User).where(User.account_id == account_id)).one_or_none()
    if person is not None and person.role is not None:
        raise HasRole
    session.execute(select(SessionRow.id).where(SessionRow.id == session_id).with_for_update())
    end(session, session_id=session_id)
    moment = now()
    row = SeenAs(
        session_id=session_id,
        user_id=by.id,
        who=by.email,
        ip=storable(ip, 64),
        account_id=account_id,
        external_id=account.external_id,
        name=(person.name or person.email) if person is not None else account.name or account.external_id,
        time_zone=person.time_zone if person is not None else account.time_zone,
        locale=person.locale if person is not None else None,
        reason=reason,
        began_at=moment,
        expires_at=moment + LASTS,
    )
    session.add(row)
    session.flush()
    return row


def find(session: Session, *, session_id: int) -> SeenAccount | None:
    """The account that this session sees now; none whose person has come to have a role. One statement."""
    row = session.execute(
        select(SeenAs, User.email)
        .outerjoin(User, User.account_id == SeenAs.account_id)
        .where(SeenAs.session_id == session_id, SeenAs.expires_at > now(), User.role.is_(None))
    ).one_or_none()
    if row is None:
        return None
    found, email = row
    return SeenAccount(
        current_session_id=found.session_id,
        session_token="",
        account_id=found.account_id,
        external_id=found.external_id,
        name=found.name,
        email=email,
        locale=found.locale,
        time_zone=found.time_zone,
        return_url=f"/admin/accounts/{found.account_id}",
        confirmed_at=found.began_at,
        seen_by=found.who,
        seen_until=found.expires_at,
    )


def end(session: Session, *, session_id: int) -> bool:
    """This session sees nobody's pages any more; False when it did not."""
    ended = delete(SeenAs).where(SeenAs.session_id == session_id).returning(SeenAs.id)
    return bool(session.execute(ended).all())


def change_locale(session: Session, *, session_id: int, locale: str) -> None:
    """The pages are seen in that language from now on; `locale` is one that the site has."""
    row = session.scalars(select(SeenAs).where(SeenAs.session_id == session_id)).one_or_none()
    if row is not None:
        row.locale = locale


def drop_expired(session: Session, *, limit: int) -> int:
    """One chunk of what has ended by itself is gone; returns how much."""
    return drop_expired_rows(session, SeenAs, moment=now(), limit=limit)
