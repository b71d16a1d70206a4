"""What was paid at Stripe has its credits here, and the other way round, even when nobody told."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from jobs.reconcile_stripe import reconcile_stripe
from tests.billing.conftest import open_shop
from tests.billing.shop import Buyer, Shop
from tests.billing.test_commands import run
from tests.billing.test_disputes import as_owner, bought
from tests.billing.test_refunding import ask
from tests.conftest import _new_database
from webapp import clock
from webapp.billing.reconcile import Line, reconcile
from webapp.billing.refund import Refund
from webapp.billing.refunding import outbox_key
from webapp.billing.stripe_event import StripeEvent
from webapp.database import unit_of_work

SIGN_UP = 100


@pytest.fixture(scope="module")
def shop(server_addresses: tuple[str, str, Path], make_app: Callable[..., Flask]) -> Iterator[Shop]:
    """One of these tests alone: of all that others have sold in theirs, each purchase would be asked about."""
    with open_shop(_new_database(server_addresses), make_app) as shop:
        yield shop


def report(shop: Shop, *, closely: bool = True) -> list[Line]:
    with shop.app.app_context():
        return list(reconcile(since=clock.now() - timedelta(minutes=1), closely=closely))


def about(lines: list[Line], name: object) -> list[str]:
    return [line.outcome for line in lines if str(name) in line.what]


@pytest.mark.parametrize("closely", [True, False])
def test_a_paid_session_without_a_grant_is_granted(shop: Shop, buyer: Buyer, closely: bool) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id or "", "pay")
    assert about(report(shop, closely=closely), purchase.stripe_session_id) == ["repaired"]
    assert buyer.bought() == [500]
    again = report(shop, closely=closely)
    assert about(again, purchase.stripe_session_id) == []
    assert about(again, f"purchase {purchase.id} ") == (["fine"] if closely else [])
    shop.assert_sound()


def test_an_event_that_stripe_could_not_deliver_is_fetched_and_handled(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    refund = shop.stripe.v1.refunds.create(
        params={"payment_intent": purchase.stripe_payment_intent_id or "", "amount": 450}
    )
    events = [event for event in shop.all_events() if event["data"]["object"].get("id") == refund.id]
    lost = events[0]["id"]
    as_undelivered(shop, lost)
    assert about(report(shop, closely=False), lost) == ["repaired"]
    assert shop.event(lost).state == "handled"
    assert buyer.balance() == SIGN_UP + 250
    assert about(report(shop, closely=False), lost) == []


def test_events_that_nobody_cares_about_are_left_where_they_are(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id or "", "pay")
    created = next(event for event in shop.all_events()[::-1] if event["type"] == "charge.succeeded")
    as_undelivered(shop, created["id"])
    assert about(report(shop), created["id"]) == []
    assert shop.read(lambda session: session.get(StripeEvent, created["id"])) is None


def test_credits_whose_payment_is_not_paid_are_reported_and_stay(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    session_id = purchase.stripe_session_id or ""
    as_owner(shop, """data = data || '{"payment_status": "unpaid", "amount_total": 1}'""", session_id)
    for closely in (True, False):
        assert about(report(shop, closely=closely), f"purchase {purchase.id} (its credits are granted)") == ["parked"]
    assert "amount in total: 1 instead of 900" in shop.purchase(purchase.id).reason
    assert buyer.bought() == [500]
    result = run(shop.app, "stripe", "reconcile", "--since", "10m")
    assert result.exit_code == 1
    assert (
        f"parked    purchase {purchase.id} (its credits are granted): amount in total: 1 instead of 900"
        in result.output
    )
    as_owner(shop, """data = data || '{"payment_status": "paid", "amount_total": 900}'""", session_id)
    assert about(report(shop), f"purchase {purchase.id} ") == ["repaired"]
    assert shop.purchase(purchase.id).reason is None


def test_a_paid_session_that_says_it_is_ours_and_fits_nothing_is_reported(shop: Shop) -> None:
    made = shop.stripe.v1.checkout.sessions.create(
        params={
            "mode": "payment",
            "success_url": "http://elsewhere.test/",
            "metadata": {"purchase": "99999999"},
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {"currency": "eur", "unit_amount": 900, "product_data": {"name": "Other"}},
                }
            ],
        }
    )
    shop.press(made.id, "pay")
    assert about(report(shop, closely=False), made.id) == ["parked"]
    as_owner(shop, "data = jsonb_set(data, '{metadata}', '{}')", made.id)
    assert about(report(shop, closely=False), made.id) == []


def test_a_refund_that_nobody_tried_any_more_is_made(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    refund = ask(shop, purchase, 450)
    assert about(report(shop, closely=False), f"refund {refund.id} ") == []  # the outbox is at it
    with shop.app.app_context(), unit_of_work() as session:
        session.get_one(Refund, refund.id).created_at -= timedelta(hours=3)
    assert about(report(shop, closely=False), f"refund {refund.id} ") == ["repaired"]
    assert buyer.balance() == SIGN_UP + 250
    assert shop.outbox_row(outbox_key(refund.id)).done_at is not None
    assert about(report(shop, closely=False), f"refund {refund.id} ") == []
    shop.assert_sound()


def test_each_night_repairs_by_itself(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id or "", "pay")
    with shop.app.app_context():
        reconcile_stripe()
        reconcile_stripe()
    assert buyer.bought() == [500]


def as_undelivered(shop: Shop, event_id: str) -> None:
    """An endpoint has not taken it yet."""
    as_owner(shop, "data = jsonb_set(data, '{pending_webhooks}', '1')", event_id)
