"""A subscription whose events may have been lost."""

from jobs.attempt import attempt
from webapp.billing.looking_after import look_at_subscription


def follow_subscription(row_id: int) -> None:
    """The subscription stands as it stands at Stripe."""
    attempt(row_id, look_at_subscription)
