"""Refunds and disputes of what plans were paid with: their credits follow the money, too."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from tests.billing.plan_shop import PlanShop, buyer, on_plan, plan_grants, shop, start
from tests.billing.plans import assert_ledger_sound
from tests.billing.shop import Buyer, at_once
from webapp.billing.dispute import Dispute
from webapp.billing.plan_reversals import PlanReversal
from webapp.billing.proof import violations
from webapp.clock import now
from webapp.database import unit_of_work

__all__ = ["buyer", "shop"]  # the fixtures of a shop whose clock can be moved


def charge_of(shop: PlanShop, buyer: Buyer) -> tuple[str, str]:
    """The buyer's newest charge, and its payment intent."""
    customer = shop.member(buyer).customer_id
    charge = shop.stripe.v1.charges.list(params={"customer": customer, "limit": 1}).data[0]
    return charge.id, str(charge.payment_intent)


def hear_reversals(shop: PlanShop) -> set[str]:
    """Everything that Stripe says about money that went back is delivered and handled; what became of it."""
    events = [event for event in shop.every_event() if _goes_back(event)]
    shop.hear(events)
    return {shop.event(event["id"]).state for event in events}


def _goes_back(event: dict[str, Any]) -> bool:
    return bool(event["type"].startswith(("charge.refund", "refund.", "charge.dispute.")))


def control(shop: PlanShop, path: str, **sent: Any) -> None:
    import requests

    answer = requests.post(f"{shop.sandbox_url}/_sandbox/{path}", json=sent, timeout=10)
    assert answer.ok, answer.text


