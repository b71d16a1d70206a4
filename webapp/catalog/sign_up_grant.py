"""What a new person gets: each change is a row of its own, the newest is in force, and none is ever altered."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Boolean, DateTime, Identity, Integer, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.extensions import Base

MOST_CREDITS = 10**9
MOST_DAYS = 36_500


class BadSignUpGrant(Exception):
    """The figures are out of range; nothing was written."""


class SignUpGrant(Base):
    """From `created_at` on who signs up gets `credits` (0: none), which expire after `expires_days` (None: never).

    With `confirmed_only` they come when the address is confirmed. `actor` is who said so.
    """

    __tablename__ = "sign_up_grants"

    version: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    credits: Mapped[int] = mapped_column(BigInteger)
    expires_days: Mapped[int | None] = mapped_column(Integer)
    confirmed_only: Mapped[bool] = mapped_column(Boolean)
    actor: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def sign_up_grant_now(session: Session) -> SignUpGrant | None:
    """What is in force; None where nobody has said anything yet."""
    return session.scalars(select(SignUpGrant).order_by(SignUpGrant.version.desc()).limit(1)).first()


def change_sign_up_grant(
    session: Session, *, credits: int, expires_days: int | None, confirmed_only: bool, actor: str
) -> SignUpGrant:
    """Who signs up from now on gets that; what was promised before stays. Raises BadSignUpGrant."""
    if not 0 <= credits <= MOST_CREDITS or not (expires_days is None or 0 < expires_days <= MOST_DAYS):
        raise BadSignUpGrant(f"credits must be 0 to {MOST_CREDITS}, days 1 to {MOST_DAYS}")
    made = SignUpGrant(
        credits=credits,
        expires_days=expires_days,
        confirmed_only=confirmed_only,
        actor=actor,
        created_at=clock.now(),
    )
    session.add(made)
    session.flush()
    return made


def list_sign_up_grants(session: Session) -> Sequence[SignUpGrant]:
    """Everything that was ever in force, the newest first."""
    return session.scalars(select(SignUpGrant).order_by(SignUpGrant.version.desc())).all()


def newest_sign_up_grants(session: Session, *, most: int) -> Sequence[SignUpGrant]:
    """The last that were in force, the newest first."""
    return session.scalars(select(SignUpGrant).order_by(SignUpGrant.version.desc()).limit(most)).all()
