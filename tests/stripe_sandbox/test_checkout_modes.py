"""Checkout beyond one payment: saving cards, promotion codes, the bank's question, taxes, invoices, currencies."""

from typing import Any

import pytest
import requests
import stripe

from tests.stripe_sandbox.conftest import Sandbox, starter
from tests.stripe_sandbox.test_subscriptions import buyer, checkout, monthly, pass_days


def page_of(session: Any) -> str:
    return requests.get(session.url, timeout=10).text


def setup_session(sandbox: Sandbox, **more: Any) -> Any:
    params = {"mode": "setup", "success_url": "http://shop.test/done", "currency": "eur"}
    return sandbox.api.checkout.sessions.create(params | more)


def coded(sandbox: Sandbox, **coupon: Any) -> Any:
    made = sandbox.api.coupons.create(coupon or {"percent_off": 20, "duration": "once"})
    return sandbox.api.promotion_codes.create({"promotion": {"type": "coupon", "coupon": made.id}, "code": "SPRING"})


def test_setup_mode_saves_the_card_and_takes_nothing(sandbox: Sandbox) -> None:
    customer = sandbox.api.customers.create({"email": "ada@example.com"})
    session = setup_session(sandbox, customer=customer.id, setup_intent_data={"metadata": {"a": "b"}})
    assert (session.payment_status, session.amount_total) == ("no_payment_required", None)
    page = page_of(session)
    for action in ("pay", "decline", "delay", "fail_later"):
        assert f'name="action" value="{action}"' in page
    assert sandbox.press(session, "decline").status_code == 402
    assert sandbox.press(session, "pay").status_code == 303
    done = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent"]})
    assert (done.status, done.setup_intent.status, done.setup_intent.metadata["a"]) == ("complete", "succeeded", "b")
    saved = sandbox.api.payment_methods.list({"customer": customer.id}).data
    assert [one.id for one in saved] == [done.setup_intent.payment_method]
    assert sandbox.api.charges.list().data == []


def test_expired_setup_session_cancels_its_intent(sandbox: Sandbox) -> None:
    session = setup_session(sandbox)
    sandbox.api.checkout.sessions.expire(session.id)
    assert sandbox.api.setup_intents.retrieve(session.setup_intent).status == "canceled"


def test_card_is_saved_on_request_and_offered_the_next_time(sandbox: Sandbox) -> None:
    customer = buyer(sandbox, method=None)
    first = sandbox.open_session(customer=customer.id, payment_intent_data={"setup_future_usage": "off_session"})
    sandbox.press(first, "pay")
    saved = sandbox.api.payment_methods.list({"customer": customer.id}).data[0]
    assert saved.allow_redisplay == "limited"
    assert saved.id not in page_of(sandbox.open_session(customer=customer.id))
    shown = {"allow_redisplay_filters": ["always", "limited"]}
    again = sandbox.open_session(customer=customer.id, saved_payment_method_options=shown)
    assert saved.id in page_of(again)
    sandbox.press(again, "pay", card=saved.id)
    assert sandbox.api.charges.list().data[0].payment_method == saved.id
    stranger = sandbox.open_session(customer=buyer(sandbox, method=None).id)
    assert sandbox.press(stranger, "pay", card=saved.id).status_code == 400
    assert sandbox.api.checkout.sessions.retrieve(stranger.id).status == "open"


@pytest.mark.parametrize("mode", ["payment", "subscription", "setup"])
def test_bank_asks_and_is_answered_on_the_way(sandbox: Sandbox, mode: str) -> None:
    if mode == "setup":
        session = setup_session(sandbox)
    else:
        session = sandbox.open_session() if mode == "payment" else checkout(sandbox, monthly(sandbox))
    card = "4000002500003155"
    asked = sandbox.press(session, "pay", card=card)
    assert (asked.status_code, 'value="authenticate"' in asked.text, card in asked.text) == (200, True, True)
    assert sandbox.press(session, "refuse", card=card).status_code == 402
    assert sandbox.press(session, "authenticate", card=card).status_code == 303
    assert sandbox.api.checkout.sessions.retrieve(session.id).status == "complete"
    assert sandbox.event_types().count("charge.succeeded") == (0 if mode == "setup" else 1)


@pytest.mark.parametrize("card", ["4111111111111111", "pm_none", "nonsense"])
def test_unknown_card_is_told_and_takes_nothing(sandbox: Sandbox, card: str) -> None:
    session = sandbox.open_session()
    assert sandbox.press(session, "pay", card=card).status_code in (400, 402)
    assert sandbox.api.charges.list().data == []


def test_code_is_typed_and_taken_off(sandbox: Sandbox) -> None:
    code = coded(sandbox)
    session = sandbox.open_session(allow_promotion_codes=True)
    assert sandbox.press(session, "apply", promotion_code="WINTER").status_code == 422
    shown = sandbox.press(session, "apply", promotion_code="spring")
    assert (shown.status_code, "€7.20" in shown.text) == (200, True)
    sandbox.press(session, "pay", promotion_code="spring")
    done = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (done.amount_subtotal, done.amount_total, done.payment_intent.amount) == (900, 720, 720)
    assert (done.total_details.amount_discount, done.discounts[0].promotion_code) == (180, code.id)


def test_a_discount_on_three_decimals_leaves_what_can_be_charged(sandbox: Sandbox) -> None:
    coupon = sandbox.api.coupons.create({"percent_off": 33.3, "duration": "once"})
    item = {"price_data": {"currency": "kwd", "unit_amount": 2_500, "product_data": {"name": "x"}}, "quantity": 1}
    session = sandbox.open_session(line_items=[item], discounts=[{"coupon": coupon.id}])
    assert (session.total_details.amount_discount, session.amount_total) == (830, 1_670)


