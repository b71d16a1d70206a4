"""Payment and setup intents, saved cards and Stripe's test cards."""

from typing import Any

import pytest
import requests
import stripe

from tests.stripe_sandbox.conftest import Sandbox
from tests.stripe_sandbox.test_subscriptions import buyer


def charge_now(sandbox: Sandbox, method: str, **more: Any) -> Any:
    params = {"amount": 900, "currency": "eur", "payment_method": method, "confirm": True, **more}
    return sandbox.api.payment_intents.create(params)


def press(url: str, **fields: str) -> requests.Response:
    return requests.post(url, data=fields, allow_redirects=False, timeout=10)


def test_saved_card_is_charged_without_its_owner(sandbox: Sandbox) -> None:
    customer = buyer(sandbox)
    card = sandbox.api.customers.payment_methods.list(customer.id).data[0]
    intent = charge_now(sandbox, card.id, customer=customer.id, off_session=True, metadata={"purchase": "7"})
    assert (intent.status, intent.amount_received) == ("succeeded", 900)
    charge = sandbox.api.charges.retrieve(intent.latest_charge)
    assert (charge.payment_method, charge.metadata["purchase"]) == (card.id, "7")


@pytest.mark.parametrize(
    ("token", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ("pm_card_authenticationRequired", "authentication_required", "authentication_required"),
    ],
)
def test_declined_card_is_a_card_error_that_stays_on_record(
    sandbox: Sandbox, token: str, code: str, decline_code: str
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        charge_now(sandbox, token, off_session=True)
    error = caught.value
    assert (error.http_status, error.code, error.error.decline_code) == (402, code, decline_code)
    intent = sandbox.api.payment_intents.retrieve(error.error.payment_intent.id)
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", code)
    assert sandbox.event_types()[-2:] == ["charge.failed", "payment_intent.payment_failed"]


def test_decline_under_a_key_is_repeated_and_charges_no_second_time(sandbox: Sandbox) -> None:
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            sandbox.api.payment_intents.create(
                {"amount": 900, "currency": "eur", "payment_method": "pm_card_chargeDeclined", "confirm": True},
                {"idempotency_key": "k1"},
            )
    assert len(sandbox.api.payment_intents.list().data) == 1


@pytest.mark.parametrize(("action", "status"), [("authenticate", "succeeded"), ("refuse", "requires_payment_method")])
def test_cardholder_answers_the_bank(sandbox: Sandbox, action: str, status: str) -> None:
    intent = charge_now(sandbox, "pm_card_authenticationRequired", return_url="http://shop.test/back")
    assert (intent.status, intent.next_action.type) == ("requires_action", "redirect_to_url")
    page = intent.next_action.redirect_to_url.url
    assert 'value="authenticate"' in requests.get(page, timeout=10).text
    answer = press(page, action=action)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"http://shop.test/back?payment_intent={intent.id}&")
    assert sandbox.api.payment_intents.retrieve(intent.id).status == status
    assert press(page, action=action).status_code == 404
    assert "payment_intent.requires_action" in sandbox.event_types()


def test_card_is_held_and_captured_in_part(sandbox: Sandbox) -> None:
    intent = charge_now(sandbox, "pm_card_visa", capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 900)
    done = sandbox.api.payment_intents.capture(intent.id, {"amount_to_capture": 500})
    assert (done.status, done.amount_received) == ("succeeded", 500)
    assert "payment_intent.amount_capturable_updated" in sandbox.event_types()


def test_intent_is_confirmed_later_or_cancelled(sandbox: Sandbox) -> None:
    intent = sandbox.api.payment_intents.create({"amount": 900, "currency": "eur"})
    assert intent.status == "requires_payment_method"
    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
        sandbox.api.payment_intents.confirm(intent.id)
    assert sandbox.api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sandbox.api.payment_intents.cancel(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"
    other = sandbox.api.payment_intents.create({"amount": 900, "currency": "eur"})
    assert sandbox.api.payment_intents.cancel(other.id, {"cancellation_reason": "abandoned"}).status == "canceled"


def test_delayed_method_of_an_intent_arrives_later(sandbox: Sandbox) -> None:
    debit = sandbox.api.payment_methods.create({"type": "sepa_debit"})
    intent = charge_now(sandbox, debit.id)
    assert intent.status == "processing"
    sandbox.clock.advance(seconds=6)
    sandbox.run_due()
    assert sandbox.api.payment_intents.retrieve(intent.id).status == "succeeded"


def test_intents_are_refused_what_they_cannot_do(sandbox: Sandbox) -> None:
    customer = buyer(sandbox)
    card = sandbox.api.customers.payment_methods.list(customer.id).data[0]
    for asked in (
        {"amount": 900, "currency": "eur", "off_session": True},
        {"amount": 10, "currency": "eur"},
        {"amount": 900, "currency": "eur", "payment_method": card.id},
        {"amount": 900, "currency": "eur", "payment_method": "pm_none"},
        {"amount": 900, "currency": "eur", "customer": "cus_none"},
    ):
        with pytest.raises(stripe.InvalidRequestError):
            sandbox.api.payment_intents.create(asked)
    assert sandbox.api.payment_intents.list().data == []


def test_setup_intent_saves_a_card_for_later(sandbox: Sandbox) -> None:
    customer = sandbox.api.customers.create({})
    intent = sandbox.api.setup_intents.create(
        {"customer": customer.id, "payment_method": "pm_card_authenticationRequiredOnSetup", "confirm": True}
    )
    assert intent.status == "requires_action"
    assert press(intent.next_action.redirect_to_url.url, action="authenticate").status_code == 200
    saved = sandbox.api.setup_intents.retrieve(intent.id, {"expand": ["payment_method", "latest_attempt"]})
    assert (saved.status, saved.payment_method.customer) == ("succeeded", customer.id)
    assert saved.latest_attempt.status == "succeeded"
    assert charge_now(sandbox, saved.payment_method.id, customer=customer.id, off_session=True).status == "succeeded"


def test_card_that_declines_is_not_saved(sandbox: Sandbox) -> None:
    customer = sandbox.api.customers.create({})
    for ask in (
        lambda: sandbox.api.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer.id}),
        lambda: sandbox.api.setup_intents.create(
            {"customer": customer.id, "payment_method": "pm_card_chargeDeclined", "confirm": True}
        ),
    ):
        with pytest.raises(stripe.CardError):
            ask()
    assert sandbox.api.payment_methods.list({"customer": customer.id}).data == []
    assert "setup_intent.setup_failed" in sandbox.event_types()


def test_methods_are_made_of_numbers_attached_once_and_detached(sandbox: Sandbox) -> None:
    made = sandbox.api.payment_methods.create(
        {"type": "card", "card": {"number": "5555 5555 5555 4444", "exp_month": 12, "exp_year": 2034, "cvc": "123"}}
    )
    assert (made.card.brand, made.card.last4) == ("mastercard", "4444")
    with pytest.raises(stripe.CardError):
        sandbox.api.payment_methods.create({"type": "card", "card": {"number": "4111111111111111"}})
    ada, bob = (sandbox.api.customers.create({"name": name}) for name in ("Ada", "Bob"))
    sandbox.api.payment_methods.attach(made.id, {"customer": ada.id})
    with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
        sandbox.api.payment_methods.attach(made.id, {"customer": bob.id})
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.api.customers.update(bob.id, {"invoice_settings": {"default_payment_method": made.id}})
    assert sandbox.api.payment_methods.detach(made.id).customer is None
    assert sandbox.event_types()[-1] == "payment_method.detached"
