"""What Stripe knows of a plan follows the catalog: a changed price is a new one there, a renamed plan is renamed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from jobs.name_product import name_product
from tests.billing.shop import Shop
from webapp.billing.product_name import put_product_name
from webapp.billing.stripe_price import ensure_price
from webapp.catalog.offers import PlanTerms, change_offer, create_offer, lock_offer
from webapp.catalog.plan import Plan
from webapp.database import unit_of_work

TERMS = PlanTerms(
    name="Team",
    description="",
    credits_per_month=10,
    expiry="period",
    expiry_days=None,
    rollover_cap=0,
    trial_days=0,
    trial_credits=0,
    grant_priority=0,
    features=None,
)


@pytest.fixture
def plan(shop: Shop) -> Iterator[str]:
    """The code of a plan for 20 euros a month."""
    with shop.app.app_context():
        with unit_of_work() as session:
            create_offer(
                session, Plan, code="renamed", terms=TERMS, prices={"EUR": 2000}, active=False, billed="monthly"
            )
        yield "renamed"


def price_now(code: str) -> str:
    with unit_of_work() as session:
        plan = session.get_one(Plan, code, populate_existing=True)
        price_minor = plan.price_minor("EUR")
        assert price_minor is not None
        return ensure_price(session, plan=plan, price_minor=price_minor, currency="EUR", mode="sandbox")


def change(code: str, *, name: str = "Team", price_minor: int = 2000) -> None:
    with unit_of_work() as session:
        offer = lock_offer(session, Plan, code=code)
        assert change_offer(session, Plan, offer=offer, terms=replace(TERMS, name=name), prices={"EUR": price_minor})
        put_product_name(session, plan=offer, mode="sandbox")


def test_a_changed_price_is_another_one_at_stripe_and_a_renamed_plan_is_renamed_there(shop: Shop, plan: str) -> None:
    old = price_now(plan)
    change(plan, name="Crew", price_minor=2500)
    new = price_now(plan)
    assert new != old
    assert price_now(plan) == new
    there = {one: shop.stripe.v1.prices.retrieve(one) for one in (old, new)}
    assert [there[one].unit_amount for one in (old, new)] == [2000, 2500]
    assert there[old].active  # who began with it goes on paying it, and may come back to it
    product = str(there[new].product)
    assert product == str(there[old].product)
    assert shop.stripe.v1.products.retrieve(product).name == "Team"
    for _attempt in range(2):
        name_product(shop.outbox_row(f"product-name:{plan}:2").id)
    assert shop.stripe.v1.products.retrieve(product).name == "Crew"
    change(plan, name="Crew", price_minor=2000)
    assert price_now(plan) == old