def test_order_that_a_coupon_pays_needs_no_card(sandbox: Sandbox) -> None:
    coupon = sandbox.api.coupons.create({"percent_off": 100, "duration": "once"})
    session = sandbox.open_session(discounts=[{"coupon": coupon.id}])
    assert (session.amount_total, session.total_details.amount_discount) == (0, 900)
    sandbox.press(session, "pay")
    done = sandbox.api.checkout.sessions.retrieve(session.id)
    assert (done.payment_status, done.payment_intent) == ("no_payment_required", None)


@pytest.mark.parametrize(
    ("duration", "paid"),
    [
        ({"duration": "once"}, [500, 1_000, 1_000, 1_000]),
        ({"duration": "repeating", "duration_in_months": 2}, [500, 500, 1_000, 1_000]),
        ({"duration": "forever"}, [500, 500, 500, 500]),
    ],
)
def test_coupon_of_a_subscription_lasts_as_long_as_it_says(
    sandbox: Sandbox, duration: dict[str, Any], paid: list[int]
) -> None:
    coupon = sandbox.api.coupons.create({"percent_off": 50, **duration})
    session = checkout(sandbox, monthly(sandbox), discounts=[{"coupon": coupon.id}])
    sandbox.press(session, "pay")
    pass_days(sandbox, 90)
    invoices = sandbox.api.invoices.list({"limit": 100}).data
    assert [invoice.amount_paid for invoice in invoices][::-1] == paid
    assert sandbox.api.coupons.retrieve(coupon.id).times_redeemed == 1


def test_coupons_and_codes_that_are_used_up_are_refused(sandbox: Sandbox) -> None:
    once = sandbox.api.coupons.create({"amount_off": 100, "currency": "eur", "max_redemptions": 1})
    subscription = checkout(sandbox, monthly(sandbox), discounts=[{"coupon": once.id}])
    sandbox.press(subscription, "pay")
    dollars = sandbox.api.coupons.create({"amount_off": 100, "currency": "usd"})
    code = coded(sandbox)
    sandbox.api.promotion_codes.update(code.id, {"active": False})
    for bad in ({"coupon": once.id}, {"coupon": dollars.id}, {"coupon": "none"}, {"promotion_code": code.id}, {}):
        with pytest.raises(stripe.InvalidRequestError):
            sandbox.open_session(discounts=[bad or {"coupon": "a", "promotion_code": "b"}])


def test_automatic_tax_is_passed_through(sandbox: Sandbox) -> None:
    session = checkout(sandbox, monthly(sandbox), automatic_tax={"enabled": True})
    assert (session.automatic_tax.enabled, session.automatic_tax.status) == (True, "complete")
    sandbox.press(session, "pay")
    assert sandbox.api.invoices.list().data[0].automatic_tax.enabled is True


def test_one_payment_can_have_an_invoice(sandbox: Sandbox) -> None:
    session = sandbox.open_session(invoice_creation={"enabled": True, "invoice_data": {"metadata": {"a": "b"}}})
    assert session.customer_creation == "always"
    sandbox.press(session, "pay")
    done = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["invoice"]})
    assert (done.invoice.status, done.invoice.billing_reason, done.invoice.amount_paid) == ("paid", "manual", 900)
    assert done.invoice.metadata["a"] == "b"
    assert done.invoice.parent is None
    assert "Starter" in requests.get(done.invoice.hosted_invoice_url, timeout=10).text


def test_price_is_sold_in_the_asked_currency(sandbox: Sandbox) -> None:
    price = monthly(sandbox, currency_options={"usd": {"unit_amount": 1_200}, "jpy": {"unit_amount": 1_500}})
    shown = sandbox.api.prices.retrieve(price.id, {"expand": ["currency_options"]})
    assert shown.currency_options["jpy"].unit_amount == 1_500
    session = checkout(sandbox, price, currency="usd")
    assert (session.currency, session.amount_total) == ("usd", 1_200)
    sandbox.press(session, "pay")
    subscription = sandbox.api.subscriptions.list().data[0]
    assert (subscription.currency, subscription["items"].data[0].price.unit_amount) == ("usd", 1_200)
    with pytest.raises(stripe.InvalidRequestError, match="only supports"):
        checkout(sandbox, price, currency="gbp")


def test_subscription_with_a_one_time_fee_bills_it_once(sandbox: Sandbox) -> None:
    items = [{"price": monthly(sandbox).id, "quantity": 1}, starter(amount=300)]
    session = sandbox.open_session(mode="subscription", line_items=items)
    assert session.amount_total == 1_300
    sandbox.press(session, "pay")
    pass_days(sandbox, 28)
    assert [invoice.amount_paid for invoice in sandbox.api.invoices.list().data] == [1_000, 1_300]


@pytest.mark.parametrize(
    ("mode", "params", "param"),
    [
        ("payment", {"subscription_data": {"trial_period_days": 3}}, "subscription_data"),
        ("subscription", {"payment_intent_data": {"description": "x"}}, "payment_intent_data"),
        ("subscription", {"customer_creation": "always"}, "customer_creation"),
        ("subscription", {"line_items": [starter()]}, "line_items"),
        ("payment", {"discounts": [{"coupon": "x"}], "allow_promotion_codes": True}, "allow_promotion_codes"),
    ],
)
def test_parameters_of_another_mode_are_refused(
    sandbox: Sandbox, mode: str, params: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sandbox.open_session(mode=mode, **params)
    assert caught.value.param == param
