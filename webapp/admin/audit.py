"""The audit log: who did what, from where, why, and what was before and after. Nobody edits it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from flask import request
from flask_login import current_user
from sqlalchemy import BigInteger, DateTime, Identity, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.extensions import Base

# What a figure of before and after may be: credits are whole numbers, money is {"minor": 900, "currency": "EUR"},
# a moment {"at": "2026-11-21T20:00:00Z"}.
Figure: TypeAlias = int | str | bool | dict[str, Any] | list[Any] | None
Figures: TypeAlias = Mapping[str, Figure]


class AuditLine(Base):
    """One row of `audit_log`. `subject` names what it was about: account:12, package:starter, purchase:7."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    who: Mapped[str] = mapped_column(Text)
    ip: Mapped[str] = mapped_column(Text)
    act: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    account_id: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text)
    before: Mapped[dict[str, Any]] = mapped_column(JSONB)
    after: Mapped[dict[str, Any]] = mapped_column(JSONB)
    credits: Mapped[int] = mapped_column(BigInteger)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    submission: Mapped[UUID | None] = mapped_column(Uuid)
    approval_id: Mapped[int | None] = mapped_column(BigInteger)


@dataclass(frozen=True, kw_only=True)
class Doer:
    """Who does something, and from where. `actor` is how the ledger names them."""

    user_id: int | None
    who: str
    actor: str
    role: str
    ip: str


def doer() -> Doer:
    """The signed-in person, who has a role, at the address of this request."""
    return Doer(
        user_id=current_user.id,
        who=current_user.email,
        actor=f"admin:{current_user.external_id}",
        role=current_user.role or "",
        ip=request.remote_addr or "",
    )


def record(
    session: Session,
    *,
    by: Doer,
    act: str,
    subject: str,
    account_id: int | None = None,
    reason: str = "",
    before: Figures | None = None,
    after: Figures | None = None,
    credits: int = 0,
    price_minor: int = 0,
    currency: str = "",
    submission: UUID | None = None,
    approval_id: int | None = None,
) -> AuditLine:
    """The log has one more line, committed with what it tells of or not at all."""
    line = AuditLine(
        at=clock.now(),
        user_id=by.user_id,
        who=by.who,
        ip=by.ip,
        act=act,
        subject=subject,
        account_id=account_id,
        reason=reason,
        before=dict(before or {}),
        after=dict(after or {}),
        credits=credits,
        price_minor=price_minor,
        currency=currency,
        submission=submission,
        approval_id=approval_id,
    )
    session.add(line)
    session.flush()
    return line
