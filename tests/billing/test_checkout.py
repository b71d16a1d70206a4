"""Buying: from the summary to Stripe's pay page and back."""

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from flask import Flask

from tests.billing.shop import Buyer, Shop
from tests.people.browser import Browser

INTENT = "an-intent-of-this-test-1"


@pytest.fixture
def odd_packages(shop: Shop) -> Iterator[None]:
    """A package that is no longer sold, one in euros only, and one without any price."""
    settings = shop.app.config["SETTINGS"]
    with psycopg.connect(settings.database_owner_url, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO packages (code, name, credits, position, active, valid_days)"
            " VALUES ('retired', 'Retired', 5, 90, false, 3), ('euro', '100 % <b>&\"Euro', 7, 91, true, 3),"
            " ('priceless', 'Priceless', 9, 92, true, 3)"
        )
        owner.execute("INSERT INTO package_prices VALUES ('retired', 'EUR', 100), ('euro', 'EUR', 100)")
        yield
        owner.execute("DELETE FROM package_prices WHERE package IN ('retired', 'euro')")
        owner.execute("DELETE FROM packages WHERE code IN ('retired', 'euro', 'priceless')")


def test_the_summary_says_what_for_how_much_and_until_when(buyer: Buyer) -> None:
    page = buyer.browser.get("/packages/starter/buy?currency=JPY").text
    assert "500 credits" in page
    assert "¥1,400" in page
    assert re.search(r"expire on\s*<time datetime=", page)
    assert "600 credits" in page  # the balance afterwards


def test_buying_leads_to_stripe_with_everything_from_the_snapshot(shop: Shop, buyer: Buyer) -> None:
    answer = buyer.buy("standard", currency="GBP")
    assert answer.status_code == 303
    (purchase,) = buyer.purchases()
    assert answer.headers["Location"] == purchase.checkout_url
    assert (purchase.credits, purchase.price_minor, purchase.currency) == (2000, 2500, "GBP")
    assert (purchase.package, purchase.package_name, purchase.valid_months) == ("standard", "Standard", 12)
    session = shop.stripe.v1.checkout.sessions.retrieve(
        purchase.stripe_session_id, params={"expand": ["line_items", "customer"]}
    )
    assert (session.amount_total, session.currency) == (2500, "gbp")
    assert session.client_reference_id == buyer.user.external_id
    assert session.metadata.to_dict() == {"purchase": str(purchase.id)}
    assert session.locale == "en"
    assert session.customer.email == buyer.browser.email
    assert "session_id={CHECKOUT_SESSION_ID}" in session.success_url


def test_the_second_purchase_is_made_by_the_same_customer(shop: Shop, buyer: Buyer) -> None:
    sessions = [shop.stripe.v1.checkout.sessions.retrieve(buyer.start().stripe_session_id) for _ in range(2)]
    assert sessions[0].id != sessions[1].id
    assert sessions[0].customer == sessions[1].customer is not None


def test_the_same_form_submitted_twice_is_one_purchase(buyer: Buyer) -> None:
    locations = {buyer.buy(intent=INTENT).headers["Location"] for _ in range(3)}
    assert len(locations) == 1
    assert len(buyer.purchases()) == 1


def test_the_same_form_submitted_at_once_is_one_purchase(buyer: Buyer) -> None:
    token = buyer.browser.token("/packages/starter/buy")
    cookie = buyer.browser.cookie
    locations: list[str] = []
    barrier = threading.Barrier(6)

    def submit() -> None:
        browser = Browser(buyer.shop.app)
        browser.cookie = cookie
        barrier.wait(10)
        answer = browser.post_raw("/packages/starter/buy", {"csrf_token": token, "intent": INTENT})
        locations.append(answer.headers.get("Location", str(answer.status_code)))

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(locations)) == 1, locations
    assert "/c/pay/cs_" in locations[0]
    assert len(buyer.purchases()) == 1


