"""Subscriptions from the button to the renewal, over HTTP, with the real SDK against the sandbox."""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from jobs.begin_successor import begin_successor
from tests.billing.plans import STUDIO, Member, advance, assert_ledger_sound, offer
from tests.billing.shop import Buyer, Shop, at_once
from tests.stripe_sandbox.conftest import serve
from webapp.billing.checkout import StripeCustomer
from webapp.billing.looking_after import check_subscriptions, look_at_subscription
from webapp.billing.plan_change import change_plan, preview_change
from webapp.billing.plan_order import PlanOrder
from webapp.billing.subscribing import open_plan_checkout, start_order
from webapp.billing.subscription import Subscription
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.plan import Plan
from webapp.database import unit_of_work
from webapp.outbox import OutboxRow
from webapp.people.user import User
from webapp.stripe_sandbox import create_sandbox, install

SIGN_UP = 100


@dataclass
class PlanShop(Shop):
    """A shop of its own, so that its clock can be moved."""

    def pass_days(self, days: float) -> None:
        """Time passes; Stripe renews, the calendar grants. Nobody tells us of events yet."""
        advance(self.app, timedelta(days=days))
        assert requests.post(f"{self.sandbox_url}/_sandbox/run", timeout=60).ok

    def every_event(self) -> list[dict[str, Any]]:
        """All of Stripe's events, oldest first."""
        found = self.stripe.v1.events.list(params={"limit": 100}).auto_paging_iter()
        return [event.to_dict(for_json=True) for event in found][::-1]

    def hear(self, events: list[dict[str, Any]] | None = None) -> None:
        """Those events are delivered and handled, by default all that are not yet."""
        for event in self.every_event() if events is None else events:
            assert self.deliver(event).status_code == 200
            self.work(event["id"])

    def subscription(self, buyer: Buyer) -> Subscription:
        user_id = buyer.user.id
        return self.read(
            lambda session: session.scalars(
                select(Subscription).where(Subscription.user_id == user_id).order_by(Subscription.id.desc())
            ).first()
        )

    def member(self, buyer: Buyer) -> Member:
        user = buyer.user
        customer = self.read(lambda session: session.get(StripeCustomer, (user.id, "sandbox")))
        return Member(
            app=self.app,
            user_id=user.id,
            account_id=user.account_id,
            customer_id=customer.stripe_customer_id if customer else "",
        )


@pytest.fixture
def shop(fresh_database: Any, make_app: Callable[..., Flask]) -> Iterator[PlanShop]:
    install(fresh_database.owner_url)

    def make(url: str) -> Flask:
        return create_sandbox(
            dsn=fresh_database.database_url,
            base_url=url,
            webhook_url=None,
            webhook_secret="whsec_sandbox",
            background=False,
        )

    with serve(make) as url:
        app = make_app(fresh_database, STRIPE_API_BASE=url)
        with app.app_context(), unit_of_work() as session:
            install_shipped_catalog(session)
            offer(session, STUDIO)
        yield PlanShop(app=app, sandbox_url=url)


@pytest.fixture
def buyer(shop: PlanShop) -> Buyer:
    return shop.new_buyer()


def subscribe(buyer: Buyer, plan: str = "pro", **fields: str) -> TestResponse:
    return buyer.browser.post(f"/plans/{plan}/subscribe", fields, form=f"/plans/{plan}/subscribe")


def start(buyer: Buyer, plan: str = "pro", **fields: str) -> str:
    """Press the button and stand on the pay page; the session's id."""
    answer = subscribe(buyer, plan, **fields)
    assert answer.status_code == 303, answer.text
    found = re.search(r"cs_\w+", answer.headers["Location"])
    assert found, answer.headers["Location"]
    return found[0]


def outcome(buyer: Buyer, session_id: str) -> str:
    answer = buyer.browser.get("/checkout/return", query_string={"session_id": session_id})
    assert answer.status_code == 200, answer.text
    found = re.search(r'data-outcome="(\w+)"', answer.text)
    assert found
    return found[1]


def on_plan(shop: PlanShop, buyer: Buyer, plan: str = "pro") -> str:
    session_id = start(buyer, plan)
    assert shop.press(session_id, "pay").status_code == 303
    assert outcome(buyer, session_id) == "success"
    return session_id


def change(buyer: Buyer, plan: str) -> TestResponse:
    """See the preview of a change, and agree to it."""
    page = buyer.browser.get(f"/plan/change/{plan}")
    assert page.status_code == 200, page.text
    return buyer.browser.post(f"/plan/change/{plan}", _hidden(page.text, "moment"), form=f"/plan/change/{plan}")


def _hidden(page: str, name: str) -> dict[str, str]:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found
    return {name: found[1]}


def plan_grants(shop: PlanShop, buyer: Buyer) -> list[tuple[str, int, int, int]]:
    return [grant for grant in shop.member(buyer).grants() if grant[0] != "sign-up"]


