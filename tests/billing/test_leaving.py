"""Leaving with things bought: plans end, Stripe forgets the customer, and what stays says nothing of the person."""

import json
from typing import Any

import pytest
from sqlalchemy import select, text

from jobs.leave_stripe import leave_stripe
from tests.billing.plan_shop import PlanShop, buyer, hidden_field, on_plan, shop, start
from tests.billing.shop import Buyer
from tests.people.browser import PASSWORD
from webapp.billing.entitlement import Entitlement
from webapp.billing.plan_order import PlanOrder
from webapp.billing.stripe_customer import StripeCustomer
from webapp.billing.subscription import Subscription
from webapp.outbox import OutboxRow

__all__ = ["buyer", "shop"]


def leave(buyer: Buyer) -> int:
    return buyer.browser.post("/settings/delete", {"password": PASSWORD}).status_code


def tell_stripe(shop: PlanShop, account_id: int) -> None:
    row = shop.outbox_row(f"leave_stripe:{account_id}:sandbox")
    with shop.app.app_context():
        leave_stripe(row.id)
    assert shop.read(lambda session: session.get_one(OutboxRow, row.id)).done_at is not None


def plans_of(shop: PlanShop, account_id: int) -> list[Entitlement]:
    return shop.read(
        lambda session: list(session.scalars(select(Entitlement).where(Entitlement.account_id == account_id)))
    )


def test_a_subscription_is_cancelled_and_the_customer_deleted(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    account_id, member = buyer.user.account_id, shop.member(buyer)
    subscription = shop.subscription(buyer)
    page = buyer.browser.get("/settings/delete").text
    assert "Pro ends at once" in page
    assert "no money is given back for the rest" in page
    assert leave(buyer) == 303
    tell_stripe(shop, account_id)
    ended = shop.read(lambda session: session.get_one(Subscription, subscription.id))
    assert ended.status == "canceled"
    assert all(one.ends_at is not None for one in plans_of(shop, account_id))
    assert getattr(shop.stripe.v1.customers.retrieve(member.customer_id), "deleted", False)
    assert shop.read(lambda session: session.get(StripeCustomer, (account_id, "sandbox"))) is None
    shop.pass_days(40)
    shop.hear()
    assert [source for source, *_rest in member.grants() if source != "sign-up"].count("subscription") <= 1
    shop.assert_sound()


def test_the_file_of_ones_data_has_what_was_bought(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    purchase = buyer.start("starter")
    shop.press(purchase.stripe_session_id or "", "pay")
    assert buyer.outcome(purchase) == "success"
    data = json.loads(buyer.browser.get("/settings/data.json", buffered=True).text)
    assert [(one["package"], one["state"], one["paid_minor"]) for one in data["purchases"]] == [
        ("starter", "fulfilled", purchase.price_minor)
    ]
    assert [one["plan"] for one in data["subscriptions"]] == ["pro"]
    assert [(one["status"], one["paid_minor"]) for one in data["invoices"]] == [("paid", 1200)]
    assert [(one["plan"], one["kind"]) for one in data["plans"]] == [("pro", "monthly")]
    assert [one["credits"] for one in data["plan_periods"]] == [1000]
    assert set(data["account"]["stripe_customers"]) == {"sandbox"}


def test_what_stripe_told_of_the_person_is_forgotten_here(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    shop.hear()
    account_id, email = buyer.user.account_id, buyer.browser.email
    assert any(email in event for event in stored_events(shop))
    assert leave(buyer) == 303
    tell_stripe(shop, account_id)
    assert not any(email in event for event in stored_events(shop))
    tables = ("users", "sessions", "purchases", "plan_orders", "subscriptions", "outbox", "first_credits")
    for table in tables:
        rows = shop.read(
            lambda session, table=table: session.execute(text(f"SELECT t::text FROM {table} t")).scalars().all()
        )
        assert not any(email in row for row in rows), table


def stored_events(shop: PlanShop) -> list[str]:
    payloads = shop.read(lambda session: session.execute(text("SELECT payload FROM stripe_events")).scalars().all())
    return [json.dumps(payload) for payload in payloads]


def test_plans_of_the_calendar_end_at_once(shop: PlanShop, buyer: Buyer) -> None:
    assert buyer.browser.post("/plans/free/subscribe", form="/plans/free/subscribe").status_code == 303
    account_id, member = buyer.user.account_id, shop.member(buyer)
    before = [grant[:2] for grant in member.grants()]
    assert "Free ends at once" in buyer.browser.get("/settings/delete").text
    assert leave(buyer) == 303
    shop.pass_days(65)
    assert [grant[:2] for grant in member.grants()] == before
    assert [one.next_at for one in plans_of(shop, account_id)] == [None]
    shop.assert_sound()


def test_what_was_to_follow_a_subscription_does_not(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    page = buyer.browser.get("/plan/change/free")
    assert page.status_code == 200
    moment = hidden_field(page.text, "moment")
    assert buyer.browser.post("/plan/change/free", moment, form="/plan/change/free").status_code == 303
    account_id = buyer.user.account_id
    assert shop.subscription(buyer).pending_plan == "free"
    assert leave(buyer) == 303
    tell_stripe(shop, account_id)
    shop.hear()
    assert [one.plan for one in plans_of(shop, account_id)] == ["pro"]


def test_an_open_pay_page_is_closed(shop: PlanShop, buyer: Buyer) -> None:
    session_id = start(buyer)
    account_id = buyer.user.account_id
    purchase = buyer.start("starter")
    assert leave(buyer) == 303
    tell_stripe(shop, account_id)
    assert shop.purchase(purchase.id).state == "expired"
    order = shop.read(
        lambda session: session.scalars(select(PlanOrder).where(PlanOrder.stripe_session_id == session_id)).one()
    )
    assert order.state == "expired"
    assert shop.press(session_id, "pay").status_code != 303


def test_nobody_leaves_money_that_is_on_its_way(shop: PlanShop, buyer: Buyer) -> None:
    purchase = buyer.start("starter")
    shop.press(purchase.stripe_session_id or "", "delay")
    assert buyer.outcome(purchase) == "pending"
    assert "A payment of yours is on its way" in buyer.browser.get("/settings/delete").text
    assert leave(buyer) == 422
    shop.settle_delayed_payments()
    assert buyer.outcome(purchase) == "success"
    assert leave(buyer) == 303


def test_stripe_may_be_away_when_somebody_leaves(shop: PlanShop, buyer: Buyer, monkeypatch: pytest.MonkeyPatch) -> None:
    on_plan(shop, buyer)
    account_id = buyer.user.account_id
    from webapp.billing import breaker

    monkeypatch.setattr(breaker, "may_ask", lambda: False)
    assert leave(buyer) == 303
    row = shop.outbox_row(f"leave_stripe:{account_id}:sandbox")
    with shop.app.app_context():
        leave_stripe(row.id)
    assert shop.read(lambda session: session.get_one(OutboxRow, row.id)).done_at is None
    monkeypatch.undo()
    tell_stripe(shop, account_id)
    tell_again: Any = shop.read(lambda session: session.get(StripeCustomer, (account_id, "sandbox")))
    assert tell_again is None
