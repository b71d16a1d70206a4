"""An event of Stripe's as it came, and what a handler makes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, DateTime, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base


class StripeEvent(Base):
    """One event. `state`: received, handled, ignored (not for us) or parked (a person has to look)."""

    __tablename__ = "stripe_events"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    type: Mapped[str] = mapped_column(Text)
    livemode: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    api_version: Mapped[str | None] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    state: Mapped[str] = mapped_column(Text, default="received")
    reason: Mapped[str | None] = mapped_column(Text)
    handled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    @property
    def thing(self) -> dict[str, Any]:
        """The object that the event is about, as it was then: a hint where to look, never to be believed."""
        thing: dict[str, Any] = self.payload["data"]["object"]
        return thing


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An event was about something of ours: handled, or parked for a person with the `parked` reason."""

    parked: str | None = None


# Makes what the event is about stand as it stands at Stripe now; None when it is about nothing that it knows.
Handler = Callable[[Session, StripeEvent], Outcome | None]
