"""Usage events: each is a spend that was accepted and is charged by a job, or says why it cannot be."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, LargeBinary, SmallInteger, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base

PENDING, CHARGED, PARKED, REJECTED = STATES = ("pending", "charged", "parked", "rejected")

# An account's events lie in one lane, and one worker at a time charges a lane: that keeps them in order.
LANES = 64


class UsageEvent(Base):
    """The event at `position` of its `batch`; `id` is the order of arrival.

    pending: a job will charge it. charged: entry `seq` of the account stands for it (`replayed`: it was there before).
    parked: it could not be paid, and is tried again when the account has changed (at version `tried_version` it had
    not), or it failed for a reason that a person must see. rejected: for good. `refusal` says why. `since` is when it
    came into its state. What was refused on arrival has no account. Times are when the row was written, in UTC.
    """

    __tablename__ = "usage_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    batch: Mapped[UUID] = mapped_column(Uuid)
    position: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[str] = mapped_column(Text)
    lane: Mapped[int | None] = mapped_column(SmallInteger)
    account_id: Mapped[int | None] = mapped_column(BigInteger)
    amount: Mapped[int | None] = mapped_column(BigInteger)
    idempotency_key: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    actor: Mapped[str | None] = mapped_column(Text)
    feature: Mapped[str | None] = mapped_column(Text)
    quantity: Mapped[int | None] = mapped_column(BigInteger)
    partial: Mapped[bool | None]
    description: Mapped[str | None] = mapped_column(Text)
    reference: Mapped[str | None] = mapped_column(Text)
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSONB)
    pricing: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    occurred_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    seq: Mapped[int | None] = mapped_column(BigInteger)
    replayed: Mapped[bool | None]
    refusal: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    tried_version: Mapped[int | None] = mapped_column(BigInteger)
    accepted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
