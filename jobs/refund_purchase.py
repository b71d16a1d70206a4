"""A refund that was asked for here."""

from jobs.attempt import attempt
from webapp.billing.refunding import send_refund


def refund_purchase(row_id: int) -> None:
    """The refund is made at Stripe, once; credits follow it."""
    attempt(row_id, send_refund)
