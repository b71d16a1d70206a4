"""A buyer's bank asks for the money back: the credits wait, and then follow the money."""

from typing import Any

import pytest
import requests
from sqlalchemy import text

from tests.billing.shop import Buyer, Shop
from tests.billing.test_commands import run
from webapp import ledger
from webapp.billing.dispute import disputes_of
from webapp.billing.purchase import Purchase
from webapp.billing.reversals import DisputeFact, RefundFact, Reversals
from webapp.clock import now
from webapp.database import unit_of_work

SIGN_UP = 100
DISPUTED_CARD = "4000000000000259"


def bought(shop: Shop, buyer: Buyer) -> Purchase:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id or "", "pay")
    assert buyer.outcome(purchase) == "success"
    return shop.purchase(purchase.id)


def charge_of(shop: Shop, purchase: Purchase) -> str:
    intent = shop.stripe.v1.payment_intents.retrieve(purchase.stripe_payment_intent_id or "")
    return str(intent.latest_charge)


def control(shop: Shop, path: str, **sent: Any) -> None:
    answer = requests.post(f"{shop.sandbox_url}/_sandbox/{path}", json=sent, timeout=10)
    assert answer.ok, answer.text


def open_dispute(shop: Shop, purchase: Purchase) -> str:
    """The bank has opened one; its id."""
    control(shop, f"charges/{charge_of(shop, purchase)}/dispute")
    found = shop.stripe.v1.disputes.list(params={"charge": charge_of(shop, purchase)})
    return found.data[0].id


def deliver_disputes(shop: Shop, purchase: Purchase) -> list[str]:
    """Every event about the purchase's disputes, handled; what became of them."""
    events = [
        event
        for event in shop.all_events()
        if event["type"].startswith("charge.dispute.")
        and event["data"]["object"]["payment_intent"] == purchase.stripe_payment_intent_id
    ]
    assert events
    for event in events:
        assert shop.deliver(event).status_code == 200
        shop.work(event["id"])
    return [shop.event(event["id"]).state for event in events]


def available(shop: Shop, buyer: Buyer) -> int:
    account_id = buyer.user.account_id
    return int(shop.read(lambda session: ledger.balance(session, account_id=account_id).available))


def spend(shop: Shop, buyer: Buyer, amount: int) -> None:
    with shop.app.app_context(), unit_of_work() as session:
        account_id = buyer.user.account_id
        ledger.spend(session, account_id=account_id, amount=amount, idempotency_key=f"spend-{amount}", actor="test")


def kept(shop: Shop, purchase: Purchase) -> list[tuple[str, str, str | None]]:
    rows = shop.read(lambda session: disputes_of(session, purchase_id=purchase.id))
    return [(row.status, row.state, row.funds) for row in rows]


