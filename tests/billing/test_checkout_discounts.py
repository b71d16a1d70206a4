"""Promotion codes and taxes of packages: what came is what counts, and what was agreed is what is granted."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import requests
from flask import Flask
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.billing.shop import Buyer, Shop, at_once
from tests.billing.test_commands import run
from tests.billing.test_disputes import available, deliver_disputes, open_dispute, spend
from tests.billing.test_refunding import ask, send
from tests.billing.test_reversal_pages import handle_refunds, latest, text_of
from webapp import ledger
from webapp.billing.checkout import open_checkout, start_purchase
from webapp.billing.fulfilment import settle_purchase
from webapp.billing.purchase import Purchase
from webapp.billing.refund_quote import quote_refund
from webapp.billing.refunding import ExceedsPayment
from webapp.catalog.package import find_package
from webapp.database import unit_of_work

SIGN_UP = 100


def code_for(shop: Shop, **coupon: Any) -> str:
    made = shop.stripe.v1.coupons.create(params={"duration": "once", **coupon})  # type: ignore[typeddict-item]
    code = f"C{uuid.uuid4().hex[:10]}".upper()
    shop.stripe.v1.promotion_codes.create(params={"promotion": {"type": "coupon", "coupon": made.id}, "code": code})
    return code


def bought_with(shop: Shop, buyer: Buyer, **coupon: Any) -> Purchase:
    """A Starter of 500 credits for 9 EUR, less what the coupon takes off; on its return page."""
    purchase = buyer.start()
    typed = {"promotion_code": code_for(shop, **coupon)} if coupon else {}
    assert shop.press(purchase.stripe_session_id or "", "pay", **typed).status_code == 303
    assert buyer.outcome(purchase) == "success"
    return shop.purchase(purchase.id)


def cost_of(shop: Shop, purchase: Purchase) -> int:
    assert purchase.grant_id is not None
    grant_id = purchase.grant_id
    return shop.read(
        lambda session: ledger.get_grant(session, account_id=purchase.account_id, grant_id=grant_id)
    ).cost_minor  # type: ignore[no-any-return]


def as_owner(shop: Shop, statement: str, *values: object) -> None:
    with psycopg.connect(shop.app.config["SETTINGS"].database_owner_url) as owner:
        owner.execute(statement.encode(), values)


@pytest.fixture
def taxes(shop: Shop) -> Iterator[Callable[..., None]]:
    """What Stripe reckons as tax from now on, for the length of a test."""

    def set_taxes(percent: float, *, inclusive: bool = False) -> None:
        settings = {"tax_percent": percent, "tax_inclusive": inclusive}
        assert requests.post(f"{shop.sandbox_url}/_sandbox/settings", json=settings, timeout=10).ok

    yield set_taxes
    set_taxes(0)


@pytest.fixture
def taxed(shop: Shop, servers: Any, make_app: Callable[..., Flask]) -> Shop:
    """The same shop, configured to have Stripe reckon taxes."""
    return Shop(app=make_app(servers, STRIPE_API_BASE=shop.sandbox_url, STRIPE_TAX="1"), sandbox_url=shop.sandbox_url)


def test_a_discounted_purchase_grants_all_its_credits_and_costs_what_was_paid(shop: Shop, buyer: Buyer) -> None:
    purchase = bought_with(shop, buyer, percent_off=30)
    assert (purchase.price_minor, purchase.paid_minor, purchase.tax_minor) == (900, 630, 0)
    assert buyer.bought() == [500]
    assert cost_of(shop, purchase) == 630
    shop.assert_sound()


def test_the_outcome_and_the_explanation_say_what_was_paid(shop: Shop, buyer: Buyer) -> None:
    purchase = bought_with(shop, buyer, percent_off=30)
    seen = text_of(buyer.come_back(purchase).text)
    assert "€6.30" in seen
    assert "Instead of €9.00, thanks to your promotion code." in seen
    assert "You bought “Starter”. You paid €6.30 instead of €9.00." in latest(buyer)


def test_an_order_for_nothing_grants_once_whoever_notices(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id or "", "pay", promotion_code=code_for(shop, percent_off=100))
    (completed,) = shop.events(purchase.stripe_session_id or "")
    assert completed["data"]["object"]["payment_status"] == "no_payment_required"

    def deliver() -> None:
        shop.deliver(completed)
        shop.work(completed["id"])

    at_once([deliver, lambda: buyer.outcome(purchase) and None, deliver])
    assert buyer.outcome(purchase) == "success"
    settled = shop.purchase(purchase.id)
    assert (settled.state, settled.paid_minor, settled.tax_minor) == ("fulfilled", 0, 0)
    assert (settled.stripe_payment_intent_id, settled.receipt_url) == (None, None)
    assert buyer.bought() == [500]
    assert cost_of(shop, settled) == 0
    shop.assert_sound()


def test_an_order_for_nothing_says_so_and_has_nothing_to_give_back(shop: Shop, buyer: Buyer) -> None:
    purchase = bought_with(shop, buyer, amount_off=5_000, currency="eur")
    seen = text_of(buyer.come_back(purchase).text)
    assert "There was nothing to pay." in seen
    assert "Receipt" not in seen
    assert "You paid nothing: your promotion code was worth the price of €9.00." in latest(buyer)
    for amount in (None, 1, 900):
        with pytest.raises(ExceedsPayment) as refused:
            ask(shop, purchase, amount)
        assert refused.value.left_minor == 0
    result = run(shop.app, "purchase", "quote", str(purchase.id))
    assert result.exit_code == 0, result.output
    assert "Unspent: 500 credits, worth €0.00 of €0.00" in result.output
    assert run(shop.app, "purchase", "refund", str(purchase.id), "--reason", "x", "--yes").exit_code == 1


def test_credits_that_cost_nothing_are_spent_before_those_that_were_paid(shop: Shop, buyer: Buyer) -> None:
    paid = bought_with(shop, buyer)
    free = bought_with(shop, buyer, percent_off=100)
    same_end = "UPDATE ledger.grants SET expires_at = '2099-01-01' WHERE account_id = %s AND source = 'purchase'"
    as_owner(shop, same_end, paid.account_id)
    spend(shop, buyer, SIGN_UP + 500)
    left = shop.read(
        lambda session: {
            one: ledger.get_grant(session, account_id=paid.account_id, grant_id=one).remaining
            for one in (paid.grant_id, free.grant_id)
        }
    )
    assert left == {paid.grant_id: 500, free.grant_id: 0}


def test_a_refund_takes_the_share_of_what_was_paid_not_of_the_price(shop: Shop, buyer: Buyer) -> None:
    purchase = bought_with(shop, buyer, percent_off=50)
    assert send(shop, ask(shop, purchase, 225)) == "succeeded"
    assert buyer.balance() == SIGN_UP + 250
    assert "€2.25 of the €4.50 paid for “Starter” were refunded" in latest(buyer)
    assert send(shop, ask(shop, purchase, None, intent="rest")) == "succeeded"
    assert buyer.balance() == SIGN_UP
    assert shop.purchase(purchase.id).refunded_minor == 450
    handle_refunds(shop, purchase)
    shop.assert_sound()


def test_a_quote_is_a_share_of_what_was_paid(shop: Shop, buyer: Buyer) -> None:
    purchase = bought_with(shop, buyer, percent_off=50)
    spend(shop, buyer, 100 + SIGN_UP)
    unspent = shop.read(lambda session: quote_refund(session, purchase=session.get_one(Purchase, purchase.id)))
    spent_first = 500 - unspent.unspent_credits
    assert unspent.left_minor == 450
    assert unspent.unspent_minor == (500 - spent_first) * 450 // 500
    with shop.app.app_context(), unit_of_work() as session, pytest.raises(ExceedsPayment):
        quote_refund(session, purchase=session.get_one(Purchase, purchase.id), amount_minor=451)


def test_a_lost_dispute_over_a_discounted_payment_takes_everything(shop: Shop, buyer: Buyer) -> None:
    purchase = bought_with(shop, buyer, percent_off=50)
    dispute = open_dispute(shop, purchase)
    deliver_disputes(shop, purchase)
    assert available(shop, buyer) == SIGN_UP
    assert requests.post(f"{shop.sandbox_url}/_sandbox/disputes/{dispute}/lose", json={}, timeout=10).ok
    deliver_disputes(shop, purchase)
    assert (shop.purchase(purchase.id).lost_minor, buyer.balance()) == (450, SIGN_UP)
    shop.assert_sound()


@pytest.mark.parametrize(
    ("inclusive", "paid", "tax", "cost"), [(False, 1_071, 171, 900), (True, 900, 144, 756)], ids=["on top", "within"]
)
def test_taxes_are_paid_and_refunded_but_are_no_cost_of_the_credits(
    taxed: Shop, taxes: Callable[..., None], inclusive: bool, paid: int, tax: int, cost: int
) -> None:
    taxes(19, inclusive=inclusive)
    buyer = taxed.new_buyer()
    purchase = bought_with(taxed, buyer)
    assert (purchase.paid_minor, purchase.tax_minor, cost_of(taxed, purchase)) == (paid, tax, cost)
    assert f"€{tax / 100:.2f} of it taxes." in text_of(buyer.come_back(purchase).text)
    assert f"You paid €{paid / 100:.2f}, €{tax / 100:.2f} of it taxes." in latest(buyer)
    assert send(taxed, ask(taxed, purchase, paid // 3)) == "succeeded"
    assert buyer.balance() == SIGN_UP + 500 - 167
    assert send(taxed, ask(taxed, purchase, None, intent="rest")) == "succeeded"
    assert taxed.purchase(purchase.id).refunded_minor == paid
    taxed.assert_sound()


def test_what_a_code_leaves_is_taxed(taxed: Shop, taxes: Callable[..., None]) -> None:
    taxes(19)
    buyer = taxed.new_buyer()
    purchase = bought_with(taxed, buyer, percent_off=50)
    assert (purchase.paid_minor, purchase.tax_minor, cost_of(taxed, purchase)) == (536, 86, 450)
    taxed.assert_sound()


def test_who_buys_without_being_a_user_is_taxed_and_has_no_card_kept(taxed: Shop, taxes: Callable[..., None]) -> None:
    taxes(19)
    user = taxed.new_buyer().user
    with taxed.app.app_context(), unit_of_work() as session:
        package = find_package(session, code="starter")
        assert package is not None
        purchase = start_purchase(
            session,
            package=package,
            price_minor=900,
            currency="EUR",
            user_id=None,
            account_id=user.account_id,
            external_id=user.external_id,
            intent="by-the-product",
            mode="sandbox",
            shown_name="Starter",
            locale="en",
            success_url="http://product.test/done",
            cancel_url="http://product.test/left",
        )
        purchase_id = purchase.id
        opened = open_checkout(session, purchase_id=purchase_id, email=None, base_url="http://x.test", tax=True)
        session_id = opened.stripe_session_id or ""
    made = taxed.stripe.v1.checkout.sessions.retrieve(session_id)
    assert (made.customer, made.saved_payment_method_options) == (None, None)
    taxed.press(session_id, "pay")
    with taxed.app.app_context(), unit_of_work() as session:
        settled = settle_purchase(session, purchase_id=purchase_id)
        assert (settled.state, settled.paid_minor, settled.tax_minor) == ("fulfilled", 1_071, 171)
    taxed.assert_sound()


def test_taxes_are_asked_for_as_configured_and_the_summary_says_so(shop: Shop, taxed: Shop, buyer: Buyer) -> None:
    other = taxed.new_buyer()
    for one, wanted in ((buyer, False), (other, True)):
        assert ("Taxes are added there" in one.browser.get("/packages/starter/buy").text) is wanted
        session = shop.stripe.v1.checkout.sessions.retrieve(one.start().stripe_session_id or "")
        assert (session.automatic_tax.enabled, session.allow_promotion_codes) == (wanted, True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"total_details,amount_discount": 800}, "amount in total"),
        ({"total_details,amount_discount": 800, "amount_total": 100}, "amount received"),
        ({"total_details,amount_discount": -100, "amount_total": 1_000}, "discount"),
        ({"total_details,amount_discount": 1_000, "amount_total": -100}, "discount"),
        ({"total_details,amount_tax": 171, "amount_total": 1_071}, "tax"),
        ({"total_details,amount_tax": -100, "amount_total": 800}, "tax"),
        ({"amount_subtotal": 100}, "amount"),
        ({"amount_subtotal": 90_000, "total_details,amount_discount": 89_100}, "amount"),
        ({"payment_status": "no_payment_required"}, "amount to pay"),
        (
            {
                "payment_status": "no_payment_required",
                "amount_total": 0,
                "total_details,amount_discount": 900,
            },
            "payment",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_sums_that_do_not_come_out_are_parked_and_never_granted(
    shop: Shop, buyer: Buyer, change: dict[str, Any], named: str
) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id or "", "pay")
    for path, value in change.items():
        as_owner(
            shop,
            "UPDATE stripe_sandbox.objects SET data = jsonb_set(data, %s::text[], %s) WHERE id = %s",
            path.split(","),
            Jsonb(value),
            purchase.stripe_session_id,
        )
    assert buyer.outcome(purchase) == "parked"
    parked = shop.purchase(purchase.id)
    assert (parked.reason or "").startswith(f"{named}:"), parked.reason
    assert buyer.bought() == []
    shop.assert_sound()


def test_taxes_that_are_said_after_the_fact_leave_the_purchase_as_it_was(shop: Shop, buyer: Buyer) -> None:
    purchase = bought_with(shop, buyer, percent_off=30)
    as_owner(
        shop,
        "UPDATE stripe_sandbox.objects SET data = jsonb_set(jsonb_set(data, '{amount_total}', '700'),"
        " '{total_details,amount_discount}', '200') WHERE id = %s",
        purchase.stripe_session_id,
    )
    with shop.app.app_context(), unit_of_work() as session:
        settle_purchase(session, purchase_id=purchase.id)
    after = shop.purchase(purchase.id)
    assert (after.state, after.paid_minor) == ("fulfilled", 630)
    assert "amount paid: 700 instead of 630" in (after.reason or "")
    assert buyer.bought() == [500]


@pytest.mark.parametrize("change", ["paid_minor = 900", "tax_minor = 1", "paid_minor = NULL, tax_minor = NULL"])
def test_what_was_paid_is_never_changed(shop: Shop, buyer: Buyer, change: str) -> None:
    purchase = bought_with(shop, buyer, percent_off=30)
    with shop.app.app_context(), pytest.raises(DBAPIError), unit_of_work() as session:
        session.execute(text(f"UPDATE purchases SET {change} WHERE id = {purchase.id}"))


def test_a_grant_that_cost_something_else_than_was_paid_is_found(shop: Shop, buyer: Buyer) -> None:
    purchase = bought_with(shop, buyer, percent_off=30)
    as_owner(shop, "ALTER TABLE purchases DISABLE TRIGGER guard_purchase_paid")
    as_owner(shop, "UPDATE purchases SET paid_minor = 900 WHERE id = %s", purchase.id)
    result = run(shop.app, "ledger", "verify", "--account", buyer.user.external_id)
    as_owner(shop, "UPDATE purchases SET paid_minor = 630 WHERE id = %s", purchase.id)
    as_owner(shop, "ALTER TABLE purchases ENABLE TRIGGER guard_purchase_paid")
    assert result.exit_code == 1
    assert "at a cost of 630 instead of 900" in result.output
    shop.assert_sound()


def test_a_code_that_is_wrong_takes_nothing_off_and_grants_nothing(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    assert shop.press(purchase.stripe_session_id or "", "pay", promotion_code="WRONG").status_code == 422
    assert buyer.outcome(purchase) == "cancelled"
    assert buyer.bought() == []


def test_a_delayed_payment_with_a_code_is_credited_when_the_money_is_here(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    code = code_for(shop, percent_off=30)
    shop.press(purchase.stripe_session_id or "", "delay", promotion_code=code)
    assert (buyer.outcome(purchase), buyer.bought()) == ("pending", [])
    shop.settle_delayed_payments()
    assert (buyer.outcome(purchase), buyer.bought()) == ("success", [500])
    assert shop.purchase(purchase.id).paid_minor == 630
