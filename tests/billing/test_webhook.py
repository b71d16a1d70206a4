"""POST /stripe/webhook believes nobody."""

import json
import time
from typing import Any

import pytest

from tests.billing.shop import Buyer, Shop, sign
from webapp.billing.stripe_event import StripeEvent


@pytest.fixture
def completed(shop: Shop, buyer: Buyer) -> dict[str, Any]:
    """A genuine event about a paid purchase, not yet delivered."""
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    (event,) = shop.events(purchase.stripe_session_id)
    return event


KINDS = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.finalization_failed",
    "customer.subscription.created",
    "customer.subscription.deleted",
)


def stored(shop: Shop, event_id: str) -> StripeEvent | None:
    return shop.read(lambda session: session.get(StripeEvent, event_id))


def test_a_genuine_event_is_stored_as_it_came_and_answered_at_once(shop: Shop, completed: dict[str, Any]) -> None:
    assert shop.deliver(completed).status_code == 200
    event = stored(shop, completed["id"])
    assert event is not None
    assert event.payload == completed
    assert (event.type, event.livemode, event.state) == ("checkout.session.completed", False, "received")


@pytest.mark.parametrize(
    "fault",
    [
        {"secret": "whsec_somebody_else"},
        {"age": 302},
        {"age": -3600},
        {"age": 10**9},
        {"signature": ""},
        {"signature": "t=,v1="},
        {"signature": "t=abc,v1=def"},
        {"signature": "v1=00"},
        {"signature": "t=1"},
        {"signature": "Ünsinn=Grüße"},
        {"signature": "=" * 5000},
    ],
    ids=lambda fault: "-".join(f"{key}={str(value)[:8]}" for key, value in fault.items()),
)
def test_forged_stale_and_future_events_are_refused(
    shop: Shop, completed: dict[str, Any], fault: dict[str, Any]
) -> None:
    if "age" in fault:
        fault = {"timestamp": int(time.time()) - fault["age"]}
    assert shop.deliver(completed, **fault).status_code == 400
    assert stored(shop, completed["id"]) is None


def test_an_event_that_is_genuine_but_of_two_timestamps_counts_the_later(shop: Shop, completed: dict[str, Any]) -> None:
    body = json.dumps(completed)
    moment = int(time.time())
    signature = f"{sign(body, 'whsec_sandbox', moment)},t={moment + 9999}"
    assert shop.deliver_body(body.encode(), signature=signature).status_code == 400


def test_without_the_header_nothing_is_believed(shop: Shop, completed: dict[str, Any]) -> None:
    answer = shop.app.test_client().post("/stripe/webhook", json=completed)
    assert answer.status_code == 400
    assert stored(shop, completed["id"]) is None


def test_a_changed_body_is_refused(shop: Shop, completed: dict[str, Any]) -> None:
    moment = int(time.time())
    signature = sign(json.dumps(completed), "whsec_sandbox", moment)
    completed["data"]["object"]["amount_total"] = 1
    assert shop.deliver_body(json.dumps(completed).encode(), signature=signature).status_code == 400


def test_a_signature_of_an_old_scheme_alone_is_refused(shop: Shop, completed: dict[str, Any]) -> None:
    """v0 is for test events of Stripe's and proves nothing: only v1 counts."""
    body = json.dumps(completed)
    genuine = sign(body, "whsec_sandbox", int(time.time()))
    assert shop.deliver_body(body.encode(), signature=genuine.replace("v1=", "v0=")).status_code == 400
    wrong = f"{genuine.replace('v1=', 'v0=')},v1={'0' * 64}"
    assert shop.deliver_body(body.encode(), signature=wrong).status_code == 400
    assert stored(shop, completed["id"]) is None


