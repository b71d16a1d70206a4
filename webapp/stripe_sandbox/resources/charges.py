"""Charges: https://docs.stripe.com/api/charges"""

from typing import Any

from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.expand import INCLUDABLE
from webapp.stripe_sandbox.operations import (
    Call,
    Operation,
    chosen,
    create,
    found,
    list_of,
    merge_metadata,
    retrieve,
)
from webapp.stripe_sandbox.page import list_object, list_page
from webapp.stripe_sandbox.params import metadata, range_of_time, text
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

TYPE = "charge"

OUTCOMES: dict[str, dict[str, str | None]] = {
    "succeeded": {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": None,
        "seller_message": "Payment complete.",
        "type": "authorized",
    },
    "failed": {
        "advice_code": "try_again_later",
        "network_advice_code": None,
        "network_decline_code": "01",
        "network_status": "declined_by_network",
        "reason": "generic_decline",
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    },
}


def make_charge(
    store: Store,
    intent: dict[str, Any],
    *,
    status: str,
    method: dict[str, Any],
    details: dict[str, Any],
    failure: tuple[str, str] | None = None,
    captured: bool = True,
) -> Stored:
    """A charge of the whole intent exists as succeeded, pending or failed; no event is sent by this."""
    id = new_id("ch")
    paid, captured = status == "succeeded", captured and status != "failed"
    charge: dict[str, Any] = {
        "id": id,
        "object": TYPE,
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if captured else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": snapshot(method["billing_details"]),
        "calculated_statement_descriptor": "STRIPE SANDBOX",
        "captured": captured,
        "created": store.timestamp,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": failure[0] if failure else None,
        "failure_message": failure[1] if failure else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": dict(OUTCOMES["failed" if status == "failed" else "succeeded"]),
        "paid": paid,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": details,
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": f"{store.base_url}/receipts/{id}" if paid else None,
        "refunded": False,
        "refunds": None,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": status,
        "transfer_data": None,
        "transfer_group": None,
    }
    return store.insert(charge)


def _refunds_of(store: Store, charge: dict[str, Any]) -> dict[str, Any]:
    refunds = store.match("refund", {"charge": charge["id"]}, limit=11)
    return list_object(
        [refund.data for refund in refunds[:10]],
        url=f"/v1/charges/{charge['id']}/refunds",
        has_more=len(refunds) > 10,
    )


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="charge", lock=True)
    changes = dict(call.params)
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(stored.data["metadata"], changes["metadata"])
    previous = {key: stored.data[key] for key, value in changes.items() if stored.data[key] != value}
    if previous:
        stored.data |= changes
        call.store.save(stored)
        emit(call.store, type="charge.updated", object=stored.data, previous=previous)
    return snapshot(stored.data)


def _list(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "customer", "payment_intent")
    return list_page(call.store, type=TYPE, url="/v1/charges", params=call.params, match=match)


INCLUDABLE[TYPE, "refunds"] = _refunds_of

OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/charges/<id>",
        _update,
        {"description": text(max_length=40_000, blank=True), "metadata": metadata()},
    ),
    retrieve("/v1/charges/<id>", type=TYPE, param="charge"),
    list_of(
        "/v1/charges",
        _list,
        {
            "created": range_of_time(),
            "customer": text(max_length=255),
            "payment_intent": text(max_length=255),
        },
    ),
)
