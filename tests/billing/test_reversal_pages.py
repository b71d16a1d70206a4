"""How money that went back reads to the one who paid."""

import re

import pytest

from tests.billing.shop import Buyer, Shop
from tests.billing.test_disputes import bought, control, deliver_disputes, open_dispute, spend
from webapp.billing.purchase import Purchase
from webapp.database import unit_of_work
from webapp.people.user import User

SIGN_UP = 100


def refund(shop: Shop, purchase: Purchase, amount: int) -> str:
    made = shop.stripe.v1.refunds.create(
        params={"payment_intent": purchase.stripe_payment_intent_id or "", "amount": amount}
    )
    handle_refunds(shop, purchase)
    return made.id


def handle_refunds(shop: Shop, purchase: Purchase) -> None:
    for event in shop.all_events():
        intent = event["data"]["object"].get("payment_intent")
        if event["type"].startswith("refund.") and intent == purchase.stripe_payment_intent_id:
            shop.deliver(event)
            shop.work(event["id"])


def text_of(html: str) -> str:
    """The text of the page's main part, with plain spaces."""
    main = html.split("<main", 1)[1]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", main).replace("\xa0", " ").replace("\u202f", " "))


def latest(buyer: Buyer) -> str:
    """The newest line of the history and the page that explains it, as text."""
    history = buyer.browser.get("/credits/history").text
    seq = re.search(r'data-entry="(\d+)"', history)
    assert seq
    return text_of(history) + text_of(buyer.browser.get(f"/credits/entries/{seq[1]}").text)


def test_a_refund_reads_as_its_share_of_what_was_bought(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    refund(shop, purchase, 270)
    seen = latest(buyer)
    assert "Refund of 30% of “Starter”" in seen
    assert "€2.70 of the €9.00 paid for “Starter” were refunded, and that share of its credits with them." in seen
    assert "change_minor" not in seen
    last = refund(shop, purchase, 630)
    assert "Refund of 70% of “Starter”" in latest(buyer)
    control(shop, f"refunds/{last}/fail")
    handle_refunds(shop, purchase)
    seen = latest(buyer)
    assert "The refund for “Starter” did not arrive" in seen
    assert "A refund of €6.30 for “Starter” did not arrive and was called off. Its credits are back." in seen


def test_a_whole_refund_reads_as_such_and_says_what_is_owed(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    spend(shop, buyer, SIGN_UP + 200)
    refund(shop, purchase, 900)
    seen = latest(buyer)
    assert "Refund of “Starter”" in seen
    assert "The €9.00 paid for “Starter” were refunded, and its credits with them." in seen
    assert "Owed" in seen


def test_frozen_credits_say_why_and_what_comes_next(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    assert 'id="disputed"' not in buyer.browser.get("/credits").text
    dispute_id = open_dispute(shop, purchase)
    deliver_disputes(shop, purchase)
    page = text_of(buyer.browser.get("/credits").text)
    assert "500 credits are frozen" in page
    assert "Until the bank has decided they can’t be spent" in page
    assert "frozen, its payment is disputed" in page
    control(shop, f"disputes/{dispute_id}/lose")
    deliver_disputes(shop, purchase)
    assert "frozen" not in text_of(buyer.browser.get("/credits").text)
    seen = latest(buyer)
    assert "The bank gave the payment for “Starter” back" in seen
    assert "was disputed, and the bank gave €9.00 back." in seen


def entry_of(shop: Shop, purchase: Purchase) -> str:
    return f"/credits/entries/{shop.purchase(purchase.id).grant_id}"


def test_a_dispute_that_was_won_is_told_beside_what_was_bought(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    assert "disput" not in text_of(buyer.browser.get(entry_of(shop, purchase)).text)
    dispute_id = open_dispute(shop, purchase)
    deliver_disputes(shop, purchase)
    assert "Bought · frozen, its payment is disputed" in text_of(buyer.browser.get("/credits/history").text)
    assert "€9.00 for them has been disputed since" in text_of(buyer.browser.get(entry_of(shop, purchase)).text)
    control(shop, f"disputes/{dispute_id}/win")
    deliver_disputes(shop, purchase)
    history = text_of(buyer.browser.get("/credits/history").text)
    assert re.search(r"Bought · dispute decided for the seller on \w+ \d+, 20\d\d, credits free again", history)
    story = text_of(buyer.browser.get(entry_of(shop, purchase)).text)
    assert "The payment of €9.00 for them was disputed" in story
    assert "was decided for the seller: the payment stands, and the credits are free again." in story


def test_a_dispute_that_was_lost_is_told_by_its_own_line_alone(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    dispute_id = open_dispute(shop, purchase)
    deliver_disputes(shop, purchase)
    control(shop, f"disputes/{dispute_id}/lose")
    deliver_disputes(shop, purchase)
    assert "data-dispute" not in buyer.browser.get(entry_of(shop, purchase)).text
    assert "decided for the seller" not in buyer.browser.get("/credits/history").text
    assert "The bank gave the payment for “Starter” back" in buyer.browser.get("/credits/history").text


@pytest.mark.parametrize(("locale", "words"), [("de", "zugunsten des Verkäufers"), ("ar", "لصالح البائع")])
def test_a_won_dispute_is_told_in_the_readers_language(shop: Shop, buyer: Buyer, locale: str, words: str) -> None:
    purchase = bought(shop, buyer)
    dispute_id = open_dispute(shop, purchase)
    deliver_disputes(shop, purchase)
    control(shop, f"disputes/{dispute_id}/win")
    deliver_disputes(shop, purchase)
    with shop.app.app_context(), unit_of_work() as session:
        session.get_one(User, buyer.user.id).locale = locale
    for path in ("/credits/history", entry_of(shop, purchase)):
        assert words in buyer.browser.get(path).text, path


@pytest.mark.parametrize(
    ("locale", "words"), [("de", ["30 %", "erstattet", "eingefroren"]), ("ar", ["30", "مجمَّدة", "استرداد"])]
)
def test_all_of_it_is_said_in_the_readers_language(shop: Shop, buyer: Buyer, locale: str, words: list[str]) -> None:
    purchase = bought(shop, buyer)
    with shop.app.app_context(), unit_of_work() as session:
        session.get_one(User, buyer.user.id).locale = locale
    refund(shop, purchase, 270)
    open_dispute(shop, purchase)
    deliver_disputes(shop, purchase)
    seen = latest(buyer) + text_of(buyer.browser.get("/credits").text)
    for word in words:
        assert word in seen
