"""Getting on a plan, from the button to the credits, over HTTP, with the real SDK against the sandbox."""

import random
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from tests.billing.plan_shop import PlanShop, buyer, hidden_field, on_plan, outcome, plan_grants, shop, start, subscribe
from tests.billing.plans import STUDIO, assert_ledger_sound, offer
from tests.billing.shop import Buyer, at_once
from webapp.billing.plan_change import change_plan, preview_change
from webapp.billing.plan_order import PlanOrder
from webapp.billing.subscribing import open_plan_checkout, start_order
from webapp.billing.subscription import Subscription
from webapp.catalog.plan import Plan
from webapp.database import unit_of_work
from webapp.people.user import User

__all__ = ["buyer", "shop"]  # the fixtures of a shop whose clock can be moved


def test_the_free_plan_begins_at_once(shop: PlanShop, buyer: Buyer) -> None:
    answer = subscribe(buyer, "free")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/plan")
    assert buyer.browser.get("/plans/free/subscribe").headers["Location"] == "/plan"
    assert plan_grants(shop, buyer) == [("plan", 100, 100, 0)]
    assert 'data-plan="free"' in buyer.browser.get("/plan").text


def test_a_paid_plan_is_there_when_the_buyer_comes_back(shop: PlanShop, buyer: Buyer) -> None:
    subscribe(buyer, "free")
    session_id = on_plan(shop, buyer)
    assert sorted(plan_grants(shop, buyer)) == [("plan", 100, 100, 0), ("subscription", 1000, 1000, 1200)]
    made = shop.stripe.v1.checkout.sessions.retrieve(session_id)
    assert (made.mode, made.allow_promotion_codes) == ("subscription", True)
    page = buyer.browser.get("/plan").text
    assert 'data-plan="pro"' in page
    assert 'data-status="active"' in page
    assert "1,000 credits on" in page
    assert {one.kind: one.ends_at is None for one in shop.member(buyer).stretches()} == {"free": False, "monthly": True}
    assert_ledger_sound(shop.app)


def test_the_events_alone_are_enough_in_any_order_and_twice(shop: PlanShop) -> None:
    chance = random.Random(11)
    for _ in range(3):
        buyer = shop.new_buyer()
        known = {event["id"] for event in shop.every_event()}
        shop.press(start(buyer), "pay")
        events = [event for event in shop.every_event() if event["id"] not in known]
        shuffled = events * 2
        chance.shuffle(shuffled)
        for event in shuffled:
            assert shop.deliver(event).status_code == 200
        at_once([partial(shop.work, event["id"]) for event in shuffled[:4]])
        for event in shuffled:
            shop.work(event["id"])
        assert plan_grants(shop, buyer) == [("subscription", 1000, 1000, 1200)]
        states = {shop.event(event["id"]).state for event in events}
        assert states <= {"handled", "ignored"}
    assert_ledger_sound(shop.app)


def test_the_same_form_twice_is_one_subscription(shop: PlanShop, buyer: Buyer) -> None:
    form = hidden_field(buyer.browser.get("/plans/pro/subscribe").text, "intent")
    first, second = start(buyer, "pro", **form), start(buyer, "pro", **form)
    assert first == second


def test_a_second_pay_page_closes_the_first(shop: PlanShop, buyer: Buyer) -> None:
    first = start(buyer)
    second = start(buyer)
    assert shop.stripe.v1.checkout.sessions.retrieve(first).status == "expired"
    shop.press(second, "pay")
    assert outcome(buyer, second) == "success"
    assert outcome(buyer, first) == "expired"


