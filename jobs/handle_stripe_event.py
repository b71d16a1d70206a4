"""One of Stripe's events."""

from jobs.attempt import attempt
from webapp.billing.events import handle_event, park_event


def handle_stripe_event(row_id: int) -> None:
    """What the event is about stands as it stands at Stripe; after the last failure the event is parked too."""
    attempt(row_id, handle_event, give_up=park_event)
