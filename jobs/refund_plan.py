"""A refund of what a plan was paid with that was asked for here."""

from jobs.attempt import attempt
from webapp.billing.plan_refunding import send_plan_refund


def refund_plan(row_id: int) -> None:
    """The refund is made at Stripe, once; credits follow it."""
    attempt(row_id, send_plan_refund)
