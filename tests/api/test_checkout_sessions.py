"""The product's backend begins a purchase; its customer pays; the credits are there."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import requests
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.api.conftest import Caller, assert_problem, make_secret, new_name
from tests.billing.conftest import shop as shop
from tests.billing.shop import Shop
from tests.conftest import TestServers
from webapp.billing.purchase import Purchase

SUCCESS = "https://product.example/bought?session={CHECKOUT_SESSION_ID}"
CANCEL = "https://product.example/credits"


@pytest.fixture
def seller(shop: Shop) -> Caller:
    """A caller whose Tallystick has a Stripe."""
    return Caller(shop.app.test_client(), make_secret(shop.app))


def begin(caller: Caller, account: str, *, key: str | None = None, **more: Any) -> TestResponse:
    body = {"account": account, "package": "starter", "success_url": SUCCESS, "cancel_url": CANCEL, **more}
    return caller.post("/checkout-sessions", {name: value for name, value in body.items() if value != ""}, key=key)


def purchase_at(shop: Shop, url: str) -> Purchase:
    found = re.search(r"cs_\w+", url)
    assert found, url
    return shop.read(
        lambda session: session.scalars(select(Purchase).where(Purchase.stripe_session_id == found[0])).one()
    )


def pay(shop: Shop, purchase: Purchase, action: str = "pay") -> requests.Response:
    answer = requests.post(
        f"{shop.sandbox_url}/c/pay/{purchase.stripe_session_id}",
        data={"action": action, "email": "buyer@example.com"},
        allow_redirects=False,
        timeout=10,
    )
    for event in shop.events(purchase.stripe_session_id or ""):
        assert shop.deliver(event).status_code == 200
        shop.work(event["id"])
    return answer


def test_an_account_without_a_user_buys_and_gets_its_credits(shop: Shop, seller: Caller) -> None:
    name = seller.new_account()
    answer = begin(seller, name)
    assert answer.status_code == 200, answer.text
    assert answer.get_json().keys() == {"url"}
    url = answer.get_json()["url"]
    assert url.startswith(f"{shop.sandbox_url}/c/pay/cs_")
    purchase = purchase_at(shop, url)
    assert (purchase.user_id, purchase.external_id, purchase.package) == (None, name, "starter")
    assert seller.balance(name) == 0
    paid = pay(shop, purchase)
    assert (paid.status_code, paid.headers["Location"]) == (
        303,
        SUCCESS.replace("{CHECKOUT_SESSION_ID}", purchase.stripe_session_id or ""),
    )
    assert seller.balance(name) == 500
    entry = seller.get(f"/accounts/{name}/entries").get_json()["data"][0]
    assert (entry["kind"], entry["amount"], entry["metadata"]["package"]) == ("purchase", 500, "starter")
    shop.assert_sound()


def test_who_gives_up_is_led_back_and_charged_nothing(shop: Shop, seller: Caller) -> None:
    name = seller.new_account()
    purchase = purchase_at(shop, begin(seller, name).get_json()["url"])
    assert pay(shop, purchase, "cancel").headers["Location"] == CANCEL
    assert seller.balance(name) == 0


def test_the_account_of_a_user_buys_as_that_user(shop: Shop, seller: Caller) -> None:
    user = shop.new_buyer().user
    purchase = purchase_at(shop, begin(seller, user.external_id).get_json()["url"])
    assert (purchase.user_id, purchase.account_id) == (user.id, user.account_id)
    session = shop.stripe.v1.checkout.sessions.retrieve(purchase.stripe_session_id or "")
    assert session.customer is not None
    pay(shop, purchase)
    assert seller.get(f"/accounts/{user.external_id}").get_json()["available"] == 500 + 100


def test_the_same_key_leads_to_the_same_page_and_one_purchase(shop: Shop, seller: Caller) -> None:
    name = seller.new_account()
    first = begin(seller, name, key="k")
    again = begin(seller, name, key="k")
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (200, first.data, "true")
    assert "Idempotent-Replayed" not in first.headers
    assert_problem(begin(seller, name, key="k", package="standard"), 422, "idempotency_key_reused")
    assert_problem(begin(seller, name, key="k", cancel_url="https://other.example/"), 422, "idempotency_key_reused")
    other = begin(seller, name, key="other")
    assert other.get_json()["url"] != first.get_json()["url"]
    pay(shop, purchase_at(shop, first.get_json()["url"]))
    assert begin(seller, name, key="k").data == first.data
    assert seller.balance(name) == 500


def test_simultaneous_first_requests_lead_to_one_page(shop: Shop, seller: Caller) -> None:
    name = seller.new_account()

    def once(_number: int) -> tuple[int, bytes]:
        answer = begin(Caller(shop.app.test_client(), seller.secret), name, key="one")
        return answer.status_code, answer.data

    with ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(once, range(6)))) == 1
    purchases = shop.read(lambda session: session.scalars(select(Purchase).where(Purchase.external_id == name)).all())
    assert len(purchases) == 1


def test_while_stripe_is_away_nothing_is_lost_and_the_same_key_goes_on(
    shop: Shop, seller: Caller, servers: TestServers, make_app: Callable[..., Flask]
) -> None:
    away = Caller(make_app(servers, STRIPE_API_BASE="http://127.0.0.1:9").test_client(), seller.secret)
    name = seller.new_account()
    refused = begin(away, name, key="k")
    assert_problem(refused, 503, "unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    answer = begin(seller, name, key="k")
    assert answer.status_code == 200
    assert "Idempotent-Replayed" not in answer.headers
    assert purchase_at(shop, answer.get_json()["url"]).external_id == name


def test_the_page_speaks_the_language_and_takes_the_currency_that_the_caller_asks_for(
    shop: Shop, seller: Caller
) -> None:
    name = seller.new_account()
    body = {"account": name, "package": "starter", "currency": "usd", "success_url": SUCCESS, "cancel_url": CANCEL}
    answer = seller.post("/checkout-sessions", body, headers={"Accept-Language": "de"})
    purchase = purchase_at(shop, answer.get_json()["url"])
    assert (purchase.currency, purchase.locale) == ("USD", "de")
    assert shop.stripe.v1.checkout.sessions.retrieve(purchase.stripe_session_id or "").locale == "de"
    assert purchase_at(shop, begin(seller, name).get_json()["url"]).currency == "EUR"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"package": ""}, "package"),
        ({"package": "", "plan": "no-such-plan"}, "plan"),
        ({"plan": "pro"}, "plan"),
        ({"package": "no-such-package"}, "package"),
        ({"package": "\ufffd"}, "package"),
        ({"package": 5}, "package"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "euro"}, "currency"),
        ({"currency": 978}, "currency"),
        ({"success_url": ""}, "success_url"),
        ({"cancel_url": ""}, "cancel_url"),
        ({"success_url": "/credits"}, "success_url"),
        ({"success_url": "javascript:alert(1)"}, "success_url"),
        ({"success_url": "ftp://product.example/"}, "success_url"),
        ({"success_url": "https://"}, "success_url"),
        ({"success_url": "https://["}, "success_url"),
        ({"success_url": "https://a:port/"}, "success_url"),
        ({"success_url": "https://a b/"}, "success_url"),
        ({"success_url": "https:\\\\a"}, "success_url"),
        ({"success_url": "https://a/\n"}, "success_url"),
        ({"success_url": "https://a/" + "x" * 2000}, "success_url"),
        ({"success_url": None}, "success_url"),
        ({"price_minor": 1}, "price_minor"),
    ],
)
def test_a_malformed_session_is_refused_naming_the_field(
    seller: Caller, shop: Shop, change: dict[str, object], field: str
) -> None:
    name = seller.new_account()
    assert_problem(begin(seller, name, **change), 400, "invalid_request", field=field)
    assert not shop.read(lambda session: session.scalars(select(Purchase).where(Purchase.external_id == name)).all())


def test_a_refused_session_leaves_its_key_unused(seller: Caller) -> None:
    name = seller.new_account()
    assert begin(seller, name, key="k", package="no-such-package").status_code == 400
    assert begin(seller, name, key="k").status_code == 200


def test_a_session_needs_an_account_a_key_and_the_scope(
    seller: Caller, shop: Shop, caller_with: Callable[..., Caller]
) -> None:
    assert_problem(begin(seller, new_name()), 404, "account_not_found")
    name = seller.new_account()
    body = {"account": name, "package": "starter", "success_url": SUCCESS, "cancel_url": CANCEL}
    without_key = seller.post("/checkout-sessions", body, headers={"Idempotency-Key": None})
    assert_problem(without_key, 400, "invalid_request", field="Idempotency-Key")
    scopes = ["accounts:read", "accounts:write", "credits:spend", "credits:grant"]
    limited = Caller(shop.app.test_client(), make_secret(shop.app, scopes=scopes))
    assert_problem(begin(limited, name), 403, "missing_scope", scope="checkout:write")
    allowed = Caller(shop.app.test_client(), make_secret(shop.app, scopes=["checkout:write"]))
    assert begin(allowed, name).status_code == 200


def test_nobody_sees_the_purchase_of_an_account_without_a_user(shop: Shop, seller: Caller) -> None:
    purchase = purchase_at(shop, begin(seller, seller.new_account()).get_json()["url"])
    assert shop.new_buyer().come_back(purchase).status_code == 404


def test_nothing_is_sold_to_a_suspended_account(
    shop: Shop, seller: Caller, superuser_connection: psycopg.Connection
) -> None:
    user = shop.new_buyer().user
    superuser_connection.execute(
        "INSERT INTO suspensions (account_id, reason, actor, since) VALUES (%s, 'Chargebacks', 'test', now())",
        [user.account_id],
    )
    assert_problem(begin(seller, user.external_id), 403, "account_suspended", reason="Chargebacks")


def test_a_package_for_subscribers_is_sold_to_nobody_else(shop: Shop, seller: Caller) -> None:
    name = seller.new_account()
    problem = assert_problem(begin(seller, name, package="enterprise"), 400, "invalid_request", field="package")
    assert "subscribers" in problem["detail"]
