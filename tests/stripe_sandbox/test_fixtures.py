"""Every object that the sandbox answers or sends has Stripe's own keys and types."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.stripe_sandbox.conftest import KEY, Sandbox
from tests.stripe_sandbox.lives import fail_and_end, live_through_a_subscription, save_and_dispute

FIXTURES = Path(__file__).parents[3] / "shared" / "stripe" / "fixtures3.json"

# Objects whose keys are the merchant's or the type's own choice: the fixture shows one example of many.
FREE_FORM = {"metadata", "payment_method_options"}
# What Stripe's fixture leaves out, though its API reference has it, by where it stands.
ERROR = {"charge", "code", "decline_code", "doc_url", "message", "payment_method"}
DOCUMENTED: dict[str, set[str]] = {
    # https://docs.stripe.com/api/payment_intents/object
    "payment_intent.last_payment_error": ERROR,
    "payment_intent.next_action": {"redirect_to_url"},
    # https://docs.stripe.com/api/setup_intents/object and /api/setup_attempts/object
    "setup_intent.last_setup_error": ERROR,
    "setup_intent.next_action": {"redirect_to_url"},
    "setup_attempt.setup_error": ERROR,
    # https://docs.stripe.com/api/invoices/object, /api/invoice-line-item/object and /api/invoiceitems/object
    "invoice.last_finalization_error": ERROR,
    "line_item.pricing": {"price_details"},
    "invoiceitem.pricing": {"price_details"},
    # https://docs.stripe.com/api/invoice-payment/object#invoice_payment_object-payment-payment_intent
    "invoice_payment.payment": {"payment_intent"},
}
# What is there only where `expand[]` asks for it.
INCLUDED = {"line_items", "payments"}
# Hashes named after a type: only the object's own type's is there.
OF_A_TYPE = {"payment_method": {"card"}}


@pytest.fixture(scope="module")
def fixtures() -> dict[str, Any]:
    if not FIXTURES.exists():
        pytest.skip(f"Stripe's fixtures are not at {FIXTURES}")
    resources: dict[str, Any] = json.loads(FIXTURES.read_text())["resources"]
    return resources


def differences(ours: Any, theirs: Any, *, at: str) -> Iterator[str]:
    """Keys that only we have and values whose JSON types cannot both be right; null fits all."""
    if ours is None or theirs is None:
        return
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours.keys() - theirs.keys() - DOCUMENTED.get(at, set()):
            yield f"{at}.{key} is not in Stripe's"
        for key in ours.keys() & theirs.keys() - FREE_FORM:
            yield from differences(ours[key], theirs[key], at=f"{at}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        for item in ours:
            for example in theirs[:1]:
                yield from differences(item, example, at=f"{at}[]")
    elif type(ours) is not type(theirs) and not is_unexpanded(ours, theirs):
        yield f"{at} is {type(ours).__name__}, Stripe's is {type(theirs).__name__}"


def is_unexpanded(ours: Any, theirs: Any) -> bool:
    return isinstance(ours, str) and isinstance(theirs, dict) and "id" in theirs


def is_whole_object(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("object"), str)


def all_differences(ours: dict[str, Any], fixtures: dict[str, Any]) -> list[str]:
    """Compares the object, its top level in both directions, and every whole object inside it."""
    kind = ours["object"]
    if kind == "list":
        return [told for item in ours["data"] for told in all_differences(item, fixtures)]
    theirs = fixtures[f"deleted_{kind}" if ours.get("deleted") else kind]
    optional = OF_A_TYPE.get(kind, set()) - {ours.get("type")}
    found = [f"{kind}.{key} is missing" for key in theirs.keys() - ours.keys() - optional]
    plain = {key: value for key, value in ours.items() if not is_whole_object(value)}
    for value in plain.values():
        inner = [one for one in value if is_whole_object(one)] if isinstance(value, list) else []
        found += [told for one in inner for told in all_differences(one, fixtures)]
    if kind == "event":
        data = plain.pop("data")
        assert data.keys() <= {"object", "previous_attributes"}
        assert data.get("previous_attributes", {}).keys() <= data["object"].keys()
        found += [f"{ours['type']}: {told}" for told in all_differences(data["object"], fixtures)]
    found += differences(plain, theirs, at=kind)
    for key in ours.keys() - plain.keys() - {"data"}:
        found += [] if key in theirs or key in INCLUDED else [f"{kind}.{key} is not in Stripe's"]
        found += all_differences(ours[key], fixtures)
    return found


def get(sandbox: Sandbox, path: str) -> dict[str, Any]:
    """As it stands on the wire, without the SDK."""
    answer = requests.get(sandbox.url + path, headers={"Authorization": f"Bearer {KEY}"}, timeout=10)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.fixture
def eventful(sandbox: Sandbox) -> Sandbox:
    """A sandbox in which everything has happened once that it can make happen."""
    customer = sandbox.api.customers.create({"email": "a@example.com", "address": {"city": "Oslo"}})
    sandbox.api.customers.update(customer.id, {"name": "Ada"})
    product = sandbox.api.products.create({"name": "Pro"})
    sandbox.api.products.update(product.id, {"name": "Pro 2"})
    monthly = {"product": product.id, "currency": "eur", "unit_amount": 900, "recurring": {"interval": "month"}}
    sandbox.api.prices.create(monthly)
    price = sandbox.api.prices.create({"product": product.id, "currency": "eur", "unit_amount": 900})
    sandbox.api.prices.update(price.id, {"nickname": "usual"})
    for action in ("pay", "decline", "delay", "fail_later"):
        session = sandbox.open_session(
            customer=customer.id, line_items=[{"price": price.id, "quantity": 2}], metadata={"a": "b"}
        )
        sandbox.press(session, action)
    sandbox.press(sandbox.open_session(customer_creation="always", locale="de"), "pay")
    sandbox.clock.advance(seconds=10)
    sandbox.run_due()
    charge = sandbox.api.charges.list().data[-1]
    first = sandbox.api.refunds.create({"charge": charge.id, "amount": 100, "metadata": {"a": "b"}})
    sandbox.api.refunds.update(first.id, {"metadata": {"a": ""}})
    requests.post(f"{sandbox.url}/_sandbox/refunds/{first.id}/fail", json={}, timeout=10)
    sandbox.api.refunds.create({"charge": charge.id})
    sandbox.clock.advance(days=1)
    sandbox.run_due()
    return sandbox


@pytest.fixture
def subscribed(eventful: Sandbox) -> Sandbox:
    """And everything that subscriptions, saved cards and disputes add."""
    sandbox = eventful
    live_through_a_subscription(sandbox)
    fail_and_end(sandbox)
    save_and_dispute(sandbox)
    return sandbox


LISTS = (
    "/v1/customers",
    "/v1/products",
    "/v1/prices?expand[]=data.product",
    "/v1/checkout/sessions?expand[]=data.line_items&expand[]=data.payment_intent.latest_charge",
    "/v1/payment_intents?expand[]=data.payment_method",
    "/v1/charges?expand[]=data.refunds&expand[]=data.balance_transaction&expand[]=data.customer",
    "/v1/refunds?expand[]=data.charge",
    "/v1/balance_transactions?expand[]=data.source",
    "/v1/events?limit=100",
)


MORE_LISTS = (
    "/v1/billing_portal/configurations",
    "/v1/coupons",
    "/v1/customers?limit=100",
    "/v1/disputes?expand[]=data.charge",
    "/v1/invoice_payments?limit=100",
    "/v1/invoiceitems?limit=100",
    "/v1/invoices?limit=100&expand[]=data.discounts&expand[]=data.payments&expand[]=data.customer",
    "/v1/payment_methods?limit=100",
    "/v1/promotion_codes",
    "/v1/setup_intents?limit=100&expand[]=data.latest_attempt&expand[]=data.payment_method",
    "/v1/subscriptions?limit=100&status=all&expand[]=data.latest_invoice&expand[]=data.discounts",
    "/v1/webhook_endpoints",
)


def every_event(sandbox: Sandbox) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    more = True
    while more:
        after = f"&starting_after={events[-1]['id']}" if events else ""
        page = get(sandbox, f"/v1/events?limit=100{after}")
        events += page["data"]
        more = page["has_more"]
    return events


def test_objects_are_stripes_key_by_key(eventful: Sandbox, fixtures: dict[str, Any]) -> None:
    for path in LISTS:
        listed = get(eventful, path)
        assert listed["data"], path
        assert all_differences(listed, fixtures) == [], path


def test_the_comparison_finds_what_it_is_for(fixtures: dict[str, Any]) -> None:
    made_up = fixtures["refund"] | {"amount": "100", "colour": "red"}
    del made_up["status"]
    assert sorted(all_differences(made_up, fixtures)) == [
        "refund.amount is str, Stripe's is int",
        "refund.colour is not in Stripe's",
        "refund.status is missing",
    ]


def test_every_event_that_payments_send_was_compared(eventful: Sandbox) -> None:
    sent = {event["type"] for event in get(eventful, "/v1/events?limit=100")["data"]}
    assert sent == {
        "charge.failed",
        "charge.pending",
        "charge.refund.updated",
        "charge.refunded",
        "charge.succeeded",
        "charge.updated",
        "checkout.session.async_payment_failed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.completed",
        "checkout.session.expired",
        "customer.created",
        "customer.updated",
        "payment_intent.canceled",
        "payment_intent.created",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.succeeded",
        "price.created",
        "price.updated",
        "product.created",
        "product.updated",
        "refund.created",
        "refund.failed",
        "refund.updated",
    }


def test_objects_of_subscriptions_are_stripes_key_by_key(subscribed: Sandbox, fixtures: dict[str, Any]) -> None:
    for path in (*LISTS[3:6], *MORE_LISTS):
        listed = get(subscribed, path)
        assert listed["data"], path
        assert all_differences(listed, fixtures) == [], path
    for event in every_event(subscribed):
        assert all_differences(event, fixtures) == [], event["type"]
    subscription = get(subscribed, "/v1/subscriptions")["data"][0]
    preview = subscribed.api.invoices.create_preview({"subscription": subscription["id"]})
    portal = subscribed.api.billing_portal.sessions.create({"customer": subscription["customer"]})
    gone = subscribed.api.customers.delete(subscription["customer"])
    for made in (preview, portal, gone):
        assert all_differences(made.to_dict(), fixtures) == [], made.object


def test_every_event_that_an_application_listens_for_was_sent(subscribed: Sandbox) -> None:
    sent = {event["type"] for event in every_event(subscribed)}
    wanted = """
        charge.captured charge.dispute.closed charge.dispute.created charge.dispute.funds_reinstated
        charge.dispute.funds_withdrawn charge.dispute.updated charge.failed charge.pending
        charge.refund.updated charge.refunded charge.succeeded
        checkout.session.async_payment_failed checkout.session.async_payment_succeeded
        checkout.session.completed checkout.session.expired
        customer.subscription.created customer.subscription.deleted customer.subscription.paused
        customer.subscription.resumed customer.subscription.trial_will_end customer.subscription.updated
        invoice.created invoice.finalization_failed invoice.finalized invoice.paid
        invoice.payment_action_required invoice.payment_failed invoice.payment_succeeded invoice.voided
        invoice_payment.paid payment_intent.amount_capturable_updated payment_intent.canceled
        payment_intent.created payment_intent.payment_failed payment_intent.processing
        payment_intent.requires_action payment_intent.succeeded payment_method.attached
        refund.created refund.failed refund.updated setup_intent.canceled setup_intent.created
        setup_intent.requires_action setup_intent.setup_failed setup_intent.succeeded
    """
    assert set(wanted.split()) - sent == set()
