"""First credits: promised when somebody signs up, given then or with the confirmed address, once in a life."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary, Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock, ledger
from webapp.extensions import Base
from webapp.people.user import User


def N_(text: str) -> str:
    """Marks a text for translators that is stored in English and translated when it is shown."""
    return text


SIGN_UP_GRANT = N_("Welcome credits")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """`credits` that expire after `days` (None: never), with `confirmed_only` when the address is confirmed."""

    credits: int
    days: int | None
    confirmed_only: bool = False


class FirstCredits(Base):
    """What one person was promised, and when it was given.

    `person` is a hash of the address's key: it stays when the person goes, so that who comes back is known.
    """

    __tablename__ = "first_credits"

    person: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger)
    credits: Mapped[int] = mapped_column(BigInteger)
    expires_days: Mapped[int | None] = mapped_column(Integer)
    promised_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    given_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


def terms_now(session: Session) -> Terms:
    """What who signs up now is promised: the catalog knows, which people know nothing of."""
    ask: Callable[[Session], Terms] = current_app.extensions["sign_up_terms"]
    return ask(session)


def promise(session: Session, *, user: User, terms: Terms) -> None:
    """The person is promised the credits, if nobody with this address was ever given any."""
    if terms.credits <= 0:
        return
    row = insert(FirstCredits).values(
        person=person_of(user.email_key),
        account_id=user.account_id,
        credits=terms.credits,
        expires_days=terms.days,
        promised_at=clock.now(),
    )
    renewed = {name: row.excluded[name] for name in ("account_id", "credits", "expires_days", "promised_at")}
    session.execute(
        row.on_conflict_do_update(index_elements=["person"], set_=renewed, where=FirstCredits.given_at.is_(None))
    )


def give(session: Session, *, user: User) -> int:
    """What the person was promised is in their account; returns how many credits came, 0 the second time.

    They expire so many days from now as were promised. Locks the promise, then the account.
    """
    row = session.scalars(_promised(user).with_for_update().execution_options(populate_existing=True)).one_or_none()
    if row is None:
        return 0
    row.given_at = clock.now()
    ledger.grant(
        session,
        account_id=user.account_id,
        amount=row.credits,
        source="sign-up",
        source_key=f"sign-up:{user.external_id}",
        expires_at=None if row.expires_days is None else row.given_at + timedelta(days=row.expires_days),
        description=SIGN_UP_GRANT,
        actor="sign-up",
    )
    session.flush()
    return row.credits


def waiting(session: Session, *, user: User) -> int:
    """How many credits wait for the person to confirm the address."""
    if user.confirmed_at is not None:
        return 0
    found = session.scalars(_promised(user)).one_or_none()
    return 0 if found is None else found.credits


def person_of(email_key: str) -> bytes:
    """By what the person of an address is known when they are gone."""
    return hashlib.sha256(email_key.encode()).digest()


def _promised(user: User) -> Select[FirstCredits]:
    return select(FirstCredits).where(
        FirstCredits.person == person_of(user.email_key),
        FirstCredits.account_id == user.account_id,
        FirstCredits.given_at.is_(None),
    )
