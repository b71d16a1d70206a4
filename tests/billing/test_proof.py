"""The invariants between what was paid and what the ledger holds, seen broken."""

from datetime import timedelta

import psycopg

from tests.billing.shop import Buyer, Shop
from tests.billing.test_commands import run
from webapp import clock, ledger
from webapp.billing.proof import violations
from webapp.database import unit_of_work


def found(shop: Shop, account_id: int | None = None) -> list[str]:
    with shop.app.app_context(), unit_of_work() as session:
        day = timedelta(days=1)
        return [each.detail for each in violations(session, undone_since=clock.now() - day, account_id=account_id)]


def tamper(shop: Shop, statement: str) -> None:
    with psycopg.connect(shop.app.config["SETTINGS"].database_owner_url) as owner:
        owner.execute("ALTER TABLE purchases DISABLE TRIGGER guard_purchase")
        owner.execute(statement)
        owner.execute("ALTER TABLE purchases ENABLE TRIGGER guard_purchase")


def test_a_purchase_with_other_credits_than_its_grant_is_found(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    assert buyer.outcome(purchase) == "success"
    assert found(shop, purchase.account_id) == []
    for wrong, right in (
        ("credits = 501", "credits = 500"),
        ("refunded_minor = 9", "refunded_minor = 0"),
        ("state = 'open', grant_id = NULL, paid_at = NULL", "state = 'fulfilled', grant_id = 2, paid_at = now()"),
    ):
        tamper(shop, f"UPDATE purchases SET {wrong} WHERE id = {purchase.id}")
        detail, *_ = found(shop, purchase.account_id)
        assert detail.startswith(f"purchase {purchase.id}: granted 500 credits in 1 grants")
        result = run(shop.app, "ledger", "verify", "--account", buyer.user.external_id)
        assert result.exit_code == 1
        assert "invariant 8" in result.output
        tamper(shop, f"UPDATE purchases SET {right} WHERE id = {purchase.id}")
    assert found(shop, purchase.account_id) == []
    assert run(shop.app, "ledger", "verify", "--account", buyer.user.external_id).exit_code == 0


def test_money_that_is_not_on_record_as_refunded_or_disputed_is_found(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    assert buyer.outcome(purchase) == "success"
    for wrong in (
        "UPDATE purchases SET refunded_minor = 9 WHERE id = {id}",
        "UPDATE purchases SET refunded_minor = 0, lost_minor = 9 WHERE id = {id}",
    ):
        tamper(shop, wrong.format(id=purchase.id))
        assert any(
            "refunded" in detail and "instead of 0 and 0" in detail for detail in found(shop, purchase.account_id)
        )
    tamper(shop, f"UPDATE purchases SET lost_minor = 0 WHERE id = {purchase.id}")
    tamper(
        shop,
        "INSERT INTO disputes (stripe_dispute_id, mode, purchase_id, stripe_payment_intent_id, amount_minor, currency,"
        f" reason, status, state, opened_at) VALUES ('du_{purchase.id}', 'sandbox', {purchase.id}, 'pi', 900, 'EUR',"
        " 'fraudulent', 'needs_response', 'open', now())",
    )
    assert any("1 disputes open but 0 freezes" in detail for detail in found(shop, purchase.account_id))
    tamper(shop, f"DELETE FROM disputes WHERE purchase_id = {purchase.id}")
    assert found(shop, purchase.account_id) == []


def test_a_grant_that_says_it_was_bought_and_was_not_is_found(shop: Shop, buyer: Buyer) -> None:
    account_id = buyer.user.account_id
    with shop.app.app_context(), unit_of_work() as session:
        ledger.grant(
            session,
            account_id=account_id,
            amount=5_000,
            source="purchase",
            source_key="purchase:999999999",
            actor="test",
        )
        (found_one,) = violations(session, undone_since=clock.now(), account_id=account_id)
        assert found_one.detail == "grant 2 of 5000 credits says purchase:999999999, and no such purchase has it"
        session.rollback()


def test_what_was_left_undone_is_found(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    (completed,) = shop.events(purchase.stripe_session_id)
    shop.deliver(completed)
    for table, column in (("stripe_events", "received_at"), ("outbox", "created_at")):
        key = "id = '{}'" if table == "stripe_events" else "key = 'stripe-event:{}'"
        where = key.format(completed["id"])
        tamper(shop, f"UPDATE {table} SET {column} = {column} - interval '2 days' WHERE {where}")
    details = found(shop)
    assert any(completed["id"] in detail for detail in details)
    assert any("outbox" in detail for detail in details)
    shop.work(completed["id"])
    assert not any(completed["id"] in detail for detail in found(shop))
