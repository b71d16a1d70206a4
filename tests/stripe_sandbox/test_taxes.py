"""Taxes and discounts of one payment: what the session says is what is charged, to the last cent."""

from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.conftest import Sandbox, starter
from tests.stripe_sandbox.test_checkout_modes import page_of
from tests.stripe_sandbox.test_subscriptions import buyer, checkout, monthly
from webapp.stripe_sandbox.taxes import tax_on

TAXED = {"automatic_tax": {"enabled": True}}


def priced(behavior: str) -> list[dict[str, Any]]:
    item = starter()
    item["price_data"]["tax_behavior"] = behavior
    return [item]


def charged(sandbox: Sandbox, session: Any) -> tuple[int, int, int, int, int]:
    """subtotal, discount, tax, total, and what was received"""
    sandbox.press(session, "pay")
    done = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent", "line_items"]})
    line = done.line_items.data[0]
    assert (line.amount_discount, line.amount_tax) == (
        done.total_details.amount_discount,
        done.total_details.amount_tax,
    )
    assert line.amount_total == done.amount_total
    return (
        done.amount_subtotal,
        done.total_details.amount_discount,
        done.total_details.amount_tax,
        done.amount_total,
        done.payment_intent.amount_received,
    )


def test_tax_comes_on_top_or_lies_within_the_price(sandbox: Sandbox) -> None:
    sandbox.set_faults(tax_percent=19)
    session = sandbox.open_session(**TAXED)
    assert "€1.71" in page_of(session)
    assert charged(sandbox, session) == (900, 0, 171, 1_071, 1_071)
    within = sandbox.open_session(line_items=priced("inclusive"), **TAXED)
    assert charged(sandbox, within) == (900, 0, 144, 900, 900)
    sandbox.set_faults(tax_inclusive=True)
    assert charged(sandbox, sandbox.open_session(**TAXED)) == (900, 0, 144, 900, 900)
    assert charged(sandbox, sandbox.open_session(line_items=priced("exclusive"), **TAXED))[2:4] == (171, 1_071)


def test_what_a_discount_leaves_is_taxed(sandbox: Sandbox) -> None:
    sandbox.set_faults(tax_percent=7.7)
    coupon = sandbox.api.coupons.create({"percent_off": 30, "duration": "once"})
    session = sandbox.open_session(discounts=[{"coupon": coupon.id}], **TAXED)
    assert charged(sandbox, session) == (900, 270, 49, 679, 679)
    assert sandbox.api.coupons.retrieve(coupon.id).times_redeemed == 1


def test_nobody_is_taxed_unasked(sandbox: Sandbox) -> None:
    sandbox.set_faults(tax_percent=19)
    assert charged(sandbox, sandbox.open_session()) == (900, 0, 0, 900, 900)
    exempt = sandbox.api.customers.create(
        {"email": "a@example.com", "tax_exempt": "exempt", "address": {"city": "Oslo"}}
    )
    assert charged(sandbox, sandbox.open_session(customer=exempt.id, **TAXED))[2] == 0
    assert checkout(sandbox, monthly(sandbox), **TAXED).total_details.amount_tax == 0


def test_where_a_customer_lives_has_to_be_known_or_asked(sandbox: Sandbox) -> None:
    customer = buyer(sandbox, method=None)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        sandbox.open_session(customer=customer.id, **TAXED)
    assert refused.value.code == "customer_tax_location_invalid"
    asked = sandbox.open_session(customer=customer.id, customer_update={"address": "auto"}, **TAXED)
    assert asked.automatic_tax.enabled is True


def test_a_code_is_redeemed_as_often_as_it_may_be(sandbox: Sandbox) -> None:
    coupon = sandbox.api.coupons.create({"percent_off": 100, "duration": "once", "max_redemptions": 1})
    first, second = (sandbox.open_session(discounts=[{"coupon": coupon.id}]) for _ in range(2))
    assert sandbox.press(first, "pay").status_code == 303
    assert sandbox.press(second, "pay").status_code == 400
    assert sandbox.api.checkout.sessions.retrieve(second.id).status == "open"
    assert sandbox.api.coupons.retrieve(coupon.id).times_redeemed == 1


def test_an_order_for_nothing_makes_its_customer(sandbox: Sandbox) -> None:
    coupon = sandbox.api.coupons.create({"percent_off": 100, "duration": "once"})
    session = sandbox.open_session(discounts=[{"coupon": coupon.id}])
    sandbox.press(session, "pay", email="guest@example.com")
    done = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["customer"]})
    assert (done.payment_status, done.customer.email) == ("no_payment_required", "guest@example.com")


@pytest.mark.parametrize(
    ("amount", "currency", "percent", "inclusive", "tax"),
    [
        (0, "eur", 19, False, 0),
        (1, "eur", 50, False, 1),
        (900, "eur", 19, True, 144),
        (900, "eur", 0, True, 0),
        (100, "eur", 100, True, 50),
        (3, "eur", 8.1, False, 0),
        (1_500, "kwd", 5, False, 80),
        (1_490, "kwd", 5, False, 70),
    ],
)
def test_taxes_are_rounded_half_up(amount: int, currency: str, percent: float, inclusive: bool, tax: int) -> None:
    assert tax_on(amount, currency, percent=percent, inclusive=inclusive) == tax


@pytest.mark.parametrize(
    "setting", [{"tax_percent": 101}, {"tax_percent": -1}, {"tax_percent": True}, {"tax_inclusive": 1}]
)
def test_impossible_taxes_are_refused(sandbox: Sandbox, setting: dict[str, Any]) -> None:
    assert sandbox.set_faults(**setting).status_code == 400
