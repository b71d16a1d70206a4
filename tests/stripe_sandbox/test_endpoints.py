"""Webhook endpoints that were made through the API, beside the configured one."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.conftest import Receiver, Sandbox, serve


@pytest.fixture
def second() -> Iterator[Receiver]:
    taking = Receiver()
    with serve(lambda _url: taking) as url:
        taking.url = f"{url}/hooks"
        yield taking


def make(sandbox: Sandbox, receiver: Receiver, *types: str) -> Any:
    return sandbox.api.webhook_endpoints.create({"url": receiver.url, "enabled_events": list(types)})


def test_endpoint_gets_what_it_asked_for_under_its_own_secret(sandbox: Sandbox, second: Receiver) -> None:
    endpoint = make(sandbox, second, "customer.created")
    sandbox.api.customers.create({})
    sandbox.api.products.create({"name": "Pro"})
    assert sandbox.run_due() == 3
    body, header = second.taken[0]
    assert len(second.taken) == 1
    assert stripe.Webhook.construct_event(body, header, endpoint.secret).type == "customer.created"
    assert not hasattr(sandbox.api.webhook_endpoints.retrieve(endpoint.id), "secret")


def test_event_is_pending_until_everyone_has_it(sandbox: Sandbox, second: Receiver) -> None:
    make(sandbox, second, "*")
    second.statuses = [500]
    sandbox.api.customers.create({})
    assert sandbox.api.events.list().data[0].pending_webhooks == 2
    sandbox.run_due()
    assert sandbox.api.events.list({"delivery_success": False}).data[0].pending_webhooks == 1
    sandbox.clock.advance(seconds=1)
    assert sandbox.run_due() == 1
    assert sandbox.api.events.list({"delivery_success": False}).data == []
    assert len(sandbox.api.events.list({"delivery_success": True}).data) == 1


def test_disabled_and_deleted_endpoints_get_nothing(sandbox: Sandbox, second: Receiver) -> None:
    endpoint = make(sandbox, second, "*")
    sandbox.api.webhook_endpoints.update(endpoint.id, {"disabled": True})
    sandbox.api.customers.create({})
    sandbox.api.webhook_endpoints.update(endpoint.id, {"disabled": False})
    sandbox.api.products.create({"name": "Pro"})
    assert sandbox.api.webhook_endpoints.delete(endpoint.id).deleted is True
    assert sandbox.run_due() == 2
    assert second.taken == []
    assert sandbox.api.webhook_endpoints.list().data == []


def test_sandbox_without_a_configured_endpoint_serves_the_others(
    start_sandbox: Callable[..., Any], second: Receiver
) -> None:
    with start_sandbox(webhook_url=None) as sandbox:
        sandbox.api.customers.create({})
        make(sandbox, second, "*")
        sandbox.api.customers.create({})
        assert sandbox.run_due() == 1
        assert len(second.taken) == 1
