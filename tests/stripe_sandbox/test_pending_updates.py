"""Changes that wait for their payment (`pending_if_incomplete`): https://docs.stripe.com/billing/subscriptions/pending-updates"""

from typing import Any

import pytest
import requests

from tests.stripe_sandbox.conftest import Sandbox
from tests.stripe_sandbox.test_subscriptions import invoices_of, monthly, pass_days, subscribe


@pytest.fixture
def half_used(sandbox: Sandbox) -> Any:
    """A subscription of €10 a month, of whose 28 days 14 are over."""
    subscription = subscribe(sandbox)
    pass_days(sandbox, 14)
    return subscription


def change(sandbox: Sandbox, subscription: Any, card: str) -> Any:
    """To €30 a month, paid now with this card."""
    method = sandbox.api.payment_methods.attach(card, {"customer": subscription.customer})
    sandbox.api.subscriptions.update(subscription.id, {"default_payment_method": method.id})
    dearer = monthly(sandbox, amount=3_000, name="Max")
    return sandbox.api.subscriptions.update(
        subscription.id,
        {
            "items": [{"id": subscription["items"].data[0].id, "price": dearer.id}],
            "proration_behavior": "always_invoice",
            "payment_behavior": "pending_if_incomplete",
            "expand": ["latest_invoice"],
        },
    )


def price_of(subscription: Any) -> int:
    return int(subscription["items"].data[0].price.unit_amount)


def test_a_change_that_can_be_paid_is_made_at_once(sandbox: Sandbox, half_used: Any) -> None:
    changed = change(sandbox, half_used, "pm_card_visa")
    assert (price_of(changed), changed.pending_update, changed.latest_invoice.status) == (3_000, None, "paid")


def test_a_change_that_asks_for_its_cardholder_waits_and_is_made_when_paid(sandbox: Sandbox, half_used: Any) -> None:
    waiting = change(sandbox, half_used, "pm_card_authenticationRequired")
    assert (price_of(waiting), waiting.status, waiting.latest_invoice.status) == (1_000, "active", "open")
    assert waiting.pending_update.subscription_items[0].price.unit_amount == 3_000
    paid_with = {"action": "authenticate", "card": waiting.default_payment_method}
    answer = requests.post(waiting.latest_invoice.hosted_invoice_url, data=paid_with, timeout=10)
    assert answer.ok
    made = sandbox.api.subscriptions.retrieve(half_used.id)
    assert (price_of(made), made.pending_update, made.status) == (3_000, None, "active")
    assert [one.status for one in invoices_of(sandbox, half_used)] == ["paid", "paid"]


def test_a_change_that_is_never_paid_is_forgotten(sandbox: Sandbox, half_used: Any) -> None:
    change(sandbox, half_used, "pm_card_chargeCustomerFail")
    change(sandbox, half_used, "pm_card_chargeCustomerFail")
    pass_days(sandbox, 1)
    still = sandbox.api.subscriptions.retrieve(half_used.id)
    assert (price_of(still), still.pending_update, still.status) == (1_000, None, "active")
    assert [one.status for one in invoices_of(sandbox, half_used)] == ["paid", "void", "void"]
