"""A Checkout Session from its making to its end, through the SDK and the pay page."""

import threading
from typing import Any

import pytest
import requests
import stripe

from tests.stripe_sandbox.conftest import Sandbox, starter

CARD_PAID = [
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "checkout.session.completed",
]


def test_new_session_is_open_unpaid_and_has_a_pay_page(sandbox: Sandbox) -> None:
    session = sandbox.open_session(client_reference_id="p-1", metadata={"purchase": "1"})
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_total, session.currency) == (900, "eur")
    assert session.metadata["purchase"] == "1"
    assert session.expires_at == session.created + 86_400
    page = requests.get(session.url, timeout=10)
    assert page.status_code == 200
    assert page.text.count("<form") == 1
    for action in ("pay", "decline", "delay", "fail_later", "cancel"):
        assert f'name="action" value="{action}"' in page.text
    assert "€9.00" in page.text


def test_session_of_a_stored_price_counts_the_quantity(sandbox: Sandbox) -> None:
    product = sandbox.api.products.create({"name": "Standard"})
    price = sandbox.api.prices.create({"product": product.id, "currency": "usd", "unit_amount": 1_250})
    session = sandbox.open_session(line_items=[{"price": price.id, "quantity": 3}])
    assert session.amount_total == 3_750
    items = sandbox.api.checkout.sessions.line_items.list(session.id)
    assert [(item.description, item.quantity, item.price.id) for item in items.data] == [("Standard", 3, price.id)]


def test_paying_redirects_to_the_merchant_and_tells_of_it(sandbox: Sandbox) -> None:
    session = sandbox.open_session()
    answer = sandbox.press(session, "pay", email="ada@example.com")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"http://shop.test/return?session_id={session.id}"
    paid = sandbox.api.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge", "line_items.data.price.product"]}
    )
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.customer_details.email == "ada@example.com"
    assert paid.payment_intent.status == "succeeded"
    assert paid.payment_intent.amount_received == 900
    assert paid.payment_intent.latest_charge.paid is True
    assert paid.line_items.data[0].price.product.name == "Starter"
    assert sandbox.event_types() == CARD_PAID


def test_declined_card_leaves_the_session_open_for_another_try(sandbox: Sandbox) -> None:
    session = sandbox.open_session()
    page = sandbox.press(session, "decline")
    assert page.status_code == 402
    assert "Your card was declined." in page.text
    tried = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (tried.status, tried.payment_status) == ("open", "unpaid")
    assert tried.payment_intent.status == "requires_payment_method"
    assert tried.payment_intent.last_payment_error.code == "card_declined"
    assert sandbox.press(session, "pay").status_code == 303
    assert sandbox.event_types() == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    paid = sandbox.api.checkout.sessions.retrieve(session.id)
    assert paid.payment_intent == tried.payment_intent.id


@pytest.mark.parametrize(
    ("action", "payment_status", "told"),
    [
        ("delay", "paid", ["charge.succeeded", "payment_intent.succeeded", "succeeded"]),
        ("fail_later", "unpaid", ["charge.failed", "payment_intent.payment_failed", "failed"]),
    ],
)
def test_delayed_payment_is_decided_after_its_time(
    sandbox: Sandbox, action: str, payment_status: str, told: list[str]
) -> None:
    session = sandbox.open_session()
    assert sandbox.press(session, action).status_code == 303
    waiting = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    assert waiting.payment_intent.status == "processing"
    sandbox.run_due()
    assert sandbox.event_types()[-3:] == [
        "charge.pending",
        "payment_intent.processing",
        "checkout.session.completed",
    ]
    sandbox.clock.advance(seconds=6)
    sandbox.run_due()
    assert sandbox.api.checkout.sessions.retrieve(session.id).payment_status == payment_status
    assert sandbox.event_types()[-3:] == [*told[:2], f"checkout.session.async_payment_{told[2]}"]


def test_delayed_payment_can_be_settled_at_once(sandbox: Sandbox) -> None:
    session = sandbox.open_session()
    sandbox.press(session, "delay")
    answer = requests.post(f"{sandbox.url}/_sandbox/settle", json={}, timeout=10)
    assert answer.json() == {"settled": 1}
    assert sandbox.api.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_cancelling_goes_back_and_leaves_the_session_open(sandbox: Sandbox) -> None:
    session = sandbox.open_session()
    answer = sandbox.press(session, "cancel")
    assert (answer.status_code, answer.headers["Location"]) == (303, "http://shop.test/cancelled")
    assert sandbox.api.checkout.sessions.retrieve(session.id).status == "open"
    assert sandbox.event_types() == []


def test_session_expires_by_itself_and_cannot_be_paid_then(sandbox: Sandbox) -> None:
    session = sandbox.open_session(expires_at=int(sandbox.clock().timestamp()) + 1_800)
    sandbox.press(session, "decline")
    sandbox.clock.advance(minutes=30)
    page = sandbox.press(session, "pay")
    assert page.status_code == 410
    assert "expired" in page.text
    expired = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (expired.status, expired.url, expired.payment_intent.status) == ("expired", None, "canceled")
    assert sandbox.event_types()[-2:] == ["payment_intent.canceled", "checkout.session.expired"]


def test_nobody_needs_to_look_for_a_session_to_expire(sandbox: Sandbox) -> None:
    sandbox.open_session()
    sandbox.clock.advance(days=1)
    sandbox.run_due()
    assert sandbox.event_types() == ["checkout.session.expired"]


