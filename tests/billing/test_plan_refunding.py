"""Giving back from here what a plan was paid with, over HTTP, with the real SDK against the sandbox."""

from typing import Any

import pytest
from sqlalchemy import select

from jobs.refund_plan import refund_plan as refund_job
from tests.billing.plan_shop import PlanShop, buyer, on_plan, plan_grants, shop
from tests.billing.plans import assert_ledger_sound
from tests.billing.shop import Buyer
from webapp.billing.plan_refunding import plan_payment_named, refund_plan, send_plan_refund
from webapp.billing.refund import Refund
from webapp.billing.refunding import ExceedsPayment, IntentReused, NotRefundable
from webapp.billing.subscription import SubscriptionInvoice
from webapp.database import unit_of_work
from webapp.outbox import OutboxRow

__all__ = ["buyer", "shop"]  # the fixtures of a shop whose clock can be moved


def run(shop: PlanShop, *args: str) -> tuple[int, str]:
    found = shop.app.test_cli_runner().invoke(args=["plan", *args])
    return found.exit_code, found.output.replace("\xa0", " ")


def invoice_of(shop: PlanShop) -> str:
    return shop.read(lambda s: s.scalars(select(SubscriptionInvoice.stripe_invoice_id)).one())


def payment_of(shop: PlanShop, name: str) -> str:
    found = shop.read(lambda session: plan_payment_named(session, name=name))
    assert found, name
    return str(found)


def spend(shop: PlanShop, buyer: Buyer, amount: int) -> None:
    from webapp import ledger

    with shop.app.app_context(), unit_of_work() as session:
        key = f"spend-{amount}"
        ledger.spend(session, account_id=buyer.user.account_id, amount=amount, idempotency_key=key, actor="test")


def test_an_invoice_is_quoted_and_refunded_by_its_name(shop: PlanShop, buyer: Buyer) -> None:
    spend(shop, buyer, 100)  # those of the sign-up, which may expire before those of the month or after them
    on_plan(shop, buyer)
    spend(shop, buyer, 500)
    invoice = invoice_of(shop)
    code, said = run(shop, "quote", invoice)
    assert code == 0, said
    assert "Unspent: 500 credits, worth €6.00 of €12.00" in said
    assert "takes 500 credits and makes 0 of debt" in said
    assert plan_grants(shop, buyer)[0][2] == 500
    code, said = run(shop, "refund", invoice, "--amount", "3.60", "--reason", "Asked", "--yes")
    assert code == 0, said
    assert "of €3.60: succeeded." in said
    assert plan_grants(shop, buyer) == [("subscription", 1000, 200, 1200)]
    code, said = run(shop, "refund", payment_of(shop, invoice), "--reason", "Asked", "--yes")
    assert (code, "of €8.40: succeeded." in said) == (0, True), said
    code, said = run(shop, "refund", invoice, "--reason", "Asked", "--yes")
    assert (code, "At most €0.00" in said) == (1, True)
    shop.hear()
    assert plan_grants(shop, buyer) == [("subscription", 1000, 0, 1200)]
    refunds = shop.read(lambda s: s.scalars(select(Refund).order_by(Refund.id)).all())
    assert [(one.amount_minor, one.state, one.actor) for one in refunds] == [
        (360, "succeeded", "admin:cli"),
        (840, "succeeded", "admin:cli"),
    ]
    assert_ledger_sound(shop.app)


def test_a_plan_for_life_is_worth_what_is_still_to_come(shop: PlanShop, buyer: Buyer) -> None:
    session_id = on_plan(shop, buyer, "lifetime")
    spend(shop, buyer, 400)
    code, said = run(shop, "quote", session_id)
    assert (code, "worth €242.08 of €249.00" in said) == (0, True), said
    assert run(shop, "quote", "1") == (code, said)
    code, said = run(shop, "refund", "1", "--reason", "Asked", "--yes")
    assert (code, "of €249.00: succeeded." in said) == (0, True), said
    shop.pass_days(31)
    assert [grant[2] for grant in plan_grants(shop, buyer)] == [0, 0]
    assert_ledger_sound(shop.app)


def test_what_was_paid_by_nobody_is_said(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    for name in ("1", "in_nothing", "pi_nothing", "cs_nothing", "9" * 30, "pro"):
        code, said = run(shop, "quote", name)
        assert (code, "No plan was paid with" in said) == (1, True), name


def test_the_same_intent_is_one_refund_and_a_worker_finds_the_one_that_was_made(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    payment = payment_of(shop, invoice_of(shop))
    asked: dict[str, Any] = {"payment_intent_id": payment, "reason": "Asked", "actor": "admin:test", "intent": "i"}
    with shop.app.app_context():
        for _ in range(2):
            with unit_of_work() as session:
                refund_id = refund_plan(session, amount_minor=400, **asked).id
        with pytest.raises(IntentReused), unit_of_work() as session:
            refund_plan(session, amount_minor=500, **asked)
        with pytest.raises(ExceedsPayment), unit_of_work() as session:
            refund_plan(session, amount_minor=900, **{**asked, "intent": "more than is left"})
        with pytest.raises(_Killed):
            _send_and_die(refund_id)
    assert shop.read(lambda s: s.get_one(Refund, refund_id)).state == "new"
    row_id = shop.read(lambda s: s.scalars(select(OutboxRow.id).where(OutboxRow.job == "refund_plan")).one())
    for _ in range(2):
        with shop.app.app_context():
            refund_job(row_id)
    assert shop.read(lambda s: s.get_one(Refund, refund_id)).state == "succeeded"
    assert len(shop.stripe.v1.refunds.list({"payment_intent": payment}).data) == 1
    assert plan_grants(shop, buyer)[0][2] == 667
    assert_ledger_sound(shop.app)


def test_while_a_payment_is_disputed_nothing_is_refunded(shop: PlanShop, buyer: Buyer) -> None:
    import requests

    on_plan(shop, buyer)
    payment = payment_of(shop, invoice_of(shop))
    charge = shop.stripe.v1.payment_intents.retrieve(payment).latest_charge
    opened = requests.post(f"{shop.sandbox_url}/_sandbox/charges/{charge}/dispute", json={}, timeout=10)
    assert opened.ok, opened.text
    shop.hear()
    code, said = run(shop, "refund", payment, "--reason", "Asked", "--yes")
    assert (code, "the bank has the money" in said) == (1, True), said
    with shop.app.app_context(), pytest.raises(NotRefundable), unit_of_work() as session:
        refund_plan(session, payment_intent_id="pi_x", amount_minor=1, reason="", actor="", intent="x")


def test_the_numbers_that_a_command_takes_stand_where_people_read_them(shop: PlanShop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id or "", "pay")
    assert f"Purchase {purchase.id}" in buyer.come_back(purchase).text
    entry = shop.purchase(purchase.id).grant_id
    assert f"Purchase {purchase.id}" in buyer.browser.get(f"/credits/entries/{entry}").text
    session_id = on_plan(shop, buyer, "lifetime")
    page = buyer.browser.get("/checkout/return", query_string={"session_id": session_id}).text
    assert "Order 1" in page
    on_plan(shop, buyer)
    grant = next(period.grant_id for period in shop.member(buyer).periods() if period.stripe_invoice_id)
    assert invoice_of(shop) in buyer.browser.get(f"/credits/entries/{grant}").text


def _send_and_die(refund_id: int) -> None:
    with unit_of_work() as session:
        send_plan_refund(session, refund_id=refund_id)
        raise _Killed


class _Killed(Exception):
    """The process is gone before it could commit."""