def test_going_back_after_paying_and_submitting_again_does_not_charge_again(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start(intent=INTENT)
    shop.press(purchase.stripe_session_id, "pay")
    assert buyer.outcome(purchase) == "success"
    again = buyer.buy(intent=INTENT)
    assert again.status_code == 303
    assert again.headers["Location"] == f"/checkout/return?session_id={purchase.stripe_session_id}"
    assert buyer.bought() == [500]


def test_one_intent_for_two_packages_is_two_purchases(buyer: Buyer) -> None:
    buyer.buy("starter", intent=INTENT)
    buyer.buy("standard", intent=INTENT)
    assert sorted(purchase.credits for purchase in buyer.purchases()) == [500, 2000]


@pytest.mark.parametrize("code", ["nothing", "starter%00", "%F0%9F%92%B0", "x" * 300, "Starter"])
def test_an_unknown_package_is_not_found(buyer: Buyer, code: str) -> None:
    assert buyer.browser.get(f"/packages/{code}/buy").status_code == 404
    token = buyer.browser.token("/packages/starter/buy")
    answer = buyer.browser.post_raw(f"/packages/{code}/buy", {"csrf_token": token})
    assert answer.status_code == 404


@pytest.mark.usefixtures("odd_packages")
def test_a_package_that_is_not_sold_is_gone(buyer: Buyer) -> None:
    token = buyer.browser.token("/packages/starter/buy")
    for code in ("retired", "priceless"):
        assert buyer.browser.get(f"/packages/{code}/buy").status_code == 410
        assert buyer.browser.post_raw(f"/packages/{code}/buy", {"csrf_token": token}).status_code == 410
    assert buyer.purchases() == []


def test_a_package_for_subscribers_is_refused_with_the_reason(buyer: Buyer) -> None:
    token = buyer.browser.token("/packages/starter/buy")
    for answer in (
        buyer.browser.get("/packages/enterprise/buy"),
        buyer.browser.post_raw("/packages/enterprise/buy", {"csrf_token": token}),
    ):
        assert answer.status_code == 403
        assert "subscribers only" in answer.text
    assert buyer.purchases() == []


@pytest.mark.usefixtures("odd_packages")
@pytest.mark.parametrize("currency", ["CHF", "JPY", "", "eur\x00", "€", "E" * 5000, "%s"])
def test_a_currency_that_is_not_offered_is_named_as_the_error(buyer: Buyer, currency: str) -> None:
    token = buyer.browser.token("/packages/euro/buy")
    answer = buyer.browser.post_raw("/packages/euro/buy", {"csrf_token": token, "currency": currency})
    assert answer.status_code == 422
    assert "not offered in that currency" in answer.text
    assert buyer.purchases() == []


@pytest.mark.usefixtures("odd_packages")
def test_a_hostile_name_is_text_everywhere(shop: Shop, buyer: Buyer) -> None:
    for page in (buyer.browser.get("/packages/euro/buy"), buyer.browser.get("/pricing")):
        assert page.status_code == 200
        assert "100 % &lt;b&gt;&amp;&#34;Euro" in page.text
    purchase = buyer.start("euro")
    shop.press(purchase.stripe_session_id, "pay")
    answer = buyer.come_back(purchase)
    assert "100 % &lt;b&gt;&amp;&#34;Euro" in answer.text


def test_an_intent_that_is_no_token_is_replaced(buyer: Buyer) -> None:
    for intent in ("", "short", "x" * 65, "ä" * 20, "'; DROP TABLE purchases; --", "\x00" * 20):
        assert buyer.buy(intent=intent).status_code == 303
    assert len(buyer.purchases()) == 6


def test_strangers_are_asked_to_log_in_and_come_back(shop: Shop) -> None:
    stranger = Browser(shop.app)
    answer = stranger.get("/packages/starter/buy?currency=USD")
    assert answer.status_code == 303
    assert "next=/packages/starter/buy" in answer.headers["Location"].replace("%2F", "/")
    assert stranger.get("/checkout/return?session_id=cs_test_x").status_code == 303


def test_a_form_without_its_token_buys_nothing(buyer: Buyer) -> None:
    assert buyer.browser.post_raw("/packages/starter/buy").status_code == 400
    assert buyer.purchases() == []


def test_when_stripe_is_away_nothing_is_lost_and_the_same_form_works_later(
    shop: Shop, servers: Any, make_app: Callable[..., Flask]
) -> None:
    away = Shop(app=make_app(servers, STRIPE_API_BASE="http://127.0.0.1:9"), sandbox_url=shop.sandbox_url)
    buyer = away.new_buyer()
    answer = buyer.buy(intent=INTENT)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "30"
    assert "Nothing was charged" in answer.text
    assert f'name="intent" value="{INTENT}"' in answer.text
    (purchase,) = buyer.purchases()
    assert (purchase.state, purchase.stripe_session_id) == ("new", None)
    later = Browser(shop.app)
    later.cookie = buyer.browser.cookie
    back = Buyer(shop=shop, browser=later)
    later.email = buyer.browser.email
    assert back.buy(intent=INTENT).status_code == 303
    assert [found.id for found in back.purchases()] == [purchase.id]


def test_coming_back_while_stripe_is_away_promises_no_more_than_is_known(
    shop: Shop, servers: Any, make_app: Callable[..., Flask], buyer: Buyer
) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    away = make_app(servers, STRIPE_API_BASE="http://127.0.0.1:9")
    browser = Browser(away)
    browser.cookie = buyer.browser.cookie
    page = browser.get("/checkout/return", query_string={"session_id": purchase.stripe_session_id})
    assert page.status_code == 200
    assert 'data-outcome="pending"' in page.text
    assert buyer.outcome(purchase) == "success"


def test_a_failed_return_page_says_when_the_database_lock_is_taken(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    settings = shop.app.config["SETTINGS"]
    with psycopg.connect(settings.database_owner_url) as owner:
        owner.execute("SELECT 1 FROM purchases WHERE id = %s FOR UPDATE", [purchase.id])
        assert buyer.outcome(purchase) == "pending"
    assert buyer.outcome(purchase) == "success"


def test_only_the_buyer_sees_the_outcome(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    somebody = shop.new_buyer()
    assert somebody.come_back(purchase).status_code == 404
    assert somebody.browser.get(f"/checkout/cancelled/{purchase.id}").status_code == 404
    assert somebody.browser.get(f"/purchases/{purchase.id}").status_code == 404
    own = buyer.browser.get(f"/purchases/{purchase.id}")
    assert (own.status_code, own.location) == (303, f"/checkout/return?session_id={purchase.stripe_session_id}")


@pytest.mark.parametrize(
    "session_id",
    ["", "x", "cs_", "cs_test_unknown", "cs_%00", "cs_' OR 1=1", "cs_" + "a" * 5000, "{CHECKOUT_SESSION_ID}", "ä"],
)
def test_a_garbage_session_id_is_not_found(buyer: Buyer, session_id: str) -> None:
    assert buyer.browser.get("/checkout/return", query_string={"session_id": session_id}).status_code == 404


@pytest.mark.parametrize("path", ["0", "99999999999999999999999", "-1", "x"])
def test_a_garbage_purchase_is_not_found(buyer: Buyer, path: str) -> None:
    assert buyer.browser.get(f"/checkout/cancelled/{path}").status_code == 404


def test_a_pending_purchase_looks_again_by_itself_and_turns_to_credited(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "delay")
    page = buyer.come_back(purchase).text
    assert "<html" in page
    found = re.search(r'hx-get="([^"]+)" hx-trigger="load delay:2s"', page)
    assert found
    fragment = buyer.browser.get(found[1].replace("&amp;", "&"), headers={"HX-Request": "true"})
    assert "<html" not in fragment.text
    assert 'data-outcome="pending"' in fragment.text
    shop.settle_delayed_payments()
    for poll in (5, 6):
        fragment = buyer.browser.get(
            "/checkout/return",
            query_string={"session_id": purchase.stripe_session_id, "poll": str(poll)},
            headers={"HX-Request": "true"},
        )
        assert 'data-outcome="success"' in fragment.text
        assert "hx-get" not in fragment.text


@pytest.mark.parametrize(("poll", "looks_again"), [("59", True), ("60", False), ("9" * 50, False), ("x", True)])
def test_looking_again_has_an_end(shop: Shop, buyer: Buyer, poll: str, looks_again: bool) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "delay")
    assert ("hx-get" in buyer.come_back(purchase, poll=poll).text.split('id="purchase"')[1]) is looks_again


def test_who_came_from_a_page_of_ours_is_led_back_to_it(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start(next="/credits/playground?feature=image")
    shop.press(purchase.stripe_session_id, "pay")
    assert 'href="/credits/playground?feature=image"' in buyer.come_back(purchase).text
    for evil in ("//evil.example", "https://evil.example", "/\\evil", "javascript:alert(1)"):
        assert buyer.start(next=evil).return_to is None


def test_the_receipt_is_offered(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    page = buyer.come_back(purchase).text
    receipt = shop.purchase(purchase.id).receipt_url
    assert receipt
    assert urlsplit(receipt).scheme in ("http", "https")
    assert receipt in page
