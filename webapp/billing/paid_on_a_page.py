"""What purchases and orders of plans share: both are paid on a page of Stripe's, a Checkout Session."""

from typing import Any, TypeVar

from sqlalchemy import BigInteger, Text
from sqlalchemy.orm import Mapped, Session, mapped_column


class PaidOnAPage:
    """Has one Checkout Session at the most; `checkout_url` is where to pay. `version` grows with every change."""

    external_id: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, default="new")
    version: Mapped[int] = mapped_column(BigInteger, default=0)
    stripe_session_id: Mapped[str | None] = mapped_column(Text)
    checkout_url: Mapped[str | None] = mapped_column(Text)

    def note_session(self, session_id: str, *, url: str | None = None) -> None:
        """Its Checkout Session is this one, unless it has one already. The row must be locked."""
        if self.stripe_session_id is not None:
            return
        self.stripe_session_id = session_id
        self.checkout_url = url
        self.version += 1
        if self.state == "new":
            self.state = "open"


Paid = TypeVar("Paid", bound=PaidOnAPage)


def adopt(session: Session, kind: type[Paid], *, named: str, session_id: str, thing: dict[str, Any]) -> Paid | None:
    """The one whose Checkout Session was made although its answer never reached us; locked. None when there is none.

    `thing` is the session as an event has it, whose metadata says under `named` which one it is. Its own words are only
    a hint: whoever settles it compares all of it with the snapshot.
    """
    metadata = thing.get("metadata")
    reference = str(metadata.get(named, "")) if isinstance(metadata, dict) else ""
    if not reference.isascii() or not reference.isdecimal() or len(reference) > 18:
        return None
    found = session.get(kind, int(reference), with_for_update=True, populate_existing=True)
    if found is None or found.external_id != thing.get("client_reference_id"):
        return None
    found.note_session(session_id)
    session.flush()
    return found if found.stripe_session_id == session_id else None
