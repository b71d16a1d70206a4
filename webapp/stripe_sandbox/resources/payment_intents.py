"""Payment intents: https://docs.stripe.com/api/payment_intents

The sandbox makes them for Checkout Sessions; they are read here and change in `payments.py`.
"""

from typing import Any

from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.operations import Call, Operation, create, found, list_of, merge_metadata, retrieve
from webapp.stripe_sandbox.page import list_page
from webapp.stripe_sandbox.params import metadata, range_of_time, text
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

TYPE = "payment_intent"


def make_payment_intent(store: Store, session: dict[str, Any], asked: dict[str, Any]) -> Stored:
    """The session's payment intent exists, waiting for a payment method; `asked` is `payment_intent_data`.

    Like Stripe since 2022-08-01, it is made when the buyer first confirms, not with the session.
    """
    id = new_id("pi")
    intent: dict[str, Any] = {
        "id": id,
        "object": TYPE,
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": asked.get("capture_method", "automatic"),
        "client_secret": f"{id}_secret_{new_id('s', length=25)[2:]}",
        "confirmation_method": "automatic",
        "created": store.timestamp,
        "currency": session["currency"],
        "customer": session["customer"],
        "customer_account": None,
        "description": asked.get("description"),
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": merge_metadata({}, asked.get("metadata", {})),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": list(session["payment_method_types"]),
        "processing": None,
        "receipt_email": asked.get("receipt_email"),
        "review": None,
        "setup_future_usage": asked.get("setup_future_usage"),
        "shipping": None,
        "source": None,
        "statement_descriptor": asked.get("statement_descriptor"),
        "statement_descriptor_suffix": asked.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }
    stored = store.insert(intent, private={"session": session["id"]})
    emit(store, type="payment_intent.created", object=intent)
    return stored


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="intent", lock=True)
    changes = dict(call.params)
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(stored.data["metadata"], changes["metadata"])
    stored.data |= changes
    call.store.save(stored)
    return snapshot(stored.data)


def _list(call: Call) -> dict[str, Any]:
    match = {"customer": call.params["customer"]} if "customer" in call.params else {}
    return list_page(call.store, type=TYPE, url="/v1/payment_intents", params=call.params, match=match)


OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/payment_intents/<id>",
        _update,
        {"description": text(max_length=1_000, blank=True), "metadata": metadata()},
    ),
    retrieve("/v1/payment_intents/<id>", type=TYPE, param="intent"),
    list_of("/v1/payment_intents", _list, {"created": range_of_time(), "customer": text(max_length=255)}),
)
