"""The page of saved cards: kept by Stripe, shown, added, chosen and removed by their owner alone."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from tests.billing.shop import Buyer, Shop
from tests.billing.test_disputes import control
from tests.billing.test_reversal_pages import text_of
from tests.people.browser import Browser
from webapp.billing import breaker

HERE = "/settings/cards"
INTENT = "an-intent-of-this-test-1"


@pytest.fixture
def stripe_away(shop: Shop) -> Iterator[None]:
    control(shop, "settings", down=True)
    yield
    control(shop, "settings", down=False)
    redis: Redis = shop.app.extensions["redis"]
    for key in redis.scan_iter("breaker:*"):
        redis.delete(key)


def session_at(location: str) -> str:
    found = re.search(r"cs_\w+", location)
    assert found, location
    return found[0]


def add(buyer: Buyer, *, card: str = "4242424242424242", action: str = "pay", **fields: str) -> str:
    """Go to Stripe's page from here and save a card there; the session."""
    answer = buyer.browser.post(f"{HERE}/add", fields, form=HERE)
    assert answer.status_code == 303, answer.text
    session_id = session_at(answer.headers["Location"])
    buyer.shop.press(session_id, action, card=card)
    return session_id


def come_back(buyer: Buyer, session_id: str) -> Any:
    return buyer.browser.get(f"{HERE}/saved", query_string={"session_id": session_id})


def shown(buyer: Buyer) -> list[str]:
    """The ids of the cards on the page, from the top."""
    answer = buyer.browser.get(HERE)
    assert answer.status_code == 200
    return re.findall(r'data-card="(pm_\w+)"', answer.text)


def customer_of(shop: Shop, buyer: Buyer) -> Any:
    found = shop.stripe.v1.customers.list(params={"email": buyer.browser.email, "limit": 10}).data
    assert len(found) == 1, "one customer a person"
    return found[0]


def subscribe(shop: Shop, buyer: Buyer) -> str:
    """The buyer is on Pro, paid by a card that Stripe kept for that; the card."""
    answer = buyer.browser.post("/plans/pro/subscribe", form="/plans/pro/subscribe")
    assert answer.status_code == 303
    session_id = session_at(answer.headers["Location"])
    shop.press(session_id, "pay", card="5555555555554444")
    buyer.browser.get("/checkout/return", query_string={"session_id": session_id})
    return paying(shop, buyer)


def paying(shop: Shop, buyer: Buyer) -> str:
    (subscription,) = shop.stripe.v1.subscriptions.list(params={"customer": customer_of(shop, buyer).id}).data
    return str(subscription.default_payment_method)


def test_who_never_paid_sees_that_no_card_is_saved(buyer: Buyer) -> None:
    page = buyer.browser.get(HERE)
    assert page.status_code == 200
    assert "No card is saved" in page.text
    assert 'aria-current="page"' in page.text
    assert 'href="/settings/cards"' in buyer.browser.get("/settings").text


def test_a_card_is_added_on_stripes_page_and_listed(shop: Shop, buyer: Buyer) -> None:
    session_id = add(buyer, card="5555555555554444")
    session = shop.stripe.v1.checkout.sessions.retrieve(session_id)
    assert (session.mode, session.currency, session.amount_total) == ("setup", "eur", None)
    back = come_back(buyer, session_id)
    assert (back.status_code, back.headers["Location"]) == (303, HERE)
    page = buyer.browser.get(HERE).text
    assert "Your card is saved." in page
    seen = text_of(page)
    assert "Mastercard •••• 4444" in seen
    assert "Good until 12/2034" in seen
    assert "Pays" not in seen
    assert len(shown(buyer)) == 1


def test_a_card_kept_while_buying_is_listed_and_offered_the_next_time(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id or "", "pay", save_card="1")
    assert buyer.outcome(purchase) == "success"
    (card,) = shown(buyer)
    again = buyer.start()
    shop.press(again.stripe_session_id or "", "pay", card=card)
    assert buyer.outcome(again) == "success"
    assert (buyer.bought(), shown(buyer)) == ([500, 500], [card])
    assert customer_of(shop, buyer).id


