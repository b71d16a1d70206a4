"""Disputes: https://docs.stripe.com/api/disputes

Opened by a test card or by the sandbox's own page; won or lost by that page, by accepting (`close`), or by
Stripe's test evidence: `winning_evidence` or `losing_evidence` as `uncategorized_text`.
"""

from typing import Any

from webapp.stripe_sandbox.errors import no_such, refused
from webapp.stripe_sandbox.events import emit
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
from webapp.stripe_sandbox.page import list_page
from webapp.stripe_sandbox.params import boolean, metadata, range_of_time, shape, text
from webapp.stripe_sandbox.resources.balance_transactions import make_balance_transaction
from webapp.stripe_sandbox.store import Store, Stored, new_id

TYPE = "dispute"
FEE = 1_500
SECONDS_TO_ANSWER = 14 * 86_400
OPEN = ("needs_response", "under_review")
REASONS = ("fraudulent", "product_not_received", "general", "duplicate", "unrecognized")
NETWORK_CODES = {"fraudulent": "10.4", "product_not_received": "13.1", "duplicate": "12.6.1"}
EVIDENCE_KEYS = """
    access_activity_log billing_address cancellation_policy cancellation_policy_disclosure
    cancellation_rebuttal customer_communication customer_email_address customer_name
    customer_purchase_ip customer_signature duplicate_charge_documentation
    duplicate_charge_explanation duplicate_charge_id product_description receipt refund_policy
    refund_policy_disclosure refund_refusal_explanation service_date service_documentation
    shipping_address shipping_carrier shipping_date shipping_documentation shipping_tracking_number
    uncategorized_file uncategorized_text
"""
EVIDENCE = EVIDENCE_KEYS.split()


def open_dispute(store: Store, *, charge_id: str, reason: str = "fraudulent") -> dict[str, Any]:
    """The buyer's bank has taken back what is left of the charge, until the dispute is decided.

    Locks the charge. Raises StripeError when there is nothing to dispute or a dispute is there already.
    """
    charge = store.lock("charge", charge_id)
    if charge is None:
        raise no_such("charge", charge_id, param="charge")
    amount = charge.data["amount_captured"] - charge.data["amount_refunded"]
    if charge.data["status"] != "succeeded" or amount <= 0:
        raise refused(f"The charge {charge_id} holds no money that could be disputed.")
    if charge.data["disputed"]:
        raise refused(f"The charge {charge_id} has already been disputed.")
    dispute = _make_dispute(store, charge, amount=amount, reason=reason)
    charge.data["disputed"] = True
    store.save(charge)
    emit(store, type="charge.dispute.created", object=dispute.data)
    _move_money(store, dispute, amount=-amount, fee=FEE)
    emit(store, type="charge.dispute.funds_withdrawn", object=dispute.data)
    emit(store, type="charge.updated", object=charge.data, previous={"disputed": False})
    return dispute.data


def decide_dispute(store: Store, *, dispute_id: str, won: bool) -> dict[str, Any]:
    """The dispute is closed: won, with the money back, or lost. Raises StripeError when it was before."""
    seen = store.find(TYPE, dispute_id)
    if seen is None:
        raise no_such(TYPE, dispute_id, param="dispute")
    store.require("charge", seen.data["charge"])
    dispute = store.require(TYPE, dispute_id)
    before = dispute.data["status"]
    if before not in OPEN:
        raise refused(f"This dispute is already closed: it is {before}.")
    dispute.data["status"] = "won" if won else "lost"
    if won:
        _move_money(store, dispute, amount=dispute.data["amount"], fee=-FEE)
    else:
        store.save(dispute)
    emit(store, type="charge.dispute.updated", object=dispute.data, previous={"status": before})
    if won:
        emit(store, type="charge.dispute.funds_reinstated", object=dispute.data)
    emit(store, type="charge.dispute.closed", object=dispute.data)
    return dispute.data


def is_disputed(store: Store, charge: str) -> bool:
    """Whether the bank holds the charge's money, or keeps it."""
    return any(one.data["status"] != "won" for one in store.match(TYPE, {"charge": charge}, limit=5))


def _make_dispute(store: Store, charge: Stored, *, amount: int, reason: str) -> Stored:
    details = charge.data["payment_method_details"]
    card = details.get("card", {})
    network_code = NETWORK_CODES.get(reason, "10.4")
    shown = {
        "brand": card.get("brand", "visa"),
        "case_type": "chargeback",
        "network": card.get("network", "visa"),
        "network_reason_code": network_code,
    }
    dispute: dict[str, Any] = {
        "id": new_id("du"),
        "object": TYPE,
        "amount": amount,
        "balance_transactions": [],
        "charge": charge.id,
        "created": store.timestamp,
        "currency": charge.data["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": store.timestamp + SECONDS_TO_ANSWER,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge.data["payment_intent"],
        "payment_method_details": {"card": shown, "type": "card"},
        "reason": reason,
        "status": "needs_response",
    }
    return store.insert(dispute)


def _move_money(store: Store, dispute: Stored, *, amount: int, fee: int) -> None:
    line = make_balance_transaction(
        store,
        type="adjustment",
        amount=amount,
        currency=dispute.data["currency"],
        source=dispute.id,
        fee=fee,
        description=f"Chargeback {'withdrawal' if amount < 0 else 'reversal'} for {dispute.data['charge']}",
    )
    dispute.data["balance_transactions"].append(line)
    store.save(dispute)


def _update(call: Call) -> dict[str, Any]:
    dispute = found(call, type=TYPE, param="dispute", lock=True)
    if dispute.data["status"] not in OPEN:
        raise refused(f"This dispute is already closed: it is {dispute.data['status']}.")
    previous = {"evidence": dict(dispute.data["evidence"]), "status": dispute.data["status"]}
    evidence = call.params.get("evidence", {})
    dispute.data["evidence"] |= evidence
    if "metadata" in call.params:
        dispute.data["metadata"] = merge_metadata(dispute.data["metadata"], call.params["metadata"])
    details = dispute.data["evidence_details"]
    details["has_evidence"] = details["has_evidence"] or bool(evidence)
    if evidence and call.params.get("submit", True):
        details["submission_count"] += 1
        dispute.data["status"] = "under_review"
    call.store.save(dispute)
    emit(call.store, type="charge.dispute.updated", object=dispute.data, previous=previous)
    verdict = dispute.data["evidence"]["uncategorized_text"] if dispute.data["status"] == "under_review" else None
    if verdict in ("winning_evidence", "losing_evidence"):
        return decide_dispute(call.store, dispute_id=dispute.id, won=verdict == "winning_evidence")
    return dispute.data


def _close(call: Call) -> dict[str, Any]:
    return decide_dispute(call.store, dispute_id=found(call, type=TYPE, param="dispute").id, won=False)


def _list(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "charge", "payment_intent")
    return list_page(call.store, type=TYPE, url="/v1/disputes", params=call.params, match=match)


OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/disputes/<id>",
        _update,
        {
            "evidence": shape({key: text(max_length=20_000, blank=True) for key in EVIDENCE}),
            "metadata": metadata(),
            "submit": boolean(),
        },
    ),
    create("/v1/disputes/<id>/close", _close, {}),
    retrieve("/v1/disputes/<id>", type=TYPE, param="dispute"),
    list_of(
        "/v1/disputes",
        _list,
        {"charge": text(max_length=255), "created": range_of_time(), "payment_intent": text(max_length=255)},
    ),
)
