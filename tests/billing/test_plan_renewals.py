"""Subscriptions month after month, over HTTP, with the real SDK against the sandbox."""

import random
from functools import partial

from sqlalchemy import select

from tests.billing.plan_shop import PlanShop, about, buyer, customer_of, on_plan, plan_grants, shop, start
from tests.billing.plans import assert_ledger_sound
from tests.billing.shop import Buyer, at_once
from webapp.billing.looking_after import check_subscriptions, look_at_subscription
from webapp.billing.subscription import Subscription
from webapp.database import unit_of_work
from webapp.outbox import OutboxRow

__all__ = ["buyer", "shop"]  # the fixtures of a shop whose clock can be moved


def test_a_month_later_the_renewal_is_granted_and_the_rest_carried_over(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    shop.pass_days(31.1)
    assert plan_grants(shop, buyer) == [("subscription", 1000, 0, 1200)]
    shop.hear()
    assert plan_grants(shop, buyer) == [
        ("subscription", 1000, 0, 1200),
        ("rollover", 1000, 1000, 1200),
        ("subscription", 1000, 1000, 1200),
    ]
    history = buyer.browser.get("/credits/history").text
    assert "Carried over" in history
    assert ">Pro<" in history
    assert_ledger_sound(shop.app)


def test_a_renewal_that_nobody_told_us_of_is_found(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    shop.pass_days(32)
    with shop.app.app_context(), unit_of_work() as session:
        assert check_subscriptions(session, limit=10) == 1
    with shop.app.app_context(), unit_of_work() as session:
        assert check_subscriptions(session, limit=10) == 0
        assert session.scalars(select(OutboxRow).where(OutboxRow.job == "follow_subscription")).one()
        look_at_subscription(session, subscription_id=session.scalars(select(Subscription.id)).one())
    assert len(plan_grants(shop, buyer)) == 3


def test_a_year_of_events_at_random_ends_like_one_in_order(shop: PlanShop) -> None:
    chance = random.Random(3)
    ordered, shuffled = shop.new_buyer(), shop.new_buyer()
    for one in (ordered, shuffled):
        shop.press(start(one), "pay")
    for _ in range(4):
        shop.pass_days(31)
    events = shop.every_event()
    shop.hear([one for one in events if about(one, customer_of(shop, ordered))])
    mixed = [one for one in events if about(one, customer_of(shop, shuffled))] * 2
    chance.shuffle(mixed)
    for event in mixed:
        assert shop.deliver(event).status_code == 200
    at_once([partial(shop.work, event["id"]) for event in mixed[:4]])
    for event in mixed:
        shop.work(event["id"])
    assert plan_grants(shop, ordered) == plan_grants(shop, shuffled)
    assert len(shop.member(shuffled).periods()) == 5
    assert_ledger_sound(shop.app)


def test_a_failed_renewal_gives_nothing_new_and_a_payment_makes_it_good(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    stripe_id = shop.subscription(buyer).stripe_subscription_id
    customer = customer_of(shop, buyer)
    broken = shop.stripe.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    shop.stripe.v1.subscriptions.update(stripe_id, {"default_payment_method": broken.id})
    shop.pass_days(31.1)
    shop.hear()
    assert shop.subscription(buyer).status == "past_due"
    assert plan_grants(shop, buyer) == [("subscription", 1000, 0, 1200)]
    page = buyer.browser.get("/plan").text
    assert 'id="unpaid"' in page
    assert 'data-option="studio"' not in page  # nothing is changed before it is paid
    assert shop.subscription(buyer).unpaid_invoice_url in page.replace("&amp;", "&")
    assert buyer.browser.get("/packages/enterprise/buy").status_code == 403
    good = shop.stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer})
    shop.stripe.v1.invoices.pay(shop.subscription(buyer).unpaid_invoice_id, {"payment_method": good.id})
    shop.hear()
    assert [grant[:3] for grant in plan_grants(shop, buyer)] == [
        ("subscription", 1000, 0),
        ("rollover", 1000, 1000),
        ("subscription", 1000, 1000),
    ]
    page = buyer.browser.get("/plan").text
    assert 'id="unpaid"' not in page
    assert 'data-option="studio"' in page
    assert_ledger_sound(shop.app)
