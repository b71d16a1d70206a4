"""Webhook endpoints beside the configured one: https://docs.stripe.com/api/webhook_endpoints"""

from typing import Any

from webapp.stripe_sandbox.operations import (
    Call,
    Operation,
    create,
    delete,
    found,
    list_of,
    merge_metadata,
    retrieve,
)
from webapp.stripe_sandbox.page import list_page
from webapp.stripe_sandbox.params import array, boolean, metadata, text, url
from webapp.stripe_sandbox.store import new_id

TYPE = "webhook_endpoint"


def _create(call: Call) -> dict[str, Any]:
    """The answer alone tells the secret with which its events are signed."""
    params = call.params
    endpoint: dict[str, Any] = {
        "id": new_id("we"),
        "object": TYPE,
        "api_version": params.get("api_version"),
        "application": None,
        "created": call.store.timestamp,
        "description": params.get("description"),
        "enabled_events": params["enabled_events"],
        "livemode": False,
        "metadata": merge_metadata({}, params.get("metadata", {})),
        "status": "enabled",
        "url": params["url"],
    }
    secret = new_id("whsec", length=32)
    call.store.insert(endpoint, private={"secret": secret})
    return endpoint | {"secret": secret}


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="webhook_endpoint", lock=True)
    changes = dict(call.params)
    if "disabled" in changes:
        changes["status"] = "disabled" if changes.pop("disabled") else "enabled"
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(stored.data["metadata"], changes["metadata"])
    stored.data |= changes
    call.store.save(stored)
    return stored.data


def _delete(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="webhook_endpoint", lock=True)
    call.store.connection.execute(
        "UPDATE stripe_sandbox.deliveries SET state = 'failed', answer = 'endpoint deleted'"
        " WHERE endpoint_id = %s AND state = 'pending'",
        [stored.id],
    )
    return call.store.delete(stored)


def _list(call: Call) -> dict[str, Any]:
    return list_page(call.store, type=TYPE, url="/v1/webhook_endpoints", params=call.params)


FIELDS = {
    "description": text(max_length=5_000, blank=True),
    "enabled_events": array(text(max_length=200), max_length=300),
    "metadata": metadata(),
    "url": url(),
}

OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/webhook_endpoints",
        _create,
        {**FIELDS, "api_version": text(max_length=50)},
        required=("enabled_events", "url"),
    ),
    create("/v1/webhook_endpoints/<id>", _update, {**FIELDS, "disabled": boolean()}),
    delete("/v1/webhook_endpoints/<id>", _delete),
    retrieve("/v1/webhook_endpoints/<id>", type=TYPE, param="webhook_endpoint"),
    list_of("/v1/webhook_endpoints", _list, {}),
)