def test_a_card_is_not_kept_unasked(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id or "", "pay")
    assert buyer.outcome(purchase) == "success"
    assert shown(buyer) == []


def test_the_same_form_leads_to_the_same_page(buyer: Buyer) -> None:
    answers = {buyer.browser.post(f"{HERE}/add", {"intent": INTENT}, form=HERE).headers["Location"] for _ in range(3)}
    assert len(answers) == 1
    for intent in ("", "short", "\x00" * 20, "x" * 65):
        assert buyer.browser.post(f"{HERE}/add", {"intent": intent}, form=HERE).status_code == 303


def test_leaving_stripes_page_saves_nothing_and_says_so(buyer: Buyer) -> None:
    session_id = add(buyer, action="cancel")
    assert come_back(buyer, session_id).status_code == 303
    page = buyer.browser.get(HERE).text
    assert "No card was saved." in page
    assert shown(buyer) == []
    declined = add(buyer, action="decline")
    assert come_back(buyer, declined).status_code == 303
    assert shown(buyer) == []


def test_the_card_that_pays_for_the_plan_is_named_and_cannot_be_removed(shop: Shop, buyer: Buyer) -> None:
    card = subscribe(shop, buyer)
    page = buyer.browser.get(HERE).text
    assert "Pays for your plan" in text_of(page)
    assert f"{HERE}/{card}/remove" not in page
    assert f"{HERE}/{card}/default" not in page
    refused = buyer.browser.post(f"{HERE}/{card}/remove", form=HERE)
    assert refused.status_code == 409
    assert "This card pays for your plan." in refused.text
    assert shown(buyer) == [card]
    assert paying(shop, buyer) == card


def test_another_card_takes_over_and_the_old_one_can_go(shop: Shop, buyer: Buyer) -> None:
    old = subscribe(shop, buyer)
    add(buyer)
    new = shown(buyer)[0]
    assert new != old
    assert buyer.browser.post(f"{HERE}/{new}/default", form=HERE).status_code == 303
    page = buyer.browser.get(HERE).text
    assert "This card pays from now on." in page
    assert f"{HERE}/{new}/default" not in page
    assert f"{HERE}/{old}/default" in page
    assert paying(shop, buyer) == new
    assert customer_of(shop, buyer).invoice_settings.default_payment_method == new
    assert buyer.browser.post(f"{HERE}/{old}/remove", form=HERE).status_code == 303
    assert shown(buyer) == [new]
    assert buyer.browser.post(f"{HERE}/{new}/remove", form=HERE).status_code == 409


def test_the_default_card_pays_for_a_plan_that_names_none(shop: Shop, buyer: Buyer) -> None:
    card = subscribe(shop, buyer)
    assert buyer.browser.post(f"{HERE}/{card}/default", form=HERE).status_code == 303
    customer_id = customer_of(shop, buyer).id
    (own,) = shop.stripe.v1.subscriptions.list(params={"customer": customer_id}).data
    price_id = own["items"].data[0].price.id
    shop.stripe.v1.subscriptions.cancel(own.id)
    shop.stripe.v1.subscriptions.create(params={"customer": customer_id, "items": [{"price": price_id}]})
    assert paying(shop, buyer) == "None"
    assert "Pays for your plan" in text_of(buyer.browser.get(HERE).text)
    assert buyer.browser.post(f"{HERE}/{card}/remove", form=HERE).status_code == 409


def test_when_the_plan_has_ended_its_card_can_go(shop: Shop, buyer: Buyer) -> None:
    card = subscribe(shop, buyer)
    (subscription,) = shop.stripe.v1.subscriptions.list(params={"customer": customer_of(shop, buyer).id}).data
    shop.stripe.v1.subscriptions.cancel(subscription.id)
    assert "Pays for your plan" not in text_of(buyer.browser.get(HERE).text)
    assert buyer.browser.post(f"{HERE}/{card}/remove", form=HERE).status_code == 303
    assert "The card is removed." in buyer.browser.get(HERE).text
    assert shown(buyer) == []
    assert buyer.browser.post(f"{HERE}/{card}/remove", form=HERE).status_code == 303, "gone is gone"


