"""Months and years, in several currencies, over HTTP, with the real SDK against the sandbox."""

import re
from typing import Any

import pytest
from sqlalchemy import text

from tests.billing.plan_shop import (
    PlanShop,
    buyer,
    change,
    customer_of,
    outcome,
    plan_grants,
    shop,
    start,
)
from tests.billing.plans import YEARLY_STUDIO, assert_ledger_sound, offer
from tests.billing.shop import Buyer
from webapp.billing.entitlement import EntitlementPayment
from webapp.billing.pricing import compare_offers
from webapp.database import unit_of_work

__all__ = ["buyer", "shop"]  # the fixtures of a shop whose clock can be moved


def on_plan_in(shop: PlanShop, buyer: Buyer, plan: str, currency: str) -> None:
    session_id = start(buyer, plan, currency=currency)
    shop.press(session_id, "pay")
    assert outcome(buyer, session_id) == "success"


def price_of(shop: PlanShop, plan: str, currency: str) -> int:
    query = text("SELECT price_minor FROM plan_prices WHERE plan = :plan AND currency = :currency")
    return int(shop.read(lambda s: s.execute(query, {"plan": plan, "currency": currency}).scalar_one()))


def previewed(buyer: Buyer, plan: str) -> dict[str, str]:
    page = buyer.browser.get(f"/plan/change/{plan}")
    assert page.status_code == 200
    found = re.search(r'id="change" data-way="(\w+)" data-credits-now="(\d+)" data-due-minor="(\d+)"', page.text)
    assert found
    return dict(zip(("way", "credits", "due"), found.groups(), strict=True))


def paid(shop: PlanShop, buyer: Buyer) -> list[tuple[str, int]]:
    """Currency and amount of each of the buyer's payments, oldest first."""
    found = shop.stripe.v1.invoices.list({"customer": customer_of(shop, buyer), "limit": 100}).data
    return [(one.currency, one.amount_paid) for one in found[::-1]]


@pytest.mark.parametrize("currency", ["USD", "JPY"])
def test_from_a_month_to_a_year_costs_and_gives_what_the_preview_said(
    shop: PlanShop, buyer: Buyer, currency: str
) -> None:
    on_plan_in(shop, buyer, "pro", currency)
    shop.pass_days(10)
    said = previewed(buyer, "pro-yearly")
    month, year = price_of(shop, "pro", currency), price_of(shop, "pro-yearly", currency)
    assert said["way"] == "now"
    assert year - month < int(said["due"]) < year  # what is left of the month is given back
    assert 300 < int(said["credits"]) < 350  # the new month, less what is left of the old one
    assert change(buyer, "pro-yearly").headers["Location"] == "/plan"
    assert paid(shop, buyer)[0] == (currency.lower(), month)
    code, amount = paid(shop, buyer)[1]
    assert code == currency.lower()
    assert abs(amount - int(said["due"])) <= 1
    shop.hear()
    first, second = plan_grants(shop, buyer)
    assert first == ("subscription", 1000, 1000, month)
    assert abs(second[1] - int(said["credits"])) <= 1
    subscription = shop.subscription(buyer)
    assert (subscription.plan, subscription.currency, subscription.price_minor) == ("pro-yearly", currency, year)
    for _ in range(3):
        shop.pass_days(31)
    assert [grant[1] for grant in plan_grants(shop, buyer) if grant[0] == "subscription"][2:] == [1000] * 3
    assert len(paid(shop, buyer)) == 2, "a year is paid once, and paid out by the month"
    assert _shares(shop, buyer) == amount
    assert_ledger_sound(shop.app)


def _shares(shop: PlanShop, buyer: Buyer) -> int:
    """What the twelve months of the buyer's year cost together."""
    stretch = shop.member(buyer).stretches()[-1]
    payment: EntitlementPayment = shop.read(lambda s: s.get_one(EntitlementPayment, (stretch.id, 0)))
    assert payment.periods == 12
    return sum(payment.share(number) for number in range(12))


def test_from_a_year_to_months_waits_for_its_end_and_costs_nothing_now(shop: PlanShop, buyer: Buyer) -> None:
    on_plan_in(shop, buyer, "pro-yearly", "USD")
    said = previewed(buyer, "pro")
    assert said == {"way": "period_end", "credits": "0", "due": "0"}
    ends_at = shop.subscription(buyer).period_ends_at
    change(buyer, "pro")
    subscription = shop.subscription(buyer)
    assert (subscription.plan, subscription.pending_plan) == ("pro-yearly", "pro")
    assert (subscription.cancel_at_period_end, subscription.period_ends_at) == (True, ends_at)
    shop.pass_days(62)
    assert len(shop.member(buyer).periods()) == 3
    buyer.browser.post("/plan/keep", {}, form="/plan")
    subscription = shop.subscription(buyer)
    assert (subscription.pending_plan, subscription.cancel_at_period_end) == (None, False)
    assert subscription.price_minor == price_of(shop, "pro-yearly", "USD")


def test_from_a_year_to_a_bigger_one_prorates_the_month_and_pays_out_more_from_then_on(
    shop: PlanShop, buyer: Buyer
) -> None:
    with shop.app.app_context(), unit_of_work() as session:
        offer(session, YEARLY_STUDIO)
    on_plan_in(shop, buyer, "pro-yearly", "EUR")
    shop.pass_days(45)
    said = previewed(buyer, "studio-yearly")
    assert said["way"] == "now"
    assert 1900 < int(said["credits"]) < 2600  # about half a month of 4,000 more
    assert change(buyer, "studio-yearly").headers["Location"] == "/plan"
    shop.hear()
    grants = [grant for grant in plan_grants(shop, buyer) if grant[0] == "subscription"]
    assert [grant[1] for grant in grants[:2]] == [1000, 1000]
    assert abs(grants[2][1] - int(said["credits"])) <= 1
    shop.pass_days(31)
    grants = [grant for grant in plan_grants(shop, buyer) if grant[0] == "subscription"]
    assert grants[-1][1] == 5000
    money = sum(amount for _currency, amount in paid(shop, buyer))
    for _ in range(10):
        shop.pass_days(31)
    months = [row for row in shop.member(buyer).periods() if row.credits]
    assert len(months) == 13  # twelve, and the rest of the one in which it changed
    assert abs(sum(row.cost_minor for row in months) - money) <= 2
    assert_ledger_sound(shop.app)


def test_a_plan_is_changed_in_the_currency_that_it_is_paid_in(shop: PlanShop, buyer: Buyer) -> None:
    on_plan_in(shop, buyer, "pro", "USD")
    page = buyer.browser.get("/plan").text
    assert 'data-option="pro-yearly"' in page
    assert "$" in page
    assert "€" not in page
    assert 'data-option="studio"' not in page, "it has a price in euros only"
    answer = buyer.browser.get("/plan/change/studio")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/plan")


def test_a_year_is_on_offer_where_the_months_have_no_price(shop: PlanShop) -> None:
    with shop.app.app_context(), unit_of_work() as session:
        both = {one.plan.code: one.yearly for one in compare_offers(session, currency="GBP").plans}
        assert both["pro"] is not None
        assert "pro-yearly" not in both
        session.execute(text("DELETE FROM plan_prices WHERE plan = 'pro' AND currency = 'GBP'"))
        session.expire_all()
        alone: dict[str, Any] = {one.plan.code: one.yearly for one in compare_offers(session, currency="GBP").plans}
        assert "pro" not in alone
        assert alone["pro-yearly"] is None
        session.rollback()
