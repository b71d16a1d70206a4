"""Writes events beside the changes that they tell of, and what has to be delivered.

https://docs.stripe.com/api/events/object
"""

import random
from dataclasses import replace
from typing import Any

from webapp.stripe_sandbox.faults import Faults, read_faults, write_faults
from webapp.stripe_sandbox.store import Store, new_id, snapshot

API_VERSION = "2026-10-28.endive"  # the version that stripe-python 16.1.0 pins


def emit(store: Store, *, type: str, object: dict[str, Any], previous: dict[str, Any] | None = None) -> dict[str, Any]:
    """The event exists with the object as it is now, and is due for delivery under the faults in force.

    It becomes visible, and is sent, only when the transaction of its cause commits. `previous` are the
    changed attributes' old values, for events named `….updated` and alike.
    """
    endpoints = _endpoints(store, type)
    data: dict[str, Any] = {"object": snapshot(object)}
    if previous is not None:
        data["previous_attributes"] = snapshot(previous)
    event: dict[str, Any] = {
        "id": new_id("evt", length=24),
        "object": "event",
        "api_version": API_VERSION,
        "created": store.timestamp,
        "data": data,
        "livemode": False,
        "pending_webhooks": len(endpoints),
        "request": {"id": store.cause.request_id, "idempotency_key": store.cause.idempotency_key},
        "type": type,
    }
    store.insert(event)
    for endpoint in endpoints:
        _plan_delivery(store, event_id=event["id"], endpoint=endpoint)
    return event


def send_again(store: Store, *, event_id: str, times: int = 1) -> None:
    """The event is due so many times more, at once, whatever happened to it before and whatever faults are set.

    It goes to the configured endpoint, or to those of the API where none is configured.
    """
    event = store.find("event", event_id)
    assert event is not None
    targets = [None] if store.endpoint is not None else _endpoints(store, event.data["type"])
    for target in targets * times:
        _insert_delivery(store, event_id=event_id, endpoint=target, state="pending", delay_seconds=0)


def _endpoints(store: Store, type: str) -> list[str | None]:
    """Who gets such an event: the configured endpoint (None), and those made through the API that asked for it."""
    asked = store.connection.execute(
        "SELECT id FROM stripe_sandbox.objects WHERE type = 'webhook_endpoint' AND data ->> 'status' = 'enabled'"
        " AND data -> 'enabled_events' ?| %s ORDER BY seq",
        [["*", type]],
    ).fetchall()
    configured: list[str | None] = [] if store.endpoint is None else [None]
    return configured + [id for (id,) in asked]


def _plan_delivery(store: Store, *, event_id: str, endpoint: str | None) -> None:
    faults = read_faults(store.connection)
    if _is_lost(store, faults):
        _insert_delivery(store, event_id=event_id, endpoint=endpoint, state="lost", delay_seconds=0)
        return
    for _ in range(1 + faults.duplicate):
        _insert_delivery(
            store, event_id=event_id, endpoint=endpoint, state="pending", delay_seconds=faults.delay_seconds
        )


def _is_lost(store: Store, faults: Faults) -> bool:
    if faults.lose < 1:
        return random.random() < faults.lose  # noqa: S311 - a fault, not a secret
    counted = read_faults(store.connection, lock=True)
    if counted.lose < 1:
        return False
    write_faults(store.connection, replace(counted, lose=counted.lose - 1))
    return True


def _insert_delivery(store: Store, *, event_id: str, endpoint: str | None, state: str, delay_seconds: float) -> None:
    store.connection.execute(
        "INSERT INTO stripe_sandbox.deliveries (event_id, endpoint_id, state, due_at) VALUES (%s, %s, %s, %s)",
        [event_id, endpoint, state, store.seconds_from_now(delay_seconds)],
    )