def test_without_a_plan_the_default_card_pays_invoices_and_can_go(shop: Shop, buyer: Buyer) -> None:
    add(buyer)
    (card,) = shown(buyer)
    buyer.browser.post(f"{HERE}/{card}/default", form=HERE)
    page = buyer.browser.get(HERE).text
    assert "Pays your invoices" in text_of(page)
    assert f"{HERE}/{card}/default" not in page
    buyer.browser.post(f"{HERE}/{card}/remove", form=HERE)
    assert shown(buyer) == []


@pytest.mark.parametrize("deed", ["default", "remove"])
def test_nobody_reaches_somebody_elses_card(shop: Shop, buyer: Buyer, deed: str) -> None:
    add(buyer)
    (card,) = shown(buyer)
    other = shop.new_buyer()
    assert other.browser.post(f"{HERE}/{card}/{deed}", form=HERE).status_code == 404, "without a customer"
    add(other)
    for name in (card, "pm_none", "card_1", "pm_", "pm_%00", "x" * 300):
        assert other.browser.post(f"{HERE}/{name}/{deed}", form=HERE).status_code == 404
    assert shown(buyer) == [card]


def test_a_checkout_that_is_not_ones_own_card_is_not_found(shop: Shop, buyer: Buyer) -> None:
    session_id = add(buyer)
    other = shop.new_buyer()
    assert come_back(other, session_id).status_code == 404, "without a customer"
    add(other)
    assert come_back(other, session_id).status_code == 404
    purchase = buyer.start()
    for name in (purchase.stripe_session_id or "", "cs_test_none", "", "cs_", "x", "cs_\x00", "cs_" + "x" * 300):
        assert come_back(buyer, name).status_code == 404
    assert come_back(buyer, session_id).status_code == 303


def test_strangers_log_in_first_and_forms_need_their_token(shop: Shop, buyer: Buyer) -> None:
    stranger = Browser(shop.app)
    assert stranger.get(HERE).status_code == 303
    add(buyer)
    (card,) = shown(buyer)
    for path in (f"{HERE}/add", f"{HERE}/{card}/default", f"{HERE}/{card}/remove"):
        assert buyer.browser.post_raw(path).status_code == 400
    assert shown(buyer) == [card]


def test_a_customer_that_was_deleted_at_stripe_has_no_cards(shop: Shop, buyer: Buyer) -> None:
    add(buyer)
    shop.stripe.v1.customers.delete(customer_of(shop, buyer).id)
    assert shown(buyer) == []


@pytest.mark.usefixtures("stripe_away")
def test_while_stripe_is_away_the_page_says_so(shop: Shop, buyer: Buyer) -> None:
    control(shop, "settings", down=False)
    session_id = add(buyer)
    (card,) = shown(buyer)
    token = buyer.browser.token(HERE)
    control(shop, "settings", down=True)
    away = [
        buyer.browser.get(HERE),
        come_back(buyer, session_id),
        *(
            buyer.browser.post_raw(path, {"csrf_token": token})
            for path in (f"{HERE}/add", f"{HERE}/{card}/default", f"{HERE}/{card}/remove")
        ),
    ]
    for answer in away:
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
        assert "Your cards are out of reach at the moment" in answer.text
        assert "No card is saved" not in answer.text


@pytest.mark.usefixtures("stripe_away")
def test_without_a_customer_the_page_offers_nothing_while_the_circuit_is_open(shop: Shop, buyer: Buyer) -> None:
    for _ in range(breaker.FAILURES):
        buyer.browser.post(f"{HERE}/add", form="/settings")
    page = buyer.browser.get(HERE)
    assert page.status_code == 200
    assert 'id="payments-away"' in page.text
    assert f"{HERE}/add" not in page.text


@pytest.mark.parametrize(("tag", "title"), [("de", "Gespeicherte Karten"), ("ar", "البطاقات المحفوظة")])
def test_the_page_speaks_the_readers_language(buyer: Buyer, tag: str, title: str) -> None:
    add(buyer)
    assert buyer.browser.post("/language", {"locale": tag, "back": HERE}, form=HERE).status_code == 303
    page = buyer.browser.get(HERE).text
    assert title in page
    assert "Visa •••• 4242" in page