@pytest.mark.parametrize("written", [{"indent": 1}, {"separators": (",", ":")}], ids=str)
def test_the_same_event_written_otherwise_is_refused(
    shop: Shop, completed: dict[str, Any], written: dict[str, Any]
) -> None:
    genuine = sign(json.dumps(completed), "whsec_sandbox", int(time.time()))
    body = json.dumps(completed, **written)
    assert body != json.dumps(completed)
    assert shop.deliver_body(body.encode(), signature=genuine).status_code == 400
    assert stored(shop, completed["id"]) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"12",
        b"{}",
        b"not json",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"id":"evt_1","object":"event"}',
        b'{"id":"evt_x","type":"a","livemode":"no","created":1,"data":{"object":{}}}',
        b'{"id":"evt_x","type":"a","livemode":false,"created":1e99,"data":{"object":{}}}',
        b'{"id":"evt_x","type":"a","livemode":false,"created":99999999999999,"data":{"object":{}}}',
        b'{"id":"../x","type":"a","livemode":false,"created":1,"data":{"object":{}}}',
        b'{"id":"evt_x","type":"a","livemode":false,"created":1,"data":{"object":{"a":"\\u0000"}}}',
        b'{"id":"evt_x","type":"a","livemode":false,"created":1,"data":[]}',
        b'{"id":"evt_x","type":"a","livemode":false,"created":NaN,"data":{"object":{}}}',
        b'{"id":"evt_x","type":"a","livemode":false,"created":1,"data":{"object":{"a":NaN}}}',
        b'{"id":"evt_x","type":"a\\ud800","livemode":false,"created":1,"data":{"object":{}}}',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_signed_but_no_event_is_refused(shop: Shop, body: bytes) -> None:
    moment = int(time.time())
    import hashlib
    import hmac

    digest = hmac.new(b"whsec_sandbox", f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    assert shop.deliver_body(body, signature=f"t={moment},v1={digest}").status_code == 400
    assert stored(shop, "evt_x") is None


def test_an_event_of_the_other_mode_is_refused(shop: Shop, completed: dict[str, Any]) -> None:
    assert shop.deliver({**completed, "livemode": True}).status_code == 400
    assert stored(shop, completed["id"]) is None


def test_a_body_too_large_is_refused(shop: Shop, completed: dict[str, Any]) -> None:
    completed["padding"] = "x" * 2_000_000
    assert shop.deliver(completed).status_code == 413


def test_an_unknown_type_is_kept_and_ignored(shop: Shop, completed: dict[str, Any]) -> None:
    strange = {**completed, "id": "evt_strange", "type": "never.heard.of"}
    assert shop.deliver(strange).status_code == 200
    shop.work("evt_strange")
    assert shop.event("evt_strange").state == "ignored"


@pytest.mark.parametrize(
    "thing",
    [
        {},
        {"id": None, "metadata": None},
        {"id": "cs_x", "metadata": []},
        {"id": "cs_x", "metadata": {"purchase": "9" * 40}},
        {"id": "cs_x", "metadata": {"purchase": "-1"}},
        {"id": "cs_x", "metadata": {"purchase": "1"}, "client_reference_id": "usr_nobody"},
        {"id": "cs_x", "metadata": {"purchase": "١"}},
        {"payment_intent": {"id": "pi_x"}},
        {"payment_intent": "pi_nobody_knows"},
        {"id": "in_nobody_knows", "customer": "cus_nobody", "payment_intent": None, "metadata": {"credits": "10" * 9}},
        {"id": "sub_nobody_knows", "customer": "cus_nobody", "items": [], "status": "active"},
        {"id": ["in_x"], "customer": {"id": "cus_x"}, "subscription": 7, "charge": []},
        {"id": "du_x", "charge": "ch_nobody", "payment_intent": ["pi_x"], "amount": 10**30, "currency": "xxx"},
    ],
    ids=str,
)
def test_a_genuine_event_about_nothing_of_ours_is_ignored(shop: Shop, thing: dict[str, Any]) -> None:
    for kind in KINDS:
        event_id = f"evt_{abs(hash((kind, str(thing))))}"
        event = {
            "id": event_id,
            "object": "event",
            "type": kind,
            "livemode": False,
            "created": 1,
            "api_version": None,
            "data": {"object": thing},
        }
        assert shop.deliver(event).status_code == 200
        shop.work(event_id)
        # a subscription that Stripe does not know is for a person to look at; the rest is somebody else's
        fine = ("ignored", "parked") if kind.startswith(("customer.", "invoice.")) else ("ignored",)
        assert shop.event(event_id).state in fine, kind


def test_the_webhook_needs_no_form_token_but_only_takes_posts(shop: Shop) -> None:
    assert shop.app.test_client().get("/stripe/webhook").status_code == 405
