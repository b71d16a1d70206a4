"""What plans were granted is compared with what Stripe calls paid, in both directions."""

from datetime import timedelta

import psycopg
import pytest

from tests.billing.plan_shop import PlanShop, buyer, on_plan, plan_grants, shop
from tests.billing.shop import Buyer
from webapp import clock
from webapp.billing.reconcile import Line, reconcile
from webapp.billing.subscription import SubscriptionInvoice

__all__ = ["buyer", "shop"]  # the fixtures of a shop whose clock can be moved


def lines(shop: PlanShop) -> list[Line]:
    with shop.app.app_context():
        return list(reconcile(since=clock.now() - timedelta(days=1), closely=True))


def at_stripe(shop: PlanShop, name: str, field: str, value: str) -> None:
    with psycopg.connect(shop.app.config["SETTINGS"].database_owner_url) as owner:
        owner.execute(
            "UPDATE stripe_sandbox.objects SET data = jsonb_set(data, ARRAY[%s], to_jsonb(%s::text)) WHERE id = %s",
            [field, value, name],
        )


@pytest.mark.parametrize("plan", ["pro", "pro-yearly", "lifetime"])
def test_what_is_paid_and_granted_needs_nobody(shop: PlanShop, buyer: Buyer, plan: str) -> None:
    on_plan(shop, buyer, plan)
    assert [line for line in lines(shop) if line.outcome == "parked"] == []


def test_an_invoice_that_was_granted_and_is_not_paid_is_told_to_a_person(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    invoice = shop.read(lambda session: session.query(SubscriptionInvoice).one().stripe_invoice_id)
    at_stripe(shop, invoice, "status", "void")
    (line,) = [line for line in lines(shop) if line.outcome == "parked"]
    assert line.what == f"{invoice}: its credits are granted, and Stripe does not call it paid"
    assert plan_grants(shop, buyer) == [("subscription", 1000, 1000, 1200)]


def test_a_plan_for_life_that_was_granted_and_is_not_paid_is_told_to_a_person(shop: PlanShop, buyer: Buyer) -> None:
    session_id = on_plan(shop, buyer, "lifetime")
    at_stripe(shop, session_id, "payment_status", "unpaid")
    told = [line.what for line in lines(shop) if line.outcome == "parked"]
    assert told == [f"{session_id}: its credits are granted, and Stripe does not call it paid"]
