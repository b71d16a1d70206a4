"""Stripe learns that somebody has left: nothing is charged any more, and who they were is forgotten there."""

from jobs.attempt import attempt
from webapp.billing.leaving_stripe import leave_stripe as leave


def leave_stripe(row_id: int) -> None:
    """Subscriptions are cancelled, pay pages closed, and the customer deleted."""
    attempt(row_id, leave)
