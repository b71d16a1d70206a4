"""Money given back takes its share of the credits back, once."""

import requests

from tests.billing.shop import Buyer, Shop, at_once
from webapp.billing.take_back import revoke_target

SIGN_UP = 100


def test_payment_and_refund_at_once_end_with_the_share_that_is_left(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    intent = str(shop.stripe.v1.checkout.sessions.retrieve(purchase.stripe_session_id).payment_intent)

    def refund() -> None:
        shop.stripe.v1.refunds.create(params={"payment_intent": intent, "amount": 90})

    def come_back() -> None:
        assert buyer.come_back(purchase).status_code == 200

    at_once([refund, come_back] * 4)
    assert buyer.outcome(purchase) == "success"  # the last event would look once more, too
    assert buyer.balance() == SIGN_UP + 500 - 4 * 50
    shop.assert_sound()


def test_a_refund_takes_back_its_share_once_whatever_the_order_of_the_events(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    assert buyer.outcome(purchase) == "success"
    settled = shop.purchase(purchase.id)
    intent = settled.stripe_payment_intent_id
    shop.stripe.v1.refunds.create(params={"payment_intent": intent, "amount": 300})
    shop.stripe.v1.refunds.create(params={"payment_intent": intent, "amount": 150})
    refunds = [
        event
        for event in shop.all_events()
        if event["type"].startswith(("charge.refund", "refund."))
        and event["data"]["object"]["payment_intent"] == intent
    ]
    assert len(refunds) >= 2
    for event in reversed(refunds + refunds):
        shop.deliver(event)
        shop.work(event["id"])
    assert buyer.balance() == SIGN_UP + 250
    assert shop.purchase(purchase.id).refunded_minor == 450
    shop.assert_sound()


def test_a_payment_refunded_before_it_was_fulfilled_leaves_nothing(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    found = shop.stripe.v1.checkout.sessions.retrieve(purchase.stripe_session_id)
    shop.stripe.v1.refunds.create(params={"payment_intent": str(found.payment_intent)})
    refunded = next(
        event
        for event in shop.all_events()
        if event["type"] == "charge.refunded" and event["data"]["object"]["payment_intent"] == found.payment_intent
    )
    shop.deliver(refunded)
    shop.work(refunded["id"])
    assert shop.event(refunded["id"]).state == "handled"
    assert buyer.bought() == [500]
    assert buyer.balance() == SIGN_UP
    shop.assert_sound()


def test_a_refund_that_fails_gives_the_credits_back(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    assert buyer.outcome(purchase) == "success"
    intent = shop.purchase(purchase.id).stripe_payment_intent_id
    refund = shop.stripe.v1.refunds.create(params={"payment_intent": intent, "amount": 450})
    assert buyer.outcome(purchase) == "success"
    assert buyer.balance() == SIGN_UP + 250
    assert requests.post(f"{shop.sandbox_url}/_sandbox/refunds/{refund.id}/fail", timeout=10).ok
    failed = next(event for event in shop.all_events()[::-1] if event["type"] == "refund.failed")
    shop.deliver(failed)
    shop.work(failed["id"])
    assert buyer.balance() == SIGN_UP + 500
    assert shop.purchase(purchase.id).refunded_minor == 0
    shop.assert_sound()


def test_the_share_to_revoke_is_rounded_half_up_from_the_total() -> None:
    assert revoke_target(credits=500, price_minor=900, refunded_minor=900) == 500
    assert revoke_target(credits=500, price_minor=900, refunded_minor=0) == 0
    assert revoke_target(credits=1, price_minor=2, refunded_minor=1) == 1
    assert revoke_target(credits=3, price_minor=2, refunded_minor=1) == 2
    assert revoke_target(credits=500, price_minor=900, refunded_minor=1) == 1
    assert revoke_target(credits=10**15, price_minor=99_999_999, refunded_minor=33_333_333) == 333_333_333_333_333
