"""The name of a plan, told to Stripe."""

from jobs.attempt import attempt
from webapp.billing.product_name import name_product as name


def name_product(row_id: int) -> None:
    """Stripe calls the plan what the catalog calls it now."""
    attempt(row_id, name)