def test_a_refund_of_an_invoice_takes_its_share_of_the_period(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    charge, _ = charge_of(shop, buyer)
    control(shop, f"charges/{charge}/refund", amount=360)
    assert hear_reversals(shop) == {"handled"}
    assert plan_grants(shop, buyer) == [("subscription", 1000, 700, 1200)]
    control(shop, f"charges/{charge}/refund")
    hear_reversals(shop)
    assert plan_grants(shop, buyer) == [("subscription", 1000, 0, 1200)]
    assert "Refund of 70%" in buyer.browser.get("/credits/history").text.replace("\xa0", " ")
    assert_ledger_sound(shop.app)


def test_taxes_of_a_plan_for_life_are_part_of_what_is_refunded_and_not_of_what_credits_cost(
    shop: PlanShop, fresh_database: Any, make_app: Callable[..., Flask]
) -> None:
    taxed = PlanShop(
        app=make_app(fresh_database, STRIPE_API_BASE=shop.sandbox_url, STRIPE_TAX="1"), sandbox_url=shop.sandbox_url
    )
    control(taxed, "settings", tax_percent=19)
    buyer = taxed.new_buyer()
    on_plan(taxed, buyer, "lifetime")
    paid = 24_900 + 4_731
    first_month = 24_900 // 36
    assert plan_grants(taxed, buyer) == [("plan", 300, 300, first_month)]
    charge, _ = charge_of(taxed, buyer)
    control(taxed, f"charges/{charge}/refund", amount=paid * 3 // 10)
    assert hear_reversals(taxed) == {"handled"}
    assert plan_grants(taxed, buyer) == [("plan", 300, 210, first_month)]
    control(taxed, f"charges/{charge}/refund")
    assert hear_reversals(taxed) == {"handled"}
    assert plan_grants(taxed, buyer) == [("plan", 300, 0, first_month)]
    assert_ledger_sound(taxed.app)


@pytest.mark.parametrize(("deed", "left"), [("win", 1000), ("lose", 0)])
def test_a_dispute_of_an_invoice_freezes_its_period_until_it_is_decided(
    shop: PlanShop, buyer: Buyer, deed: str, left: int
) -> None:
    on_plan(shop, buyer)
    before = shop.member(buyer).available()
    charge, intent = charge_of(shop, buyer)
    control(shop, f"charges/{charge}/dispute")
    hear_reversals(shop)
    assert shop.member(buyer).available() == before - 1000
    disputes = shop.read(
        lambda session: list(session.scalars(select(Dispute).where(Dispute.stripe_payment_intent_id == intent)))
    )
    assert [(each.state, each.purchase_id, each.amount_minor) for each in disputes] == [("open", None, 1200)]
    control(shop, f"disputes/{disputes[0].stripe_dispute_id}/{deed}")
    hear_reversals(shop)
    assert plan_grants(shop, buyer) == [("subscription", 1000, left, 1200)]
    assert shop.member(buyer).available() == before - 1000 + left
    told = "dispute decided for the seller on" in buyer.browser.get("/credits/history").text
    assert told is (deed == "win")
    assert_ledger_sound(shop.app)


def test_news_of_a_refund_before_news_of_the_payment_finds_the_plan(shop: PlanShop, buyer: Buyer) -> None:
    shop.press(start(buyer), "pay")
    control(shop, f"charges/{charge_of(shop, buyer)[0]}/refund")
    assert "handled" in hear_reversals(shop)
    assert plan_grants(shop, buyer) == [("subscription", 1000, 0, 1200)]


def test_each_month_of_a_year_that_was_refunded_loses_its_share_when_it_comes(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer, "pro-yearly")
    charge, intent = charge_of(shop, buyer)
    paid = shop.stripe.v1.charges.retrieve(charge).amount
    control(shop, f"charges/{charge}/refund", amount=paid // 2)
    hear_reversals(shop)
    (first,) = plan_grants(shop, buyer)
    assert first[2] == first[1] // 2
    shop.pass_days(32)
    from tests.billing.plans import grant_now

    grant_now(shop.app)
    monthly = [grant for grant in plan_grants(shop, buyer) if grant[0] == "subscription"]
    assert [grant[2] for grant in monthly][-1] == first[1] // 2
    row = shop.read(lambda session: session.get_one(PlanReversal, intent))
    assert (row.refunded_minor, row.price_minor) == (paid // 2, paid)


@pytest.mark.parametrize("plan", ["pro", "pro-yearly", "lifetime"])
def test_money_for_a_plan_that_went_back_without_its_credits_is_found(shop: PlanShop, buyer: Buyer, plan: str) -> None:
    on_plan(shop, buyer, plan)
    control(shop, f"charges/{charge_of(shop, buyer)[0]}/refund")
    hear_reversals(shop)
    with shop.app.app_context(), unit_of_work() as session:
        assert violations(session, undone_since=now()) == []
    with psycopg.connect(shop.app.config["SETTINGS"].database_owner_url) as owner:
        owner.execute("UPDATE plan_reversals SET refunded_minor = 1")
    with shop.app.app_context(), unit_of_work() as session:
        found = [each.detail for each in violations(session, undone_since=now())]
    assert any("went back, and grant" in detail for detail in found), found


def test_a_plan_for_life_that_is_refunded_loses_its_credits(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer, "lifetime")
    control(shop, f"charges/{charge_of(shop, buyer)[0]}/refund")
    assert hear_reversals(shop) == {"handled"}
    assert [grant[2] for grant in plan_grants(shop, buyer)] == [0]
    assert_ledger_sound(shop.app)


def test_reversals_of_a_plan_may_be_told_in_any_order_twice_and_at_once(shop: PlanShop) -> None:
    chance = random.Random(5)
    for _ in range(4):
        buyer = shop.new_buyer()
        known = {event["id"] for event in shop.every_event()}
        shop.press(start(buyer), "pay")
        charge, _ = charge_of(shop, buyer)
        control(shop, f"charges/{charge}/refund", amount=360)
        control(shop, f"charges/{charge}/dispute")
        (dispute,) = shop.stripe.v1.disputes.list(params={"charge": charge}).data
        control(shop, f"disputes/{dispute.id}/lose")
        events = [event for event in shop.every_event() if event["id"] not in known] * 2
        chance.shuffle(events)
        for event in events:
            shop.deliver(event)
        at_once([partial(shop.work, event["id"]) for event in events[:6]])
        for event in events:
            shop.work(event["id"])
        assert plan_grants(shop, buyer) == [("subscription", 1000, 0, 1200)]
    assert_ledger_sound(shop.app)
