"""Which of Stripe's events were about something, by the ids that it has there."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Text, cast, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.orm import Session, aliased

from webapp.billing.stripe_event import StripeEvent

OBJECT_ID = literal_column("stripe_events.payload #>> '{data,object,id}'", Text)
# What an event's object is called by, and what it says that it belongs to: letter by letter as stripe_events_ids_idx
# has it, or PostgreSQL would not use that.
_NAMES = ("id", "customer", "payment_intent", "charge", "latest_charge", "subscription", "invoice")
_IDS: ColumnElement[Sequence[str]] = literal_column(
    "ARRAY[" + ", ".join(f"left(stripe_events.payload #>> '{{data,object,{name}}}', 255)" for name in _NAMES) + "]",
    ARRAY(Text),
)


def is_about(ids: Collection[str]) -> ColumnElement[bool]:
    """The event is of an object that is, or belongs to, one of these."""
    return _IDS.op("&&", is_comparison=True)(cast(array(list(ids)), ARRAY(Text)))


def events_about(session: Session, *, ids: Collection[str], limit: int) -> Sequence[StripeEvent]:
    """The newest events of objects that are, or belong to, one of these."""
    if not ids:
        return []
    # OFFSET 0: else the planner goes through all events from the newest on, expecting to meet some of these soon.
    found = aliased(StripeEvent, select(StripeEvent).where(is_about(ids)).offset(0).subquery())
    return session.scalars(select(found).order_by(found.received_at.desc(), found.id.desc()).limit(limit)).all()


def charge_among(events: Sequence[StripeEvent]) -> str | None:
    """The charge that a payment's events tell of; None where none of them does."""
    for event in events:
        thing = event.thing
        named = thing.get("id") if thing.get("object") == "charge" else thing.get("latest_charge", thing.get("charge"))
        if isinstance(named, str) and named.startswith(("ch_", "py_")):
            return named
    return None