def test_expiring_twice_is_refused(sandbox: Sandbox) -> None:
    session = sandbox.open_session()
    assert sandbox.api.checkout.sessions.expire(session.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match="Only Checkout Sessions with a status"):
        sandbox.api.checkout.sessions.expire(session.id)


def test_paying_twice_at_once_charges_once(sandbox: Sandbox) -> None:
    session = sandbox.open_session()
    start = threading.Barrier(6)
    answers: list[int] = []

    def press(action: str) -> None:
        start.wait()
        answers.append(sandbox.press(session, action).status_code)

    buyers = [threading.Thread(target=press, args=[action]) for action in ("pay", "delay") * 3]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join()
    assert answers == [303] * 6
    assert len(sandbox.api.charges.list().data) == 1
    assert sandbox.event_types().count("checkout.session.completed") == 1


def test_page_of_a_paid_session_says_so_and_leads_on(sandbox: Sandbox) -> None:
    session = sandbox.open_session()
    sandbox.press(session, "pay")
    page = requests.get(f"{sandbox.url}/c/pay/{session.id}", timeout=10)
    assert "already paid" in page.text
    assert "<form" not in page.text
    assert f"http://shop.test/return?session_id={session.id}" in page.text


def test_order_that_costs_nothing_needs_no_payment(sandbox: Sandbox) -> None:
    session = sandbox.open_session(line_items=[starter(amount=0)])
    sandbox.press(session, "pay")
    done = sandbox.api.checkout.sessions.retrieve(session.id)
    assert (done.payment_status, done.payment_intent) == ("no_payment_required", None)
    assert sandbox.event_types() == ["customer.created", "checkout.session.completed"]


def test_customer_is_made_only_when_asked_for(sandbox: Sandbox) -> None:
    guest, kept = sandbox.open_session(), sandbox.open_session(customer_creation="always")
    for session in (guest, kept):
        sandbox.press(session, "pay", email="ada@example.com")
    assert sandbox.api.checkout.sessions.retrieve(guest.id).customer is None
    made = sandbox.api.checkout.sessions.retrieve(kept.id, {"expand": ["customer"]})
    assert made.customer.email == "ada@example.com"


def test_known_customer_is_not_asked_for_an_email(sandbox: Sandbox) -> None:
    customer = sandbox.api.customers.create({"email": "ada@example.com"})
    session = sandbox.open_session(customer=customer.id)
    assert 'name="email"' not in requests.get(session.url, timeout=10).text
    sandbox.press(session, "pay")
    assert sandbox.api.checkout.sessions.retrieve(session.id).customer_details.email == "ada@example.com"


@pytest.mark.parametrize("email", ["", "no address", "a@b@c", "a\x00@b.c"])
def test_bad_email_is_told_on_the_page_and_takes_nothing(sandbox: Sandbox, email: str) -> None:
    session = sandbox.open_session()
    page = sandbox.press(session, "pay", email=email)
    assert page.status_code == 422
    assert sandbox.event_types() == []


@pytest.mark.parametrize(
    ("locale", "accepted", "lang", "direction", "total"),
    [
        ("de", "en", "de", "ltr", "9,00\N{NO-BREAK SPACE}€"),
        ("auto", "ar-EG,de;q=0.5", "ar", "rtl", "9.00"),
        ("fr", "ar", "en", "ltr", "9.00"),
    ],
)
def test_page_speaks_the_locale_of_the_session(
    sandbox: Sandbox, locale: str, accepted: str, lang: str, direction: str, total: str
) -> None:
    session = sandbox.open_session(locale=locale)
    page = requests.get(session.url, headers={"Accept-Language": accepted}, timeout=10).text
    assert f'<html lang="{lang}" dir="{direction}">' in page
    assert total in page


def test_names_are_shown_as_text(sandbox: Sandbox) -> None:
    line: dict[str, Any] = starter()
    line["price_data"]["product_data"]["name"] = "<b>100 %(off)s</b>"
    page = requests.get(sandbox.open_session(line_items=[line]).url, timeout=10).text
    assert "&lt;b&gt;100 %(off)s&lt;/b&gt;" in page


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [
        ("jpy", 900, "¥900"),
        ("usd", 123_456, "$1,234.56"),
        ("chf", 950, "9.50\N{NO-BREAK SPACE}CHF"),
        ("kwd", 1_500, "1.500\N{NO-BREAK SPACE}KWD"),
    ],
)
def test_amounts_are_shown_in_the_currencys_own_units(sandbox: Sandbox, currency: str, amount: int, shown: str) -> None:
    session = sandbox.open_session(line_items=[starter(amount=amount, currency=currency)])
    assert shown in requests.get(session.url, timeout=10).text


@pytest.mark.parametrize("path", ["/c/pay/cs_test_none", "/c/pay/%00", "/receipts/ch_none"])
def test_unknown_page_is_404(sandbox: Sandbox, path: str) -> None:
    assert requests.get(sandbox.url + path, timeout=10).status_code == 404


def test_foreign_pages_press_no_button(sandbox: Sandbox) -> None:
    session = sandbox.open_session()
    foreign = {"Origin": "https://evil.example"}
    refused = requests.post(session.url, data={"action": "pay"}, headers=foreign, timeout=10)
    assert refused.status_code == 403
    rebound = requests.get(session.url, headers={"Host": "evil.example"}, timeout=10)
    assert rebound.status_code == 421
    assert sandbox.event_types() == []
