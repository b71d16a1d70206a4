"""The product's backend gets accounts on plans; their customers pay on Stripe's page."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.api.conftest import Caller, assert_problem, make_secret
from tests.api.test_checkout_sessions import CANCEL, SUCCESS
from tests.billing.conftest import shop as shop
from tests.billing.plan_shop import on_plan
from tests.billing.shop import Shop
from tests.conftest import TestServers
from webapp.billing.entitlement import Entitlement
from webapp.billing.plan_order import PlanOrder
from webapp.billing.subscription import Subscription


@pytest.fixture
def seller(shop: Shop) -> Caller:
    """A caller whose Tallystick has a Stripe."""
    return Caller(shop.app.test_client(), make_secret(shop.app))


def begin(caller: Caller, account: str, plan: str = "pro", *, key: str | None = None, **more: Any) -> TestResponse:
    body = {"account": account, "plan": plan, "success_url": SUCCESS, "cancel_url": CANCEL, **more}
    return caller.post("/checkout-sessions", body, key=key)


def order_at(shop: Shop, url: str) -> PlanOrder:
    found = re.search(r"cs_\w+", url)
    assert found, url
    return shop.read(
        lambda session: session.scalars(select(PlanOrder).where(PlanOrder.stripe_session_id == found[0])).one()
    )


def pay(shop: Shop, order: PlanOrder, action: str = "pay") -> str:
    """Press the button of the pay page and hear of it; where the customer is led."""
    answer = shop.press(order.stripe_session_id or "", action)
    for event in shop.events(order.stripe_session_id or ""):
        assert shop.deliver(event).status_code == 200
        shop.work(event["id"])
    return answer.headers["Location"]


def plans(caller: Caller, shop: Shop, account: str) -> list[tuple[str, int | None]]:
    account_name = account
    return shop.read(
        lambda session: [
            (one.plan, one.user_id)
            for one in session.scalars(select(Entitlement).where(Entitlement.external_id == account_name))
        ]
    )


def test_an_account_without_a_user_gets_on_a_plan(shop: Shop, seller: Caller) -> None:
    name = seller.new_account()
    answer = begin(seller, name)
    assert answer.status_code == 200, answer.text
    assert answer.get_json().keys() == {"url"}
    order = order_at(shop, answer.get_json()["url"])
    assert (order.user_id, order.external_id, order.plan, order.state) == (None, name, "pro", "open")
    assert plans(seller, shop, name) == []
    assert pay(shop, order) == SUCCESS.replace("{CHECKOUT_SESSION_ID}", order.stripe_session_id or "")
    assert plans(seller, shop, name) == [("pro", None)]
    assert seller.balance(name) == 1000
    found = shop.read(lambda s: s.scalars(select(Subscription).where(Subscription.external_id == name)).one())
    assert (found.user_id, found.status) == (None, "active")
    customer = shop.stripe.v1.customers.retrieve(found.stripe_customer_id)
    assert customer.metadata is not None
    assert customer.metadata["account"] == name
    shop.assert_sound()


def test_a_plan_for_life_is_paid_once(shop: Shop, seller: Caller) -> None:
    name = seller.new_account()
    order = order_at(shop, begin(seller, name, "lifetime").get_json()["url"])
    pay(shop, order)
    assert plans(seller, shop, name) == [("lifetime", None)]
    assert seller.balance(name) == 300
    assert_problem(begin(seller, name, "lifetime"), 409, "already_subscribed", plan="lifetime")


def test_the_free_plan_begins_at_once_and_leads_to_the_success_page(shop: Shop, seller: Caller) -> None:
    name = seller.new_account()
    first = begin(seller, name, "free", key="k")
    assert first.get_json() == {"url": SUCCESS.replace("{CHECKOUT_SESSION_ID}", "")}
    assert seller.balance(name) == 100
    again = begin(seller, name, "free", key="k")
    assert (again.data, again.headers["Idempotent-Replayed"]) == (first.data, "true")
    assert begin(seller, name, "free").data == first.data
    assert seller.balance(name) == 100
    pay(shop, order_at(shop, begin(seller, name).get_json()["url"]))
    assert_problem(begin(seller, name, "free"), 409, "already_subscribed", plan="pro")


def test_who_gives_up_is_led_back_and_is_on_no_plan(shop: Shop, seller: Caller) -> None:
    name = seller.new_account()
    assert pay(shop, order_at(shop, begin(seller, name).get_json()["url"]), "cancel") == CANCEL
    assert plans(seller, shop, name) == []


def test_the_account_of_a_user_subscribes_as_that_user(shop: Shop, seller: Caller) -> None:
    buyer = shop.new_buyer()
    user = buyer.user
    order = order_at(shop, begin(seller, user.external_id).get_json()["url"])
    assert (order.user_id, order.account_id) == (user.id, user.account_id)
    pay(shop, order)
    assert plans(seller, shop, user.external_id) == [("pro", user.id)]
    assert 'data-plan="pro"' in buyer.browser.get("/plan").text


def test_who_subscribed_on_the_page_is_not_sold_a_second_subscription(shop: Shop, seller: Caller) -> None:
    buyer = shop.new_buyer()
    on_plan(shop, buyer)  # type: ignore[arg-type]
    name = buyer.user.external_id
    problem = assert_problem(begin(seller, name), 409, "already_subscribed", plan="pro")
    assert "pro" in problem["detail"]
    assert_problem(begin(seller, name, "pro-yearly"), 409, "already_subscribed", plan="pro")
    assert begin(seller, name, "lifetime").status_code == 200


def test_the_same_key_leads_to_the_same_page_even_after_paying(shop: Shop, seller: Caller) -> None:
    name = seller.new_account()
    first = begin(seller, name, key="k")
    again = begin(seller, name, key="k")
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (200, first.data, "true")
    assert "Idempotent-Replayed" not in first.headers
    assert_problem(begin(seller, name, "lifetime", key="k"), 422, "idempotency_key_reused")
    pay(shop, order_at(shop, first.get_json()["url"]))
    assert begin(seller, name, key="k").data == first.data
    assert seller.balance(name) == 1000


def test_simultaneous_first_requests_lead_to_one_page(shop: Shop, seller: Caller) -> None:
    name = seller.new_account()

    def once(_number: int) -> tuple[int, bytes]:
        answer = begin(Caller(shop.app.test_client(), seller.secret), name, key="one")
        return answer.status_code, answer.data

    with ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(once, range(6)))) == 1
    orders = shop.read(lambda session: session.scalars(select(PlanOrder).where(PlanOrder.external_id == name)).all())
    assert len(orders) == 1


def test_a_second_page_closes_the_first(shop: Shop, seller: Caller) -> None:
    name = seller.new_account()
    first = order_at(shop, begin(seller, name).get_json()["url"])
    assert begin(seller, name).status_code == 200
    assert shop.stripe.v1.checkout.sessions.retrieve(first.stripe_session_id or "").status == "expired"


def test_while_stripe_is_away_the_same_key_goes_on_later(
    shop: Shop, seller: Caller, servers: TestServers, make_app: Callable[..., Flask]
) -> None:
    away = Caller(make_app(servers, STRIPE_API_BASE="http://127.0.0.1:9").test_client(), seller.secret)
    name = seller.new_account()
    refused = begin(away, name, key="k")
    assert_problem(refused, 503, "unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    answer = begin(seller, name, key="k")
    assert answer.status_code == 200
    assert order_at(shop, answer.get_json()["url"]).external_id == name


def test_a_page_that_an_event_told_us_of_leads_where_its_customer_is(
    shop: Shop, seller: Caller, superuser_connection: Any
) -> None:
    """Killed between Stripe's answer and our commit; the customer had the page by a first answer, and paid."""
    name = seller.new_account()
    order = order_at(shop, begin(seller, name, key="k").get_json()["url"])
    superuser_connection.execute("UPDATE plan_orders SET checkout_url = NULL WHERE id = %s", [order.id])
    pay(shop, order)
    url = begin(seller, name, key="k").get_json()["url"]
    assert url == SUCCESS.replace("{CHECKOUT_SESSION_ID}", order.stripe_session_id or "")


