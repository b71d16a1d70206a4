"""Acts that wait for a second person."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy import BigInteger, DateTime, Identity, Text, Uuid, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.admin.audit import Doer
from webapp.extensions import Base
from webapp.i18n.formats import credits_number

NOTHING_TO_DECIDE = _l("There is nothing to decide here.")
DECIDED = _l("Somebody has decided this already.")
BEGIN_ANEW = _l("This form was used before for something else. Begin anew.")


class Approval(Base):
    """One row of `approvals`: an act somebody asked for, and what came of it."""

    __tablename__ = "approvals"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    act: Mapped[str] = mapped_column(Text)
    arguments: Mapped[dict[str, Any]] = mapped_column(JSONB)
    reason: Mapped[str] = mapped_column(Text)
    submission: Mapped[UUID] = mapped_column(Uuid)
    subject: Mapped[str] = mapped_column(Text)
    account_id: Mapped[int | None] = mapped_column(BigInteger)
    credits: Mapped[int] = mapped_column(BigInteger)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[int] = mapped_column(BigInteger)
    asked_by_who: Mapped[str] = mapped_column(Text)
    asked_by_actor: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    decided_by: Mapped[int | None] = mapped_column(BigInteger)
    decided_by_who: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    decision: Mapped[str | None] = mapped_column(Text)


class CannotDecide(Exception):
    """Not by this person, or not any more; the message says so in the reader's language. Nothing was written."""

    def __init__(self, message: object) -> None:
        self.message = message
        super().__init__(str(message))


class _Weight(Protocol):
    @property
    def subject(self) -> str: ...
    @property
    def account_id(self) -> int | None: ...
    @property
    def credits(self) -> int: ...
    @property
    def price_minor(self) -> int: ...
    @property
    def currency(self) -> str: ...


def ask(
    session: Session, *, act: str, arguments: dict[str, Any], reason: str, by: Doer, done: _Weight, submission: UUID
) -> Approval:
    """It waits for a second person; nothing else has happened."""
    assert by.user_id is not None
    asked = Approval(
        act=act,
        arguments=arguments,
        reason=reason,
        submission=submission,
        subject=done.subject,
        account_id=done.account_id,
        credits=done.credits,
        price_minor=done.price_minor,
        currency=done.currency,
        asked_by=by.user_id,
        asked_by_who=by.who,
        asked_by_actor=by.actor,
        asked_at=clock.now(),
    )
    session.add(asked)
    session.flush()
    return asked


def decide(
    session: Session, *, approval_id: int, by: Doer, decision: str, open_to: Callable[[str, str], bool]
) -> Approval:
    """It is decided, once, by somebody who may do the act and, for a yes, did not ask. Locks it.

    Raises CannotDecide.
    """
    asked = session.scalars(select(Approval).where(Approval.id == approval_id).with_for_update()).one_or_none()
    if asked is None or not open_to(asked.act, by.role):
        raise CannotDecide(NOTHING_TO_DECIDE)
    if asked.decision is not None:
        raise CannotDecide(DECIDED)
    if decision == "approved" and asked.asked_by == by.user_id:
        raise CannotDecide(_l("You asked for this; somebody else has to agree."))
    asked.decision, asked.decided_by, asked.decided_by_who, asked.decided_at = (
        decision,
        by.user_id,
        by.who,
        clock.now(),
    )
    session.flush()
    return asked


def count_waiting(session: Session, *, acts: Collection[str], most: int) -> int:
    """How many of those acts wait for somebody, up to `most`."""
    waiting = select(Approval.id).where(Approval.decision.is_(None), Approval.act.in_(acts)).limit(most).subquery()
    return session.scalar(select(func.count()).select_from(waiting)) or 0


def list_waiting(session: Session, *, acts: Collection[str], most: int) -> Sequence[Approval]:
    """Those of these acts that wait for somebody, the one that waits longest first."""
    waiting = select(Approval).where(Approval.decision.is_(None), Approval.act.in_(acts))
    return session.scalars(waiting.order_by(Approval.id).limit(most)).all()


def too_much(left: int) -> str:
    """What people of support are told who would give more than they may."""
    said: str = ngettext(
        "You can give %(number)s more credit today. Ask somebody of finance.",
        "You can give %(number)s more credits today. Ask somebody of finance.",
        left,
        number=credits_number(left),
    )
    return said
