"""The sandbox's own page: it shows what happened, and its buttons make things happen."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from tests.stripe_sandbox.conftest import Receiver, Sandbox
from tests.stripe_sandbox.test_subscriptions import invoices_of, pass_days, subscribe


def press(sandbox: Sandbox, path: str, **fields: str) -> requests.Response:
    url = f"{sandbox.url}/_sandbox/{path}"
    return requests.post(url, data=fields or {"x": ""}, allow_redirects=False, timeout=10)


def test_page_shows_what_happened_and_its_buttons_work(sandbox: Sandbox, receiver: Receiver) -> None:
    charge = sandbox.paid_charge()
    open_one = sandbox.open_session()
    sandbox.run_due()
    board = f"{sandbox.url}/_sandbox/"
    page = requests.get(board, timeout=10).text
    for shown in (charge.id, "checkout.session.completed", "delivered · 1 · 200", receiver.url):
        assert shown in page
    pressed: list[tuple[str, dict[str, str]]] = [
        (f"charges/{charge.id}/refund", {"amount": "100"}),
        (f"charges/{charge.id}/refund", {"amount": ""}),
        (f"sessions/{open_one.id}/expire", {}),
        ("settle", {}),
        ("run", {}),
        ("settings", {"duplicate": "1", "reorder": "on", "lose": "0.0", "delay_seconds": "0"}),
    ]
    for path, fields in pressed:
        answer = press(sandbox, path, **fields)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/_sandbox/"), path
    assert [refund.amount for refund in sandbox.api.refunds.list().data] == [800, 100]
    assert sandbox.api.checkout.sessions.retrieve(open_one.id).status == "expired"
    assert "fail" in requests.get(board, timeout=10).text


def test_whole_form_of_settings_can_be_saved_as_it_stands(sandbox: Sandbox) -> None:
    before = requests.get(f"{sandbox.url}/_sandbox/settings", timeout=10).json()
    fields = {name: str(value) for name, value in before.items() if not isinstance(value, bool)}
    page = requests.get(f"{sandbox.url}/_sandbox/", timeout=10).text
    for name in before:
        assert f'name="{name}"' in page
    assert press(sandbox, "settings", **fields).status_code == 303
    assert requests.get(f"{sandbox.url}/_sandbox/settings", timeout=10).json() == before


def test_next_renewal_fails_once_and_is_tried_again(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    assert press(sandbox, f"subscriptions/{subscription.id}/fail-next").status_code == 303
    assert "fail next" in requests.get(f"{sandbox.url}/_sandbox/", timeout=10).text
    pass_days(sandbox, 28)
    invoice = invoices_of(sandbox, subscription)[-1]
    assert (invoice.status, sandbox.api.subscriptions.retrieve(subscription.id).status) == ("open", "past_due")
    assert press(sandbox, f"invoices/{invoice.id}/retry").status_code == 303
    assert sandbox.api.subscriptions.retrieve(subscription.id).status == "active"
    assert press(sandbox, f"invoices/{invoice.id}/retry").status_code == 400


def test_next_invoice_cannot_be_finalized_until_it_is_asked_again(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    press(sandbox, f"subscriptions/{subscription.id}/fail-finalization")
    pass_days(sandbox, 28)
    invoice = invoices_of(sandbox, subscription)[-1]
    assert (invoice.status, invoice.last_finalization_error.code) == ("draft", "customer_tax_location_invalid")
    assert sandbox.event_types()[-1] == "invoice.finalization_failed"
    assert sandbox.api.invoices.finalize_invoice(invoice.id).status == "open"
    assert sandbox.api.invoices.pay(invoice.id).status == "paid"


def test_subscription_is_left_kept_and_ended(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    for expected in (True, False):
        press(sandbox, f"subscriptions/{subscription.id}/leave")
        assert sandbox.api.subscriptions.retrieve(subscription.id).cancel_at_period_end is expected
    press(sandbox, f"subscriptions/{subscription.id}/end")
    assert sandbox.api.subscriptions.retrieve(subscription.id).status == "canceled"
    assert press(sandbox, f"subscriptions/{subscription.id}/end").status_code == 400


def test_event_is_sent_twice(sandbox: Sandbox) -> None:
    sandbox.api.customers.create({})
    event = sandbox.api.events.list().data[0]
    press(sandbox, f"events/{event.id}/deliver", times="2")
    assert sandbox.run_due() == 3


def test_own_clock_is_moved(start_sandbox: Callable[..., Any]) -> None:
    with start_sandbox(now=None) as sandbox:
        before = sandbox.api.customers.create({}).created
        answer = requests.post(f"{sandbox.url}/_sandbox/advance", json={"by": "31d"}, timeout=10)
        assert answer.status_code == 200
        after = sandbox.api.customers.create({}).created
        assert 'action="/_sandbox/advance"' in requests.get(f"{sandbox.url}/_sandbox/", timeout=10).text
        assert timedelta(days=31) <= timedelta(seconds=after - before) < timedelta(days=31, minutes=5)


@pytest.mark.parametrize("by", ["", "31", "d", "-1d", "0d", "99999d", "1.5h", "²d"])
def test_nonsense_does_not_move_the_clock(start_sandbox: Callable[..., Any], by: str) -> None:
    with start_sandbox(now=None) as sandbox:
        assert requests.post(f"{sandbox.url}/_sandbox/advance", json={"by": by}, timeout=10).status_code == 400


def test_clock_of_another_is_not_moved(sandbox: Sandbox) -> None:
    answer = requests.post(f"{sandbox.url}/_sandbox/advance", json={"by": "1d"}, timeout=10)
    assert (answer.status_code, "another clock" in answer.text) == (400, True)
    page = requests.get(f"{sandbox.url}/_sandbox/", timeout=10).text
    assert "/_sandbox/advance" not in page
    assert "Time is the application's here." in page


def test_who_has_another_clock_is_led_to_where_it_is_moved(start_sandbox: Callable[..., Any]) -> None:
    with start_sandbox(time_page="http://localhost:8000/sandbox") as sandbox:
        assert 'href="http://localhost:8000/sandbox"' in requests.get(f"{sandbox.url}/_sandbox/", timeout=10).text


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("charges/ch_none/refund", {"amount": "1"}, 400),
        ("charges/ch_none/refund", {"amount": "1.5"}, 400),
        ("charges/ch_none/refund", {"amount": "²"}, 400),
        ("refunds/re_none/fail", {"x": ""}, 404),
        ("sessions/cs_none/expire", {"x": ""}, 404),
        ("settings", {"duplicate": "many"}, 400),
        ("settings", {"lose": "nan"}, 400),
        ("settings", {"lose": "1e400"}, 400),
        ("settings", {"after_retries": "shout"}, 400),
    ],
)
def test_nonsense_is_refused(sandbox: Sandbox, path: str, fields: dict[str, str], status: int) -> None:
    assert press(sandbox, path, **fields).status_code == status


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_no_foreign_page_is_obeyed(sandbox: Sandbox, headers: dict[str, str]) -> None:
    answer = requests.post(f"{sandbox.url}/_sandbox/settings", json={"paused": True}, headers=headers, timeout=10)
    assert answer.status_code in (403, 421)
    assert requests.get(f"{sandbox.url}/_sandbox/settings", timeout=10).json()["paused"] is False
