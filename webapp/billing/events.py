"""Stripe's events: kept as they came, then handled by looking at what they are about."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, DateTime, Text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock, outbox
from webapp.billing.fulfilment import settle_purchase
from webapp.billing.payment import find_session_of
from webapp.billing.purchase import Purchase, find_by_payment_intent, find_by_session
from webapp.billing.stripe_api import UnknownToStripe, calling, client, mode
from webapp.extensions import Base

JOB = "handle_stripe_event"


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


class EventNotFound(Exception):
    """No event of that id was ever received."""


def store_event(session: Session, *, payload: dict[str, Any]) -> None:
    """The event is kept and will be handled, both once, however often it is delivered."""
    event_id: str = payload["id"]
    session.execute(
        insert(StripeEvent)
        .values(
            id=event_id,
            type=payload["type"],
            livemode=payload["livemode"],
            created_at=datetime.fromtimestamp(payload["created"], UTC),
            api_version=payload.get("api_version"),
            payload=payload,
            received_at=clock.now(),
        )
        .on_conflict_do_nothing()
    )
    outbox.put(session, job=JOB, key=_outbox_key(event_id), args={"event_id": event_id})


def handle_event(session: Session, *, event_id: str) -> StripeEvent:
    """What the event is about stands as it stands at Stripe now; the event is handled, ignored or parked.

    Only ids are taken from the event. Repeatable. Raises EventNotFound, PaymentsUnavailable; nothing was written
    then.
    """
    event = session.get(StripeEvent, event_id)
    if event is None:
        raise EventNotFound(event_id)
    purchase = _purchase_of(session, event)
    if purchase is None:
        _close(event, "ignored", None)
        return event
    purchase = settle_purchase(session, purchase_id=purchase.id)
    if purchase.state == "parked":
        _close(event, "parked", f"purchase {purchase.id}: {purchase.reason}")
    else:
        _close(event, "handled", None)
    return event


def replay_event(session: Session, *, event_id: str) -> StripeEvent:
    """Handle an event again, parked or not; one that never reached us is fetched from Stripe first.

    Its outbox row is done with it. Raises EventNotFound when Stripe does not know it either, PaymentsUnavailable;
    nothing was written then.
    """
    if session.get(StripeEvent, event_id) is None:
        store_event(session, payload=_fetch_event(event_id))
    event = handle_event(session, event_id=event_id)
    outbox.finish(session, key=_outbox_key(event_id))
    return event


def park_event(session: Session, *, event_id: str, reason: str) -> None:
    """The event waits for a person: whatever was tried failed too often."""
    event = session.get(StripeEvent, event_id)
    if event is not None:
        _close(event, "parked", reason)


def _outbox_key(event_id: str) -> str:
    return f"stripe-event:{event_id}"


def _fetch_event(event_id: str) -> dict[str, Any]:
    try:
        with calling("retrieve event"):
            return dict(client().v1.events.retrieve(event_id).to_dict())
    except UnknownToStripe:
        raise EventNotFound(event_id) from None


def _close(event: StripeEvent, state: str, reason: str | None) -> None:
    event.state = state
    event.reason = reason
    event.handled_at = clock.now()


def _purchase_of(session: Session, event: StripeEvent) -> Purchase | None:
    """The purchase of this mode that the event is about; None when it is about something else."""
    thing: dict[str, Any] = event.payload["data"]["object"]
    if event.type.startswith("checkout.session."):
        return _of_this_mode(_of_session(session, thing))
    if event.type.startswith(("charge.refund", "refund.")):
        return _of_this_mode(_of_payment_intent(session, thing.get("payment_intent")))
    return None


def _of_session(session: Session, thing: dict[str, Any]) -> Purchase | None:
    session_id = str(thing.get("id"))
    found = find_by_session(session, session_id=session_id)
    return found if found is not None else _adopt(session, session_id, thing)


def _adopt(session: Session, session_id: str, thing: dict[str, Any]) -> Purchase | None:
    """The purchase whose Checkout Session was made although its answer never reached us.

    The session's own words are only a hint: `settle_purchase` compares all of it with the snapshot.
    """
    metadata = thing.get("metadata")
    reference = str(metadata.get("purchase", "")) if isinstance(metadata, dict) else ""
    if not reference.isascii() or not reference.isdecimal() or len(reference) > 18:
        return None
    purchase = session.get(Purchase, int(reference), with_for_update=True, populate_existing=True)
    if purchase is None or purchase.external_id != thing.get("client_reference_id"):
        return None
    if purchase.stripe_session_id is None:
        purchase.stripe_session_id = session_id
        purchase.version += 1
        if purchase.state == "new":
            purchase.state = "open"
    return purchase if purchase.stripe_session_id == session_id else None


def _of_payment_intent(session: Session, payment_intent_id: object) -> Purchase | None:
    if not isinstance(payment_intent_id, str):
        return None
    found = find_by_payment_intent(session, payment_intent_id=payment_intent_id)
    if found is not None:
        return found
    session_id = find_session_of(payment_intent_id)
    return find_by_session(session, session_id=session_id) if session_id else None


def _of_this_mode(purchase: Purchase | None) -> Purchase | None:
    return purchase if purchase is not None and purchase.mode == mode() else None
