"""What Stripe calls a plan on invoices and in its portal: as the catalog does."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import outbox
from webapp.billing.stripe_api import calling, client
from webapp.billing.stripe_price import StripePrice
from webapp.catalog.plan import Plan

NAME_JOB = "name_product"


def put_product_name(session: Session, *, plan: Plan, mode: str) -> None:
    """Stripe will be told the plan's name, where it knows the plan at all; prices it is told when they are needed."""
    if not _product_ids(session, plan=plan.code, mode=mode):
        return
    args = {"plan": plan.code, "mode": mode}
    outbox.put(session, job=NAME_JOB, key=f"product-name:{plan.code}:{plan.version}", args=args)


def name_product(session: Session, *, plan: str, mode: str) -> None:
    """Stripe's product has the name that the plan has now. Repeatable. Raises PaymentsUnavailable."""
    name = session.get_one(Plan, plan).name
    for product_id in _product_ids(session, plan=plan, mode=mode):
        with calling("rename product"):
            client().v1.products.update(product_id, params={"name": name})


def _product_ids(session: Session, *, plan: str, mode: str) -> list[str]:
    ours = (StripePrice.plan == plan, StripePrice.mode == mode)
    return sorted(session.scalars(select(StripePrice.stripe_product_id).where(*ours).distinct()))