# ---------------------------------------------------------------- getting on a plan


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
    form = _hidden(buyer.browser.get("/plans/pro/subscribe").text, "intent")
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


# ---------------------------------------------------------------- killed in between


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


# ---------------------------------------------------------------- renewals


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
    for buyer in (ordered, shuffled):
        shop.press(start(buyer), "pay")
    for _ in range(4):
        shop.pass_days(31)
    events = shop.every_event()
    shop.hear([one for one in events if _about(one, _customer(shop, ordered))])
    mixed = [one for one in events if _about(one, _customer(shop, shuffled))] * 2
    chance.shuffle(mixed)
    for event in mixed:
        assert shop.deliver(event).status_code == 200
    at_once([partial(shop.work, event["id"]) for event in mixed[:4]])
    for event in mixed:
        shop.work(event["id"])
    assert plan_grants(shop, ordered) == plan_grants(shop, shuffled)
    assert len(shop.member(shuffled).periods()) == 5
    assert_ledger_sound(shop.app)


def _customer(shop: PlanShop, buyer: Buyer) -> str:
    return shop.member(buyer).customer_id


def _about(event: dict[str, Any], customer: str) -> bool:
    thing = event["data"]["object"]
    return customer in (thing.get("customer"), thing.get("id"))


def test_a_failed_renewal_gives_nothing_new_and_a_payment_makes_it_good(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    stripe_id = shop.subscription(buyer).stripe_subscription_id
    customer = _customer(shop, buyer)
    broken = shop.stripe.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    shop.stripe.v1.subscriptions.update(stripe_id, {"default_payment_method": broken.id})
    shop.pass_days(31.1)
    shop.hear()
    assert shop.subscription(buyer).status == "past_due"
    assert plan_grants(shop, buyer) == [("subscription", 1000, 0, 1200)]
    page = buyer.browser.get("/plan").text
    assert 'id="unpaid"' in page
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
    assert 'id="unpaid"' not in buyer.browser.get("/plan").text
    assert_ledger_sound(shop.app)


# ---------------------------------------------------------------- changes


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
    customer = _customer(shop, buyer)
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
    assert len(shop.stripe.v1.subscriptions.list({"status": "all", "customer": _customer(shop, buyer)}).data) == 2
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


# ---------------------------------------------------------------- who may


def test_packages_for_subscribers_are_for_them(shop: PlanShop, buyer: Buyer) -> None:
    answer = buyer.browser.get("/packages/enterprise/buy")
    assert answer.status_code == 403
    assert "/pricing#plans" in answer.text
    subscribe(buyer, "free")
    assert buyer.browser.get("/packages/enterprise/buy").status_code == 403
    on_plan(shop, buyer)
    assert buyer.browser.get("/packages/enterprise/buy").status_code == 200
    assert "/packages/enterprise/buy" in buyer.browser.get("/pricing").text


def test_who_is_suspended_buys_nothing(shop: PlanShop, buyer: Buyer) -> None:
    runner = shop.app.test_cli_runner()
    assert runner.invoke(args=["account", "suspend", buyer.browser.email, "--reason", "Chargebacks"]).exit_code == 0
    for path in ("/packages/starter/buy", "/plans/pro/subscribe", "/plans/free/subscribe"):
        answer = buyer.browser.get(path)
        assert answer.status_code == 403
        assert "suspended" in answer.text
    assert runner.invoke(args=["account", "resume", buyer.browser.email]).exit_code == 0
    assert buyer.browser.get("/packages/starter/buy").status_code == 200


def test_unknown_plans_and_other_people_s_orders_are_not_found(shop: PlanShop, buyer: Buyer) -> None:
    assert buyer.browser.get("/plans/nothing/subscribe").status_code == 404
    assert buyer.browser.get("/plan/change/nothing").status_code == 404
    session_id = start(buyer)
    other = shop.new_buyer()
    assert other.browser.get("/checkout/return", query_string={"session_id": session_id}).status_code == 404
    assert other.browser.get("/plan/cancelled/1").status_code == 404


def test_a_subscription_of_nobody_here_is_parked(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    stranger = shop.stripe.v1.customers.create({"email": "stranger@example.com"})
    card = shop.stripe.v1.payment_methods.attach("pm_card_visa", {"customer": stranger.id})
    price = shop.stripe.v1.subscriptions.retrieve(shop.subscription(buyer).stripe_subscription_id)["items"].data[0]
    known = {event["id"] for event in shop.every_event()}
    shop.stripe.v1.subscriptions.create(
        {"customer": stranger.id, "items": [{"price": price.price.id}], "default_payment_method": card.id}
    )
    events = [one for one in shop.every_event() if one["id"] not in known and one["type"].startswith("customer.sub")]
    shop.hear(events)
    assert {shop.event(event["id"]).state for event in events} == {"parked"}
    assert len(plan_grants(shop, buyer)) == 1


def test_the_portal_is_a_click_away(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    answer = buyer.browser.post("/plan/portal", {}, form="/plan")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(shop.sandbox_url)
