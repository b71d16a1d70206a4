"""From a payment to credits, exactly once."""

import re
from collections.abc import Callable
from functools import partial
from itertools import permutations
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.billing.shop import Buyer, Shop, at_once
from webapp import ledger
from webapp.billing.fulfilment import settle_purchase
from webapp.database import unit_of_work

SIGN_UP = 100


def test_a_paid_purchase_becomes_credits_on_the_return_page(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start("standard", currency="JPY")
    assert shop.press(purchase.stripe_session_id, "pay").status_code == 303
    assert buyer.outcome(purchase) == "success"
    assert buyer.bought() == [2000]
    assert buyer.balance() == SIGN_UP + 2000
    settled = shop.purchase(purchase.id)
    grant = shop.read(
        lambda session: ledger.get_grant(session, account_id=settled.account_id, grant_id=settled.grant_id)
    )
    assert (grant.source, grant.source_key) == ("purchase", f"purchase:{purchase.id}")
    assert (grant.cost_minor, grant.cost_currency, grant.description) == (4600, "JPY", "Standard")
    assert settled.paid_at is not None
    assert (grant.expires_at - settled.paid_at).days in (365, 366)
    shop.assert_sound()


def test_the_event_alone_is_enough_when_the_buyer_closes_the_window(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    (completed,) = shop.events(purchase.stripe_session_id)
    assert shop.deliver(completed).status_code == 200
    assert shop.event(completed["id"]).state == "received"
    assert buyer.bought() == []
    shop.work(completed["id"])
    assert shop.event(completed["id"]).state == "handled"
    assert buyer.bought() == [500]
    shop.assert_sound()


def test_replayed_webhook_grants_once(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    (completed,) = shop.events(purchase.stripe_session_id)
    for _ in range(3):
        assert shop.deliver(completed).status_code == 200
        shop.work(completed["id"])
    assert buyer.bought() == [500]


@pytest.mark.parametrize("way", ["pay", "delay"])
def test_every_event_twice_at_once_with_the_buyer_racing_grants_once(shop: Shop, buyer: Buyer, way: str) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, way)
    if way == "delay":
        shop.settle_delayed_payments()
    events = shop.events(purchase.stripe_session_id)
    assert len(events) == (2 if way == "delay" else 1)

    def deliver(event: dict[str, Any]) -> None:
        assert shop.deliver(event).status_code == 200
        shop.work(event["id"])

    def settle() -> None:
        with shop.app.app_context(), unit_of_work() as session:
            settle_purchase(session, purchase_id=purchase.id)

    def come_back() -> None:
        assert buyer.come_back(purchase).status_code == 200

    at_once([*(partial(deliver, event) for event in events * 2), settle, settle, come_back, come_back])
    assert buyer.bought() == [500]
    assert shop.purchase(purchase.id).state == "fulfilled"
    assert {shop.event(event["id"]).state for event in events} == {"handled"}
    shop.assert_sound()


def test_a_delayed_payment_is_pending_and_then_credited(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "delay")
    assert buyer.outcome(purchase) == "pending"
    assert buyer.bought() == []
    shop.settle_delayed_payments()
    assert buyer.outcome(purchase) == "success"
    assert buyer.bought() == [500]


def test_events_of_a_delayed_payment_may_come_in_every_order(shop: Shop) -> None:
    for order in permutations(range(2)):
        buyer = shop.new_buyer()
        purchase = buyer.start()
        shop.press(purchase.stripe_session_id, "delay")
        shop.settle_delayed_payments()
        events = shop.events(purchase.stripe_session_id)
        assert [event["type"] for event in events] == [
            "checkout.session.completed",
            "checkout.session.async_payment_succeeded",
        ]
        for place in order:
            shop.deliver(events[place])
            shop.work(events[place]["id"])
        assert buyer.bought() == [500]


def test_a_delayed_payment_that_fails_grants_nothing(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "fail_later")
    assert buyer.outcome(purchase) == "pending"
    shop.settle_delayed_payments()
    failed = shop.events(purchase.stripe_session_id)[-1]
    assert failed["type"] == "checkout.session.async_payment_failed"
    shop.deliver(failed)
    shop.work(failed["id"])
    assert shop.purchase(purchase.id).state == "failed"
    assert buyer.outcome(purchase) == "failed"
    assert buyer.bought() == []


def test_an_expired_checkout_says_so(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.stripe.v1.checkout.sessions.expire(purchase.stripe_session_id)
    assert buyer.outcome(purchase) == "expired"
    (expired,) = shop.events(purchase.stripe_session_id)
    shop.deliver(expired)
    shop.work(expired["id"])
    assert shop.purchase(purchase.id).state == "expired"
    assert buyer.bought() == []


def test_leaving_the_pay_page_costs_nothing_and_one_can_go_on(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    left = shop.press(purchase.stripe_session_id, "cancel")
    back = buyer.browser.get(left.headers["Location"].split(":8000")[1], follow_redirects=True)
    assert back.status_code == 200
    assert 'data-outcome="cancelled"' in back.text
    assert shop.press(purchase.stripe_session_id, "decline").status_code in (200, 402)
    assert buyer.outcome(purchase) == "cancelled"
    shop.press(purchase.stripe_session_id, "pay")
    assert buyer.outcome(purchase) == "success"
    assert buyer.bought() == [500]


def test_an_event_that_beats_our_own_answer_from_stripe_finds_its_purchase(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    lost = purchase.stripe_session_id
    _as_owner(shop, "ALTER TABLE purchases DISABLE TRIGGER guard_purchase")
    _as_owner(
        shop,
        f"UPDATE purchases SET stripe_session_id = NULL, checkout_url = NULL, state = 'new' WHERE id = {purchase.id}",
    )
    _as_owner(shop, "ALTER TABLE purchases ENABLE TRIGGER guard_purchase")
    shop.press(lost, "pay")
    (completed,) = shop.events(lost)
    shop.deliver(completed)
    shop.work(completed["id"])
    assert shop.purchase(purchase.id).state == "fulfilled"
    assert buyer.bought() == [500]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("data = jsonb_set(data, '{amount_total}', '1')", "amount"),
        ("data = jsonb_set(data, '{currency}', '\"usd\"')", "currency"),
        ("data = jsonb_set(data, '{livemode}', 'true')", "livemode"),
        ("data = jsonb_set(data, '{mode}', '\"subscription\"')", "mode"),
        ("data = jsonb_set(data, '{client_reference_id}', '\"usr_somebody_else\"')", "client reference"),
        ("data = jsonb_set(data, '{metadata,purchase}', '\"1\"')", "purchase"),
    ],
)
def test_what_differs_from_the_snapshot_is_parked_and_never_granted(
    shop: Shop, buyer: Buyer, change: str, named: str
) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    (completed,) = shop.events(purchase.stripe_session_id)
    _as_owner(shop, f"UPDATE stripe_sandbox.objects SET {change} WHERE id = '{purchase.stripe_session_id}'")
    shop.deliver(completed)
    shop.work(completed["id"])
    parked = shop.purchase(purchase.id)
    assert parked.state == "parked"
    assert parked.reason.startswith(named)
    event = shop.event(completed["id"])
    assert event.state == "parked"
    assert named in event.reason
    assert buyer.outcome(purchase) == "parked"
    assert buyer.bought() == []
    shop.assert_sound()


def test_credits_named_in_the_payment_mean_nothing(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.stripe.v1.checkout.sessions.update(purchase.stripe_session_id, params={"metadata": {"credits": "999999"}})
    shop.press(purchase.stripe_session_id, "pay")
    assert buyer.outcome(purchase) == "success"
    assert buyer.bought() == [500]


def test_a_session_that_stripe_does_not_know_is_parked(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    _as_owner(shop, f"DELETE FROM stripe_sandbox.objects WHERE id = '{purchase.stripe_session_id}'")
    assert buyer.outcome(purchase) == "parked"


def test_the_snapshot_is_never_changed_and_a_purchase_never_unfulfilled(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    assert buyer.outcome(purchase) == "success"
    for change in ("credits = 5000", "price_minor = 1", "currency = 'USD'", "account_id = 1", "state = 'open'"):
        with shop.app.app_context(), pytest.raises(DBAPIError), unit_of_work() as session:
            session.execute(text(f"UPDATE purchases SET {change} WHERE id = {purchase.id}"))
    with shop.app.app_context(), pytest.raises(DBAPIError, match="permission denied"), unit_of_work() as session:
        session.execute(text(f"DELETE FROM purchases WHERE id = {purchase.id}"))


def test_a_purchase_of_another_mode_is_left_alone(
    shop: Shop, buyer: Buyer, servers: Any, make_app: Callable[..., Flask]
) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    other = make_app(
        servers,
        STRIPE_API_BASE=shop.sandbox_url,
        STRIPE_SECRET_KEY="sk_test_x",
        STRIPE_WEBHOOK_SECRET="whsec_x",
        SECRET_KEY="s" * 40,
        LEDGER_SEAL_KEY="l" * 40,
    )
    with other.app_context(), unit_of_work() as session:
        assert settle_purchase(session, purchase_id=purchase.id).state == "open"
    assert buyer.bought() == []


def test_a_purchase_that_stripe_never_heard_of_is_given_up_after_a_day(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    _as_owner(shop, "ALTER TABLE purchases DISABLE TRIGGER guard_purchase")
    _as_owner(shop, f"UPDATE purchases SET stripe_session_id = NULL, state = 'new' WHERE id = {purchase.id}")
    for age, state in (("23 hours", "new"), ("25 hours", "expired")):
        _as_owner(shop, f"UPDATE purchases SET created_at = now() - interval '{age}' WHERE id = {purchase.id}")
        with shop.app.app_context(), unit_of_work() as session:
            assert settle_purchase(session, purchase_id=purchase.id).state == state
    _as_owner(shop, "ALTER TABLE purchases ENABLE TRIGGER guard_purchase")


def test_an_event_about_something_else_is_kept_and_ignored(shop: Shop) -> None:
    session = shop.stripe.v1.checkout.sessions.create(
        params={
            "mode": "payment",
            "success_url": "http://elsewhere.test/",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {"currency": "eur", "unit_amount": 900, "product_data": {"name": "Other"}},
                }
            ],
        }
    )
    shop.press(session.id, "pay")
    for event in shop.all_events()[-4:]:
        assert shop.deliver(event).status_code == 200
        shop.work(event["id"])
        assert shop.event(event["id"]).state == "ignored"


def test_the_pay_page_speaks_the_buyers_language_or_the_browsers(shop: Shop, buyer: Buyer) -> None:
    buyer.browser.client.set_cookie("locale", "ar")
    assert re.search("[a-z]", buyer.start().locale)


def _as_owner(shop: Shop, statement: str) -> None:
    import psycopg

    settings = shop.app.config["SETTINGS"]
    with psycopg.connect(settings.database_owner_url) as connection:
        connection.execute(statement)