def test_the_page_speaks_the_language_and_takes_the_currency_that_the_caller_asks_for(
    shop: Shop, seller: Caller
) -> None:
    body = {"account": seller.new_account(), "plan": "pro", "currency": "usd"}
    sent = {**body, "success_url": SUCCESS, "cancel_url": CANCEL}
    order = order_at(shop, seller.post("/checkout-sessions", sent, headers={"Accept-Language": "de"}).get_json()["url"])
    assert (order.currency, order.locale) == ("USD", "de")
    session = shop.stripe.v1.checkout.sessions.retrieve(order.stripe_session_id or "")
    assert (session.locale, session.currency) == ("de", "usd")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"plan": "no-such-plan"}, "plan"),
        ({"plan": "\ufffd"}, "plan"),
        ({"plan": 5}, "plan"),
        ({"plan": ""}, "plan"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "JPYEN"}, "currency"),
    ],
)
def test_a_plan_that_cannot_be_had_is_refused_naming_the_field(
    shop: Shop, seller: Caller, change: dict[str, Any], field: str
) -> None:
    name = seller.new_account()
    assert_problem(begin(seller, name, **change), 400, "invalid_request", field=field)
    assert not shop.read(lambda session: session.scalars(select(PlanOrder).where(PlanOrder.external_id == name)).all())


def test_a_suspended_user_s_account_gets_on_no_plan(shop: Shop, seller: Caller, superuser_connection: Any) -> None:
    user = shop.new_buyer().user
    superuser_connection.execute(
        "INSERT INTO suspensions (account_id, reason, actor, since) VALUES (%s, 'Chargebacks', 'test', now())",
        [user.account_id],
    )
    for plan in ("pro", "free", "lifetime"):
        assert_problem(begin(seller, user.external_id, plan), 403, "account_suspended")


def test_nobody_sees_the_order_of_an_account_without_a_user(shop: Shop, seller: Caller) -> None:
    order = order_at(shop, begin(seller, seller.new_account()).get_json()["url"])
    browser = shop.new_buyer().browser
    assert browser.get("/checkout/return", query_string={"session_id": order.stripe_session_id}).status_code == 404
    assert browser.get(f"/plan/cancelled/{order.id}").status_code == 404
