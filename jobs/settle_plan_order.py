"""The order of a plan whose event may have been lost."""

from jobs.attempt import attempt
from webapp.billing.settling_order import settle_order


def settle_plan_order(row_id: int) -> None:
    """The order stands as its checkout stands at Stripe."""
    attempt(row_id, settle_order)