def test_who_has_a_subscription_changes_it(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    answer = buyer.browser.get("/plans/studio/subscribe")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/plan/change/studio")
    assert buyer.browser.get("/plans/pro/subscribe").headers["Location"] == "/plan"


@pytest.mark.parametrize(("press", "expected"), [("decline", "cancelled"), ("delay", "pending")])
def test_other_outcomes_of_the_pay_page(shop: PlanShop, buyer: Buyer, press: str, expected: str) -> None:
    session_id = start(buyer)
    shop.press(session_id, press)
    assert outcome(buyer, session_id) == expected
    assert plan_grants(shop, buyer) == []


def test_a_delayed_payment_begins_the_plan_when_it_comes(shop: PlanShop, buyer: Buyer) -> None:
    session_id = start(buyer)
    shop.press(session_id, "delay")
    shop.hear()
    assert plan_grants(shop, buyer) == []
    shop.settle_delayed_payments()
    shop.hear()
    assert plan_grants(shop, buyer) == [("subscription", 1000, 1000, 1200)]
    assert outcome(buyer, session_id) == "success"


def test_a_promotion_code_makes_it_free_and_still_grants(shop: PlanShop, buyer: Buyer) -> None:
    from webapp.billing.following import follow_subscription

    session_id = start(buyer)
    shop.press(session_id, "pay")
    customer = shop.stripe.v1.checkout.sessions.retrieve(session_id).customer
    coupon = shop.stripe.v1.coupons.create({"percent_off": 100, "duration": "forever"})
    with shop.app.app_context(), unit_of_work() as session:
        from webapp.billing.stripe_price import StripePrice

        price = session.scalars(select(StripePrice.stripe_price_id).where(StripePrice.plan == "pro")).one()
    made = shop.stripe.v1.subscriptions.create(
        {"customer": customer, "items": [{"price": price}], "discounts": [{"coupon": coupon.id}]}
    )
    with shop.app.app_context(), unit_of_work() as session:
        follow_subscription(session, stripe_id=made.id)
    assert plan_grants(shop, buyer) == [("subscription", 1000, 1000, 0)]


def test_a_plan_for_life_is_paid_once_and_granted_each_month(shop: PlanShop, buyer: Buyer) -> None:
    session_id = on_plan(shop, buyer, "lifetime")
    assert shop.stripe.v1.checkout.sessions.retrieve(session_id).mode == "payment"
    assert plan_grants(shop, buyer) == [("plan", 300, 300, 24900 // 36)]
    shop.pass_days(31)
    assert [grant[:3] for grant in plan_grants(shop, buyer)] == [("plan", 300, 0), ("plan", 300, 300)]
    assert buyer.browser.get("/packages/enterprise/buy").status_code == 200, "for subscribers"
    assert 'data-plan="lifetime"' in buyer.browser.get("/plan").text


def test_a_subscription_for_a_changed_order_is_parked(shop: PlanShop, buyer: Buyer) -> None:
    session_id = start(buyer)
    shop.stripe.v1.checkout.sessions.update(session_id, {"metadata": {"plan_order": "999"}})
    shop.press(session_id, "pay")
    assert outcome(buyer, session_id) == "parked"


def test_a_free_trial_once_in_a_life(shop: PlanShop, buyer: Buyer) -> None:
    with shop.app.app_context(), unit_of_work() as session:
        offer(session, {**STUDIO, "code": "trying", "name": "Trying", "trial_days": 14, "trial_credits": 50})
    on_plan(shop, buyer, "trying")
    assert [grant[:3] for grant in plan_grants(shop, buyer)] == [("subscription", 50, 50)]
    page = buyer.browser.get("/plan").text
    assert 'data-status="trialing"' in page
    assert 'id="trial"' in page
    shop.pass_days(14.1)
    shop.hear()
    assert [grant[:3] for grant in plan_grants(shop, buyer)] == [
        ("subscription", 50, 0),
        ("rollover", 50, 50),
        ("subscription", 5000, 5000),
    ]
    assert "Free for" not in buyer.browser.get("/plans/pro/subscribe", follow_redirects=True).text
    assert_ledger_sound(shop.app)


class Killed(Exception):
    """The process is gone before it could commit."""


def test_killed_after_stripe_made_the_session_it_is_adopted(shop: PlanShop, buyer: Buyer) -> None:
    user = buyer.user
    with shop.app.app_context():
        with unit_of_work() as session:
            plan = session.get_one(Plan, "pro")
            order = start_order(
                session,
                plan=plan,
                price_minor=1200,
                currency="EUR",
                user=session.get_one(User, user.id),
                intent="killed-in-between",
                mode="sandbox",
                shown_name="Pro",
                locale="en",
            )
            order_id = order.id
        made: list[str] = []
        with pytest.raises(Killed):
            _open_and_die(order_id, user.email, made)
    session_id = made[0]
    assert shop.read(lambda s: s.get_one(PlanOrder, order_id)).stripe_session_id is None
    shop.press(session_id, "pay")
    events = [one for one in shop.every_event() if one["type"] == "checkout.session.completed"]
    shop.hear(events)
    # The customer and the price were made at Stripe, and forgotten here: a person has to look, nothing is lost.
    order = shop.read(lambda s: s.get_one(PlanOrder, order_id))
    assert (order.stripe_session_id, order.state) == (session_id, "parked")


def test_killed_after_stripe_changed_the_plan_the_event_does_the_rest(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    shop.pass_days(10)
    assert buyer.browser.get("/plan/change/studio").status_code == 200
    with shop.app.app_context():
        with unit_of_work() as session:
            subscription = session.scalars(select(Subscription)).one()
            asked = preview_change(session, subscription=subscription, plan=session.get_one(Plan, "studio"))
        with pytest.raises(Killed):
            _change_and_die(asked)
    assert len(plan_grants(shop, buyer)) == 1
    shop.hear()
    assert len(plan_grants(shop, buyer)) == 2
    assert abs(plan_grants(shop, buyer)[1][1] - asked.credits_now) <= 1
    assert 'data-plan="studio"' in buyer.browser.get("/plan").text
    assert_ledger_sound(shop.app)


def _open_and_die(order_id: int, email: str, made: list[str]) -> None:
    with unit_of_work() as session:
        order = open_plan_checkout(session, order_id=order_id, email=email, base_url="http://localhost", tax=False)
        made.append(order.stripe_session_id or "")
        raise Killed


def _change_and_die(asked: Any) -> None:
    with unit_of_work() as session:
        change_plan(session, subscription=session.scalars(select(Subscription)).one(), change=asked)
        raise Killed
