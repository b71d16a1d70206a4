"""Cards that a buyer keeps: with the box on the pay page, in setup mode, and what the API does with them."""

from typing import Any

import pytest
import requests
import stripe

from tests.stripe_sandbox.conftest import Sandbox
from tests.stripe_sandbox.test_checkout_modes import page_of, setup_session
from tests.stripe_sandbox.test_subscriptions import buyer, checkout, monthly

SAVING = {"saved_payment_method_options": {"payment_method_save": "enabled"}}


def cards_of(sandbox: Sandbox, customer: Any) -> list[Any]:
    found: list[Any] = sandbox.api.payment_methods.list({"customer": customer.id, "type": "card"}).data
    return found


def test_a_card_is_kept_when_the_box_is_ticked_and_offered_the_next_time(sandbox: Sandbox) -> None:
    customer = buyer(sandbox, method=None)
    session = sandbox.open_session(customer=customer.id, **SAVING)
    assert 'name="save_card"' in page_of(session)
    sandbox.press(session, "pay", save_card="1", card="5555555555554444")
    (card,) = cards_of(sandbox, customer)
    assert (card.allow_redisplay, card.card.brand, card.card.last4) == ("always", "mastercard", "4444")
    again = sandbox.open_session(customer=customer.id)
    assert card.id in page_of(again)
    assert 'name="save_card"' not in page_of(again)
    sandbox.press(again, "pay", card=card.id)
    assert [one.id for one in cards_of(sandbox, customer)] == [card.id]
    assert "payment_method.attached" in sandbox.event_types()


def test_a_card_is_not_kept_without_the_box_or_its_tick(sandbox: Sandbox) -> None:
    customer = buyer(sandbox, method=None)
    sandbox.press(sandbox.open_session(customer=customer.id, **SAVING), "pay")
    sandbox.press(sandbox.open_session(customer=customer.id), "pay", save_card="1")
    assert cards_of(sandbox, customer) == []


def test_the_tick_survives_the_banks_question(sandbox: Sandbox) -> None:
    customer = buyer(sandbox, method=None)
    session = sandbox.open_session(customer=customer.id, **SAVING)
    asked = sandbox.press(session, "pay", card="4000002760003184", save_card="1")
    assert 'name="save_card" value="1"' in asked.text
    sandbox.press(session, "authenticate", card="4000002760003184", save_card="1")
    assert [one.card.last4 for one in cards_of(sandbox, customer)] == ["3184"]


def test_whether_a_card_may_be_shown_again_depends_on_how_it_was_kept(sandbox: Sandbox) -> None:
    customer = buyer(sandbox, method=None)
    sandbox.press(checkout(sandbox, monthly(sandbox), customer=customer.id), "pay")
    sandbox.press(setup_session(sandbox, customer=customer.id), "pay")
    told = {"payment_method_data": {"allow_redisplay": "limited"}}
    sandbox.press(setup_session(sandbox, customer=customer.id, **told), "pay")
    sandbox.api.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    shown = [one.allow_redisplay for one in cards_of(sandbox, customer)][::-1]
    assert shown == ["limited", "always", "limited", "unspecified"]
    assert page_of(sandbox.open_session(customer=customer.id)).count('value="pm_') == 1


def test_a_saved_card_can_be_changed_and_one_of_nobody_cannot(sandbox: Sandbox) -> None:
    customer = buyer(sandbox)
    (card,) = cards_of(sandbox, customer)
    changed = sandbox.api.payment_methods.update(card.id, {"allow_redisplay": "always", "metadata": {"a": "b"}})
    assert (changed.allow_redisplay, changed.metadata["a"]) == ("always", "b")
    loose = sandbox.api.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.api.payment_methods.update(loose.id, {"allow_redisplay": "always"})


def test_a_detached_card_is_nobodys_and_never_used_again(sandbox: Sandbox) -> None:
    customer = buyer(sandbox)
    (card,) = cards_of(sandbox, customer)
    assert sandbox.api.payment_methods.detach(card.id).customer is None
    assert cards_of(sandbox, customer) == []
    assert sandbox.api.customers.retrieve(customer.id).invoice_settings.default_payment_method is None
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        sandbox.api.payment_methods.attach(card.id, {"customer": customer.id})


def test_saving_needs_somebody_to_save_for(sandbox: Sandbox) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="customer"):
        sandbox.open_session(**SAVING)
    assert sandbox.open_session(customer_creation="always", **SAVING).status == "open"


def test_the_box_speaks_the_buyers_language(sandbox: Sandbox) -> None:
    customer = buyer(sandbox, method=None)
    session = sandbox.open_session(customer=customer.id, locale="de", **SAVING)
    assert "Diese Karte für das nächste Mal speichern" in requests.get(session.url, timeout=10).text
