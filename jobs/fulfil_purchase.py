"""A purchase whose event may have been lost."""

from jobs.attempt import attempt
from webapp.billing.fulfilment import settle_purchase


def fulfil_purchase(row_id: int) -> None:
    """The purchase stands as its payment stands at Stripe."""
    attempt(row_id, settle_purchase)
