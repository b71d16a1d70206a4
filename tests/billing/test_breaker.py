"""While Stripe is down nobody waits for it, and the buy page says so; one call at a time finds out when it is back."""

import time
from collections.abc import Iterator

import pytest
import stripe
from flask import Flask
from redis import Redis

from tests.billing.shop import Buyer, Shop
from tests.billing.test_disputes import control
from webapp import queue
from webapp.billing import breaker
from webapp.billing.stripe_api import PaymentsUnavailable, UnknownToStripe, calling, client


@pytest.fixture
def app(shop: Shop) -> Iterator[Flask]:
    def close() -> None:
        with shop.app.app_context():
            redis: Redis = shop.app.extensions["redis"]
            for key in redis.scan_iter("breaker:*"):
                redis.delete(key)

    close()
    with shop.app.app_context():
        yield shop.app
    close()


def fail(times: int = 1, error: stripe.StripeError | None = None) -> None:
    for _ in range(times):
        with pytest.raises(PaymentsUnavailable), calling("test"):
            raise error or stripe.APIConnectionError("nobody there")


def let_time_pass(app: Flask, name: str) -> None:
    """What Redis would forget by itself is forgotten."""
    app.extensions["redis"].delete(breaker._key(name))


def test_after_a_few_failures_stripe_is_not_asked(app: Flask) -> None:
    fail(breaker.FAILURES - 1)
    assert not breaker.is_open()
    fail()
    assert breaker.is_open()
    asked = False
    with pytest.raises(PaymentsUnavailable, match="not asked"), calling("test"):
        asked = True
    assert not asked


def test_failures_far_apart_do_not_open_it(app: Flask) -> None:
    for _ in range(breaker.FAILURES * 2):
        fail()
        let_time_pass(app, "failures")
    assert not breaker.is_open()
    fail()
    assert 0 < app.extensions["redis"].ttl(breaker._key("failures")) <= breaker.WINDOW_SECONDS


@pytest.mark.parametrize(
    "error",
    [
        stripe.InvalidRequestError("no", "amount", http_status=400),
        stripe.RateLimitError("slower", http_status=429),
        stripe.AuthenticationError("who?", http_status=401),
        stripe.CardError("no", None, "card_declined", http_status=402),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_is_an_answer(app: Flask, error: stripe.StripeError) -> None:
    fail(breaker.FAILURES * 2, error)
    assert not breaker.is_open()


def test_afterwards_one_call_at_a_time_finds_out(app: Flask) -> None:
    fail(breaker.FAILURES)
    let_time_pass(app, "open")
    with calling("probe"):
        with pytest.raises(PaymentsUnavailable), calling("at the same time"):
            pass
    assert breaker.may_ask()
    assert breaker.may_ask()


def test_a_probe_that_fails_opens_it_again_at_once(app: Flask) -> None:
    fail(breaker.FAILURES)
    let_time_pass(app, "open")
    fail()
    assert breaker.is_open()
    assert 0 < app.extensions["redis"].ttl(breaker._key("open")) <= breaker.OPEN_SECONDS


def test_a_probe_whose_process_died_is_forgotten(app: Flask) -> None:
    fail(breaker.FAILURES)
    let_time_pass(app, "open")
    assert breaker.may_ask()
    assert not breaker.may_ask()
    assert 0 < app.extensions["redis"].ttl(breaker._key("probe")) <= breaker.PROBE_SECONDS


def test_what_stripe_does_not_know_closes_it(app: Flask) -> None:
    fail(breaker.FAILURES)
    let_time_pass(app, "open")
    with pytest.raises(UnknownToStripe), calling("test"):
        raise stripe.InvalidRequestError("no such thing", "id", http_status=404)
    assert breaker.may_ask()
    assert breaker.may_ask()


def test_without_redis_there_is_no_breaker(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Flask("away")
    queue.configure(away, redis_url="redis://127.0.0.1:9/0")
    monkeypatch.setitem(app.extensions, "redis", away.extensions["redis"])
    began = time.monotonic()
    fail(breaker.FAILURES * 2)
    assert breaker.may_ask()
    assert not breaker.is_open()
    assert time.monotonic() - began < 5, "nobody waits for Redis to come back"


def test_the_buy_page_says_so_and_sells_again_when_stripe_is_back(app: Flask, shop: Shop, buyer: Buyer) -> None:
    def page() -> str:
        return buyer.browser.get("/packages/starter/buy").text

    assert "Pay €9.00" in page()
    control(shop, "settings", down=True)
    try:
        for _ in range(breaker.FAILURES):
            with pytest.raises(PaymentsUnavailable), calling("test"):
                client().v1.customers.list(params={"limit": 1})
        assert 'id="payments-away"' in page()
        assert "Pay €9.00" not in page()
        assert buyer.browser.get("/packages/starter/buy").status_code == 200
    finally:
        control(shop, "settings", down=False)
    let_time_pass(app, "open")
    assert "Pay €9.00" in page()
    assert buyer.buy().status_code == 303
    assert breaker.may_ask()


def test_the_page_of_a_plan_says_so_unless_the_plan_is_free(app: Flask, shop: Shop, buyer: Buyer) -> None:
    fail(breaker.FAILURES)
    page = buyer.browser.get("/plans/pro/subscribe").text
    assert 'id="payments-away"' in page
    assert "Pay €" not in page
    assert 'id="payments-away"' not in buyer.browser.get("/plans/free/subscribe").text
    let_time_pass(app, "open")
    assert "Pay €" in buyer.browser.get("/plans/pro/subscribe").text
