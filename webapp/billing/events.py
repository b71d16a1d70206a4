"""Stripe's events: kept as they came, then handled by looking at what they are about."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp import clock, outbox
from webapp.billing import payment_intent_events, plan_reversal_events, purchase_events, subscription_events
from webapp.billing.stripe_api import UnknownToStripe, calling, client
from webapp.billing.stripe_event import Handler, Outcome, StripeEvent

JOB = "handle_stripe_event"

# Who cares about which types, by how they begin. The first who knows the event's object has handled it.
HANDLERS: tuple[tuple[str, Handler], ...] = (
    ("checkout.session.", purchase_events.follow_checkout),
    ("checkout.session.", subscription_events.follow_order),
    ("customer.subscription.", subscription_events.follow_subscription_event),
    ("invoice.", subscription_events.follow_invoice_event),
    ("payment_intent.", payment_intent_events.follow_payment_intent),
    ("charge.refund", purchase_events.follow_refund),
    ("charge.dispute.", purchase_events.follow_dispute),
    ("refund.", purchase_events.follow_refund),
    ("charge.refund", plan_reversal_events.follow_plan_reversal),
    ("charge.dispute.", plan_reversal_events.follow_plan_reversal),
    ("refund.", plan_reversal_events.follow_plan_reversal),
)


# What the webhook endpoint has to be told of: https://docs.stripe.com/api/events/types
EVENT_TYPES = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.finalization_failed",
    "invoice.voided",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)


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
    outcome = _outcome(session, event)
    if outcome is None:
        _close(event, "ignored", None)
    elif outcome.parked is not None:
        _close(event, "parked", outcome.parked)
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
    outbox.finish(session, key=_outbox_key(event_id))  # locked first, as the worker does that may be at it, too
    return handle_event(session, event_id=event_id)


def is_handled(type: str) -> bool:
    """Whether anybody here cares about events of this type."""
    return any(type.startswith(beginning) for beginning, _ in HANDLERS)


def look_at(session: Session, *, type: str, thing: dict[str, Any]) -> Outcome | None:
    """What an event of that type about `thing` would do, without one: for what was found by asking.

    None when nobody here knows it. Raises PaymentsUnavailable; nothing was written then.
    """
    return _outcome(session, StripeEvent(id="", type=type, payload={"data": {"object": thing}}))


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
            return dict(client().v1.events.retrieve(event_id).to_dict(for_json=True))
    except UnknownToStripe:
        raise EventNotFound(event_id) from None


def _close(event: StripeEvent, state: str, reason: str | None) -> None:
    event.state = state
    event.reason = reason
    event.handled_at = clock.now()


def _outcome(session: Session, event: StripeEvent) -> Outcome | None:
    """What became of it; None when nobody here knows what it is about."""
    for beginning, handler in HANDLERS:
        if event.type.startswith(beginning):
            outcome = handler(session, event)
            if outcome is not None:
                return outcome
    return None
