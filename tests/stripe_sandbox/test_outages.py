"""Stripe down, slow, strict, or cut off after it did what was asked."""

import pytest
import stripe

from tests.stripe_sandbox.conftest import KEY, Sandbox


def test_api_that_is_down_answers_503_and_does_nothing(sandbox: Sandbox) -> None:
    session = sandbox.open_session()
    sandbox.set_faults(down=True)
    with pytest.raises(stripe.APIError) as caught:
        sandbox.api.customers.create({})
    assert caught.value.http_status == 503
    assert sandbox.press(session, "pay").status_code == 303
    sandbox.set_faults(down=False)
    assert sandbox.api.customers.list().data == []


def test_so_many_calls_are_too_many(sandbox: Sandbox) -> None:
    sandbox.set_faults(rate_limit=2)
    for _ in range(2):
        with pytest.raises(stripe.RateLimitError) as caught:
            sandbox.api.customers.list()
        assert caught.value.error.code == "rate_limit"
    assert sandbox.api.customers.list().data == []


def test_slow_api_runs_into_the_callers_timeout(sandbox: Sandbox) -> None:
    sandbox.set_faults(slow_seconds=1)
    hasty = stripe.StripeClient(
        KEY,
        base_addresses={"api": sandbox.url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=0.2),
    )
    with pytest.raises(stripe.APIConnectionError):
        hasty.v1.customers.list()


def test_answer_that_is_lost_is_found_by_the_same_key(sandbox: Sandbox) -> None:
    sandbox.set_faults(drop_answers=1)
    asked = {"amount": 900, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
    with pytest.raises(stripe.APIConnectionError):
        sandbox.api.payment_intents.create(asked, {"idempotency_key": "k1"})
    again = sandbox.api.payment_intents.create(asked, {"idempotency_key": "k1"})
    assert again.status == "succeeded"
    assert [one.id for one in sandbox.api.payment_intents.list().data] == [again.id]


def test_reading_is_never_cut_off(sandbox: Sandbox) -> None:
    sandbox.set_faults(drop_answers=1)
    assert sandbox.api.customers.list().data == []
