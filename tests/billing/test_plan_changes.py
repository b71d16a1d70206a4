"""From one plan to another, over HTTP, with the real SDK against the sandbox."""

import re

from sqlalchemy import select, text

from jobs.begin_successor import begin_successor
from tests.billing.plan_shop import PlanShop, buyer, change, customer_of, on_plan, plan_grants, shop
from tests.billing.plans import assert_ledger_sound
from tests.billing.shop import Buyer
from tests.billing.test_reversal_pages import text_of
from webapp.database import unit_of_work
from webapp.outbox import OutboxRow

__all__ = ["buyer", "shop"]  # the fixtures of a shop whose clock can be moved


def test_an_upgrade_shows_what_it_does_and_does_that(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    shop.pass_days(15)
    page = buyer.browser.get("/plan/change/studio").text
    credits = int(re.search(r'data-credits-now="(\d+)"', page)[1])  # type: ignore[index]
    due = int(re.search(r'data-due-minor="(\d+)"', page)[1])  # type: ignore[index]
    assert 1900 < credits < 2100
    assert 1800 < due < 2000
    assert change(buyer, "studio").headers["Location"] == "/plan"
    grants = plan_grants(shop, buyer)
    assert grants[0] == ("subscription", 1000, 1000, 1200)
    assert abs(grants[1][1] - credits) <= 1
    assert abs(grants[1][3] - due) <= 1
    shop.hear()
    assert plan_grants(shop, buyer) == grants
    assert 'data-plan="studio"' in buyer.browser.get("/plan").text
    shop.pass_days(16.5)
    shop.hear()
    assert [grant[1] for grant in plan_grants(shop, buyer)][-1] == 5000
    assert_ledger_sound(shop.app)


def test_an_upgrade_that_the_bank_refuses_changes_nothing(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    customer = customer_of(shop, buyer)
    broken = shop.stripe.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    stripe_id = shop.subscription(buyer).stripe_subscription_id
    shop.stripe.v1.subscriptions.update(stripe_id, {"default_payment_method": broken.id})
    answer = change(buyer, "studio")
    assert answer.status_code == 402
    assert "The bank refused the payment" in answer.text
    shop.hear()
    assert plan_grants(shop, buyer) == [("subscription", 1000, 1000, 1200)]
    assert 'data-plan="pro"' in buyer.browser.get("/plan").text


def test_a_downgrade_begins_with_the_next_period_and_can_be_undone(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer, "studio")
    assert change(buyer, "pro").headers["Location"] == "/plan"
    assert "Pro begins on" in buyer.browser.get("/plan").text
    buyer.browser.post("/plan/keep", {}, form="/plan")
    assert 'id="changes"' not in buyer.browser.get("/plan").text
    change(buyer, "pro")
    shop.pass_days(31.1)
    shop.hear()
    assert [row.credits for row in shop.member(buyer).periods()] == [5000, 1000]
    assert shop.subscription(buyer).price_minor == 1200
    assert 'data-plan="pro"' in buyer.browser.get("/plan").text


def test_until_a_downgrade_begins_the_page_shows_what_is_paid_now_and_what_then(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer, "studio")
    assert prices(buyer) == ("€49 a month", None)
    change(buyer, "pro")
    now, then = prices(buyer)
    assert now == "€49 a month"
    assert re.fullmatch(r"From \w+ \d+, 20\d\d: €12 a month", then or "")
    buyer.browser.post("/plan/keep", {}, form="/plan")
    assert prices(buyer) == ("€49 a month", None)
    change(buyer, "free")
    now, then = prices(buyer)
    assert now == "€49 a month"
    assert re.fullmatch(r"From \w+ \d+, 20\d\d: €0 for as long as you like", then or "")


def prices(buyer: Buyer) -> tuple[str, str | None]:
    """What the page says that the plan costs, now and later."""
    page = buyer.browser.get("/plan").text
    now, then = (re.search(rf'<dd id="{name}">(.*?)</dd>', page, re.DOTALL) for name in ("price", "price-then"))
    assert now
    return text_of(f"<main{now[1]}"), text_of(f"<main{then[1]}") if then else None


def test_cancelled_at_the_period_s_end_undone_and_resumed(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    assert buyer.browser.post("/plan/cancel", {}, form="/plan").headers["Location"] == "/plan"
    page = buyer.browser.get("/plan").text
    assert "Pro ends on" in page
    assert '<dd id="next-grant">–</dd>' in page
    buyer.browser.post("/plan/keep", {}, form="/plan")
    assert 'id="changes"' not in buyer.browser.get("/plan").text
    buyer.browser.post("/plan/cancel", {}, form="/plan")
    shop.pass_days(31.1)
    shop.hear()
    assert shop.subscription(buyer).status == "canceled"
    assert plan_grants(shop, buyer) == [("subscription", 1000, 0, 1200)]
    assert "You are on no plan" in buyer.browser.get("/plan").text
    on_plan(shop, buyer)
    assert len(plan_grants(shop, buyer)) == 2


def test_from_a_month_to_a_year_at_once_and_back_when_it_is_over(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    shop.pass_days(15)
    assert change(buyer, "pro-yearly").headers["Location"] == "/plan"
    first, second = shop.member(buyer).periods()
    assert first.credits == 1000
    assert 450 < second.credits < 550
    assert 'data-plan="pro-yearly"' in buyer.browser.get("/plan").text
    change(buyer, "pro")
    assert "Pro begins on" in buyer.browser.get("/plan").text
    for _ in range(12):
        shop.pass_days(31)
        shop.hear()
    assert len(shop.member(buyer).periods()) == 13
    row_id = shop.read(lambda s: s.scalars(select(OutboxRow.id).where(OutboxRow.job == "begin_successor")).one())
    for _ in range(2):
        with shop.app.app_context():
            begin_successor(row_id)
    assert (shop.subscription(buyer).plan, shop.subscription(buyer).status) == ("pro", "active")
    assert shop.member(buyer).periods()[-1].credits == 1000
    assert len(shop.stripe.v1.subscriptions.list({"status": "all", "customer": customer_of(shop, buyer)}).data) == 2
    assert_ledger_sound(shop.app)


def test_from_a_paid_plan_to_the_free_one(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    change(buyer, "free")
    assert "Free begins on" in buyer.browser.get("/plan").text
    shop.pass_days(31.1)
    shop.hear()
    row_id = shop.read(lambda s: s.scalars(select(OutboxRow.id).where(OutboxRow.job == "begin_successor")).one())
    with shop.app.app_context():
        begin_successor(row_id)
    assert 'data-plan="free"' in buyer.browser.get("/plan").text
    assert [grant[:3] for grant in plan_grants(shop, buyer)] == [("subscription", 1000, 0), ("plan", 100, 100)]


def test_undoing_a_downgrade_keeps_the_price_that_was_paid(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer, "studio")
    change(buyer, "pro")
    with shop.app.app_context(), unit_of_work() as session:
        session.execute(text("UPDATE plan_prices SET price_minor = 9900 WHERE plan = 'studio'"))
    buyer.browser.post("/plan/keep", {}, form="/plan")
    subscription = shop.subscription(buyer)
    assert (subscription.plan, subscription.price_minor) == ("studio", 4900)
    shop.pass_days(31.1)
    shop.hear()
    invoices = shop.stripe.v1.invoices.list({"subscription": subscription.stripe_subscription_id}).data
    assert [invoice.amount_paid for invoice in invoices] == [4900, 4900]
