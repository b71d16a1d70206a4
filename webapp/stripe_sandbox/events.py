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
        "pending_webhooks": 0 if store.endpoint is None else 1,
        "request": {"id": store.cause.request_id, "idempotency_key": store.cause.idempotency_key},
        "type": type,
    }
    store.insert(event)
    if store.endpoint is not None:
        _plan_delivery(store, event_id=event["id"])
    return event


def send_again(store: Store, *, event_id: str) -> None:
    """The event is due once more, at once, whatever happened to it before and whatever faults are set."""
    _insert_delivery(store, event_id=event_id, state="pending", delay_seconds=0)


def _plan_delivery(store: Store, *, event_id: str) -> None:
    faults = read_faults(store.connection)
    if _is_lost(store, faults):
        _insert_delivery(store, event_id=event_id, state="lost", delay_seconds=0)
        return
    for _ in range(1 + faults.duplicate):
        _insert_delivery(store, event_id=event_id, state="pending", delay_seconds=faults.delay_seconds)


def _is_lost(store: Store, faults: Faults) -> bool:
    if faults.lose < 1:
        return random.random() < faults.lose  # noqa: S311 - a fault, not a secret
    counted = read_faults(store.connection, lock=True)
    if counted.lose < 1:
        return False
    write_faults(store.connection, replace(counted, lose=counted.lose - 1))
    return True


def _insert_delivery(store: Store, *, event_id: str, state: str, delay_seconds: float) -> None:
    store.connection.execute(
        "INSERT INTO stripe_sandbox.deliveries (event_id, state, due_at) VALUES (%s, %s, %s)",
        [event_id, state, store.seconds_from_now(delay_seconds)],
    )