def test_an_open_dispute_freezes_what_is_left_of_the_grant(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    dispute_id = open_dispute(shop, purchase)
    assert set(deliver_disputes(shop, purchase)) == {"handled"}
    assert buyer.balance() == SIGN_UP + 500
    assert available(shop, buyer) == SIGN_UP
    assert kept(shop, purchase) == [("needs_response", "open", "withdrawn")]
    (row,) = shop.read(lambda session: disputes_of(session, purchase_id=purchase.id))
    assert (row.stripe_dispute_id, row.amount_minor, row.currency, row.reason) == (dispute_id, 900, "EUR", "fraudulent")
    assert row.evidence_due_at > now()
    shop.assert_sound()


def test_a_lost_dispute_takes_the_credits_and_what_was_spent_becomes_debt(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    spend(shop, buyer, SIGN_UP + 200)
    dispute_id = open_dispute(shop, purchase)
    deliver_disputes(shop, purchase)
    control(shop, f"disputes/{dispute_id}/lose")
    deliver_disputes(shop, purchase)
    assert buyer.balance() == -200
    settled = shop.purchase(purchase.id)
    assert (settled.refunded_minor, settled.lost_minor) == (0, 900)
    assert kept(shop, purchase) == [("lost", "lost", "withdrawn")]
    shop.assert_sound()


def test_a_won_dispute_leaves_everything_as_it_was(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    spend(shop, buyer, SIGN_UP + 200)
    dispute_id = open_dispute(shop, purchase)
    deliver_disputes(shop, purchase)
    assert available(shop, buyer) == 0
    control(shop, f"disputes/{dispute_id}/win")
    deliver_disputes(shop, purchase)
    assert (buyer.balance(), available(shop, buyer)) == (300, 300)
    assert kept(shop, purchase) == [("won", "over", "reinstated")]
    account_id = purchase.account_id
    page = shop.read(lambda session: ledger.entries(session, account_id=account_id, limit=20))
    assert [entry.kind for entry in page.entries] == ["spend", "purchase", "grant"]
    shop.assert_sound()


def test_a_dispute_over_the_rest_after_a_refund_takes_no_more_than_was_paid(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    shop.stripe.v1.refunds.create(params={"payment_intent": purchase.stripe_payment_intent_id or "", "amount": 270})
    dispute_id = open_dispute(shop, purchase)
    deliver_disputes(shop, purchase)
    assert buyer.balance() == SIGN_UP + 350
    control(shop, f"disputes/{dispute_id}/lose")
    deliver_disputes(shop, purchase)
    assert buyer.balance() == SIGN_UP
    settled = shop.purchase(purchase.id)
    assert (settled.refunded_minor, settled.lost_minor) == (270, 630)
    shop.assert_sound()


def test_a_dispute_that_comes_before_anything_else_finds_its_purchase(shop: Shop, buyer: Buyer) -> None:
    """The card of the test is disputed at once; nobody has told of the payment yet."""
    purchase = buyer.start()
    url = f"{shop.sandbox_url}/c/pay/{purchase.stripe_session_id}"
    requests.post(url, data={"action": "pay", "card": DISPUTED_CARD}, allow_redirects=False, timeout=10)
    requests.post(f"{shop.sandbox_url}/_sandbox/run", timeout=10)
    session = shop.stripe.v1.checkout.sessions.retrieve(purchase.stripe_session_id or "")
    purchase.stripe_payment_intent_id = str(session.payment_intent)
    assert set(deliver_disputes(shop, purchase)) == {"handled"}
    assert buyer.bought() == [500]
    assert (buyer.balance(), available(shop, buyer)) == (SIGN_UP + 500, SIGN_UP)
    shop.assert_sound()


def test_held_credits_of_a_disputed_grant_can_be_captured_and_become_debt_when_it_is_lost(
    shop: Shop, buyer: Buyer
) -> None:
    purchase = bought(shop, buyer)
    with shop.app.app_context(), unit_of_work() as session:
        held = ledger.place_hold(
            session, account_id=purchase.account_id, amount=SIGN_UP + 50, idempotency_key="hold", actor="test"
        )
    dispute_id = open_dispute(shop, purchase)
    deliver_disputes(shop, purchase)
    control(shop, f"disputes/{dispute_id}/lose")
    deliver_disputes(shop, purchase)
    with shop.app.app_context(), unit_of_work() as session:
        ledger.capture_hold(
            session,
            account_id=purchase.account_id,
            number=held.hold.number,
            idempotency_key="capture",
            actor="test",
        )
    assert buyer.balance() == -50
    shop.assert_sound()


@pytest.mark.parametrize(
    ("status", "state", "balance", "free"),
    [
        ("warning_needs_response", "asked", SIGN_UP + 500, SIGN_UP + 500),
        ("warning_under_review", "asked", SIGN_UP + 500, SIGN_UP + 500),
        ("warning_closed", "over", SIGN_UP + 500, SIGN_UP + 500),
        ("under_review", "open", SIGN_UP + 500, SIGN_UP),
        ("appeal_under_review", "lost", SIGN_UP, SIGN_UP),
    ],
)
def test_only_a_dispute_with_the_money_away_freezes(
    shop: Shop, buyer: Buyer, status: str, state: str, balance: int, free: int
) -> None:
    purchase = bought(shop, buyer)
    dispute_id = open_dispute(shop, purchase)
    as_owner(shop, f"data = jsonb_set(data, '{{status}}', '\"{status}\"')", dispute_id)
    deliver_disputes(shop, purchase)
    assert [row[:2] for row in kept(shop, purchase)] == [(status, state)]
    assert (buyer.balance(), available(shop, buyer)) == (balance, free)
    shop.assert_sound()


def test_a_lost_dispute_in_another_currency_waits_for_a_person(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    dispute_id = open_dispute(shop, purchase)
    as_owner(shop, """data = data || '{"status": "lost", "currency": "usd"}'""", dispute_id)
    assert set(deliver_disputes(shop, purchase)) == {"parked"}
    assert (buyer.balance(), available(shop, buyer)) == (SIGN_UP + 500, SIGN_UP)
    shop.assert_sound()
    as_owner(shop, """data = data || '{"status": "won"}'""", dispute_id)
    event = [event for event in shop.all_events() if event["data"]["object"]["id"] == dispute_id][-1]
    replayed = run(shop.app, "stripe", "replay", event["id"])
    assert (replayed.exit_code, available(shop, buyer)) == (0, SIGN_UP + 500), replayed.output
    shop.assert_sound()


def test_a_dispute_about_something_else_is_ignored(shop: Shop) -> None:
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
    paid = shop.stripe.v1.checkout.sessions.retrieve(session.id, params={"expand": ["payment_intent"]})
    control(shop, f"charges/{paid.payment_intent.latest_charge}/dispute")  # type: ignore[union-attr]
    (created,) = [event for event in shop.all_events() if event["type"] == "charge.dispute.created"][-1:]
    shop.deliver(created)
    shop.work(created["id"])
    assert shop.event(created["id"]).state == "ignored"
    none = text("SELECT count(*) FROM disputes WHERE stripe_dispute_id = :id")
    assert shop.read(lambda session: session.scalar(none, {"id": created["data"]["object"]["id"]})) == 0


def test_refunds_and_lost_disputes_are_together_never_above_the_price() -> None:
    def dispute(amount: int, status: str, net: int = 0) -> DisputeFact:
        return DisputeFact(
            stripe_dispute_id="du",
            amount_minor=amount,
            currency="EUR",
            status=status,
            reason="general",
            evidence_due_at=None,
            opened_at=now(),
            net_minor=net,
        )

    def refund(amount: int, status: str) -> RefundFact:
        return RefundFact(
            stripe_refund_id="re",
            amount_minor=amount,
            currency="EUR",
            status=status,
            failure=None,
            made_at=now(),
            asked_as=None,
        )

    def gone(*facts: DisputeFact | RefundFact) -> tuple[int, int]:
        all_of_it = Reversals(
            refunds=tuple(fact for fact in facts if isinstance(fact, RefundFact)),
            disputes=tuple(fact for fact in facts if isinstance(fact, DisputeFact)),
        )
        return all_of_it.refunded_minor(price_minor=900), all_of_it.lost_minor(price_minor=900)

    assert gone() == (0, 0)
    assert gone(refund(270, "succeeded"), refund(100, "pending"), refund(50, "requires_action")) == (420, 0)
    assert gone(refund(270, "failed"), refund(100, "canceled")) == (0, 0)
    assert gone(refund(270, "succeeded"), dispute(900, "lost")) == (270, 630)
    assert gone(dispute(400, "lost"), dispute(400, "needs_response"), dispute(100, "won")) == (0, 400)
    assert gone(dispute(1000, "lost")) == (0, 900)
    assert gone(dispute(900, "prevented", net=-900)) == (0, 900)
    assert gone(refund(900, "succeeded"), dispute(900, "prevented")) == (900, 0)


def as_owner(shop: Shop, change: str, object_id: str) -> None:
    import psycopg

    settings = shop.app.config["SETTINGS"]
    with psycopg.connect(settings.database_owner_url) as connection:
        connection.execute(f"UPDATE stripe_sandbox.objects SET {change} WHERE id = '{object_id}'")
