"""Events reach the merchant signed, in order, until they are taken; and otherwise when asked for."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import requests
import stripe

from tests.stripe_sandbox.conftest import SECRET, Sandbox
from tests.stripe_sandbox.test_checkout_sessions import CARD_PAID
from webapp.stripe_sandbox.delivery import retry_seconds
from webapp.stripe_sandbox.signature import sign

WAIT_SECONDS = 20


def test_signature_is_the_one_that_the_sdk_computes() -> None:
    body = '{"object": "event", "text": "ü"}'
    expected = stripe.WebhookSignature._compute_signature(f"1700000000.{body}", SECRET)
    assert sign(body, secret=SECRET, timestamp=1_700_000_000) == f"t=1700000000,v1={expected}"


def test_events_are_signed_and_come_in_their_order(sandbox: Sandbox) -> None:
    sandbox.press(sandbox.open_session(), "pay", email="ädä@example.com")
    assert sandbox.run_due() == 4
    assert sandbox.receiver.types == CARD_PAID
    body, header = sandbox.receiver.taken[0]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, header, "whsec_other")


def test_delivered_events_are_not_sent_again(sandbox: Sandbox) -> None:
    sandbox.api.customers.create({})
    assert sandbox.run_due() == 1
    sandbox.clock.advance(days=2)
    assert sandbox.run_due() == 0
    assert sandbox.api.events.list().data[0].pending_webhooks == 0


@pytest.mark.parametrize("status", [500, 404, 302])
def test_anything_but_success_is_retried_with_growing_waits(sandbox: Sandbox, status: int) -> None:
    sandbox.receiver.statuses = [status] * 3
    sandbox.api.customers.create({})
    assert sandbox.run_due() == 1
    assert sandbox.run_due() == 0
    assert sandbox.api.events.list({"delivery_success": False}).data[0].pending_webhooks == 1
    for wait in (1, 2, 4):
        sandbox.clock.advance(seconds=wait - 0.5)
        assert sandbox.run_due() == 0
        sandbox.clock.advance(seconds=0.5)
        assert sandbox.run_due() == 1
    ids = {event.id for event in sandbox.receiver.events}
    assert len(ids) == 1
    assert len(sandbox.receiver.taken) == 4
    assert len(sandbox.api.events.list({"delivery_success": True}).data) == 1
    assert sandbox.api.events.list({"delivery_success": False}).data == []


def test_retries_end_after_about_three_days() -> None:
    waits = [retry_seconds(attempts) for attempts in range(1, 92)]
    assert waits[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert waits[-1] is None
    assert 60 < sum(wait or 0 for wait in waits) / 3_600 < 75


def test_merchant_that_is_down_gets_the_event_later(start_sandbox: Callable[..., Any]) -> None:
    with start_sandbox(webhook_url="http://127.0.0.1:9/stripe/webhook") as sandbox:
        sandbox.api.customers.create({})
        assert sandbox.run_due() == 1
        assert len(sandbox.api.events.list({"delivery_success": False}).data) == 1
    with start_sandbox() as again:
        again.clock.advance(seconds=1)
        assert again.run_due() == 1
        assert again.receiver.types == ["customer.created"]


def test_event_of_a_refused_request_is_never_sent(sandbox: Sandbox) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.api.customers.create({"expand": ["nothing"]})
    assert sandbox.run_due() == 0
    assert sandbox.api.events.list().data == []


# ---------------------------------------------------------------- on request


def test_duplicates_are_sent_as_often_as_asked(sandbox: Sandbox) -> None:
    sandbox.set_faults(duplicate=2)
    sandbox.api.customers.create({})
    assert sandbox.run_due() == 3
    assert len({event.id for event in sandbox.receiver.events}) == 1


def test_delayed_events_wait(sandbox: Sandbox) -> None:
    sandbox.set_faults(delay_seconds=90)
    sandbox.api.customers.create({})
    assert sandbox.run_due() == 0
    sandbox.clock.advance(seconds=90)
    assert sandbox.run_due() == 1


def test_the_next_events_are_lost_but_listed(sandbox: Sandbox) -> None:
    sandbox.set_faults(lose=2)
    for _ in range(3):
        sandbox.api.customers.create({})
    assert sandbox.run_due() == 1
    assert len(sandbox.api.events.list({"delivery_success": False}).data) == 2
    assert requests.get(f"{sandbox.url}/_sandbox/settings", timeout=10).json()["lose"] == 0


def test_some_share_of_the_events_is_lost(sandbox: Sandbox) -> None:
    sandbox.set_faults(lose=0.999999)
    sandbox.press(sandbox.open_session(), "pay")
    assert sandbox.run_due() < 4


def test_events_are_shuffled_when_asked(sandbox: Sandbox) -> None:
    sandbox.set_faults(reorder=True)
    for _ in range(8):
        sandbox.press(sandbox.open_session(), "pay")
    sandbox.run_due()
    assert sorted(sandbox.receiver.types) == sorted(CARD_PAID * 8)
    assert sandbox.receiver.types != CARD_PAID * 8


def test_several_are_sent_at_once_when_asked(sandbox: Sandbox) -> None:
    sandbox.set_faults(duplicate=3, concurrency=4)
    together = threading.Barrier(4, timeout=WAIT_SECONDS)
    taking = sandbox.receiver.came
    taking.set = together.wait  # type: ignore[method-assign] - none is answered before all four are there
    sandbox.api.customers.create({})
    assert sandbox.run_due() == 4


def test_nothing_is_sent_while_paused(sandbox: Sandbox) -> None:
    sandbox.set_faults(paused=True)
    sandbox.api.customers.create({})
    assert sandbox.run_due() == 0
    sandbox.set_faults(paused=False)
    assert sandbox.run_due() == 1


def test_an_event_is_sent_again_on_request(sandbox: Sandbox) -> None:
    sandbox.set_faults(lose=1)
    sandbox.api.customers.create({})
    event = sandbox.api.events.list().data[0]
    url = f"{sandbox.url}/_sandbox/events/{event.id}/deliver"
    assert requests.post(url, json={}, timeout=10).status_code == 200
    assert sandbox.run_due() == 1
    assert [one.id for one in sandbox.receiver.events] == [event.id]
    assert requests.post(url.replace(event.id, "evt_none"), json={}, timeout=10).status_code == 404


@pytest.mark.parametrize(
    "faults",
    [
        {"colour": 1},
        {"duplicate": -1},
        {"duplicate": 1.5},
        {"duplicate": True},
        {"lose": "1"},
        {"lose": 1.5},
        {"reorder": 1},
        {"concurrency": 0},
    ],
)
def test_bad_setting_changes_nothing(sandbox: Sandbox, faults: dict[str, Any]) -> None:
    before = requests.get(f"{sandbox.url}/_sandbox/settings", timeout=10).json()
    assert sandbox.set_faults(paused=True, **faults).status_code == 400
    assert requests.get(f"{sandbox.url}/_sandbox/settings", timeout=10).json() == before


@pytest.mark.parametrize("body", ["", "[]", "nonsense", '{"lose": NaN}', "[" * 5_000])
def test_bad_settings_body_is_400(sandbox: Sandbox, body: str) -> None:
    answer = requests.post(f"{sandbox.url}/_sandbox/settings", data=body, timeout=10)
    assert answer.status_code == 400


# ---------------------------------------------------------------- the thread


def test_the_background_thread_sends_at_once(start_sandbox: Callable[..., Any]) -> None:
    with start_sandbox(background=True) as sandbox:
        sandbox.api.customers.create({})
        assert sandbox.receiver.came.wait(WAIT_SECONDS)
        assert sandbox.receiver.types == ["customer.created"]


def test_a_killed_senders_claim_is_taken_over(sandbox: Sandbox, start_sandbox: Callable[..., Any]) -> None:
    sandbox.api.customers.create({})
    claimed, _faults = sandbox.deliverer._claim()
    assert len(claimed) == 1
    assert sandbox.run_due() == 0
    with start_sandbox(background=True) as again:
        assert again.receiver.came.wait(WAIT_SECONDS)


def test_what_trips_over_one_session_still_sends_events(sandbox: Sandbox, start_sandbox: Callable[..., Any]) -> None:
    session = sandbox.open_session()
    sandbox.press(session, "delay")
    with psycopg.connect(sandbox.dsn) as connection:
        connection.execute("UPDATE stripe_sandbox.objects SET data = data - 'status' WHERE id = %s", [session.id])
    sandbox.clock.advance(seconds=6)
    with start_sandbox(background=True) as again:
        assert again.receiver.came.wait(WAIT_SECONDS)


def test_what_cannot_be_done_holds_up_nothing_else(sandbox: Sandbox) -> None:
    broken, sound = sandbox.open_session(), sandbox.open_session()
    for session in (broken, sound):
        sandbox.press(session, "delay")
    with psycopg.connect(sandbox.dsn) as connection:
        connection.execute("UPDATE stripe_sandbox.objects SET data = data - 'status' WHERE id = %s", [broken.id])
    sandbox.clock.advance(days=1)
    sandbox.run_due()
    assert sandbox.api.checkout.sessions.retrieve(sound.id).payment_status == "paid"
