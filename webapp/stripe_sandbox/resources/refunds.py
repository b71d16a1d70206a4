"""Refunds: https://docs.stripe.com/api/refunds"""

from typing import Any

from webapp.stripe_sandbox.cards import CARDS
from webapp.stripe_sandbox.errors import StripeError, exclusive_params, invalid, no_such, refused
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.faults import read_faults
from webapp.stripe_sandbox.money import format_money
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
from webapp.stripe_sandbox.params import integer, metadata, one_of, range_of_time, text
from webapp.stripe_sandbox.resources.balance_transactions import make_balance_transaction
from webapp.stripe_sandbox.resources.disputes import is_disputed
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

TYPE = "refund"


def refund_charge(
    store: Store,
    *,
    charge_id: str,
    amount: int | None = None,
    reason: str | None = None,
    metadata: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A refund of `amount` minor units, or of all that is left, is made; the charge counts it.

    It succeeds at once, or is pending or bound to fail where the charge's test card says so.

    Locks the charge, so that refunds at once never exceed it together. Raises StripeError and writes
    nothing when the charge did not succeed or so much is not left.
    """
    charge = store.lock("charge", charge_id)
    if charge is None:
        raise no_such("charge", charge_id, param="charge", status=400)
    amount = _refundable(store, charge.data, asked=amount)
    refund = _make_refund(store, charge.data, amount=amount, reason=reason, metadata=metadata or {})
    card = CARDS.get(charge.private.get("card", ""))
    if card and card.refund != "succeeds":
        refund.data["status"] = "pending" if card.refund == "settles" else "succeeded"
        refund.private["fails"] = card.refund == "fails"
        refund.due_at = store.seconds_from_now(read_faults(store.connection).settle_seconds)
        store.save(refund)
    _count(store, charge, amount=amount)
    emit(store, type="refund.created", object=refund.data)
    return refund.data


def settle_refund(store: Store, refund_id: str) -> None:
    """What a test card's refund was bound for has happened. Locks charge, then refund."""
    seen = store.find(TYPE, refund_id)
    if seen is None or seen.due_at is None:
        return
    store.require("charge", seen.data["charge"])
    refund = store.require(TYPE, refund_id)
    refund.due_at = None
    fails = refund.private.pop("fails", False)
    if fails or refund.data["status"] != "pending":
        store.save(refund)
        if fails and refund.data["status"] != "failed":
            fail_refund(store, refund_id=refund_id)
        return
    refund.data["status"] = "succeeded"
    store.save(refund)
    for type in ("refund.updated", "charge.refund.updated"):
        emit(store, type=type, object=refund.data, previous={"status": "pending"})


def fail_refund(store: Store, *, refund_id: str) -> dict[str, Any]:
    """The buyer's bank sent the refund back: it is failed and the charge no longer counts it.

    Locks charge, then refund. Raises StripeError when there is no such refund or it has failed before.
    """
    seen = store.find(TYPE, refund_id)
    if seen is None:
        raise no_such(TYPE, refund_id, param="id")
    charge = store.lock("charge", seen.data["charge"])
    refund = store.lock(TYPE, refund_id)
    assert charge is not None
    assert refund is not None
    before = refund.data["status"]
    if before not in ("pending", "succeeded"):
        raise refused(f"This refund has a status of `{refund.data['status']}` and cannot fail.")
    amount = refund.data["amount"]
    refund.data["status"] = "failed"
    refund.due_at = None
    store.save(refund)
    previous = {key: charge.data[key] for key in ("amount_refunded", "refunded")}
    charge.data["amount_refunded"] -= amount
    charge.data["refunded"] = False
    store.save(charge)
    make_balance_transaction(
        store, type="refund_failure", amount=amount, currency=charge.data["currency"], source=refund_id
    )
    for type in ("refund.updated", "charge.refund.updated"):
        emit(store, type=type, object=refund.data, previous={"status": before})
    emit(store, type="refund.failed", object=refund.data)
    emit(store, type="charge.updated", object=charge.data, previous=previous)
    return refund.data


def _refundable(store: Store, charge: dict[str, Any], *, asked: int | None) -> int:
    left: int = charge["amount"] - charge["amount_refunded"]
    if charge["status"] != "succeeded":
        raise refused(
            f"The charge {charge['id']} has a status of `{charge['status']}`; only a succeeded charge can be refunded.",
            code="charge_not_refundable",
        )
    if charge["disputed"] and is_disputed(store, charge["id"]):
        raise refused(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if left == 0:
        raise refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if asked is None:
        return left
    if asked > left:
        whole = left == charge["amount"]
        name, limit = ("charge amount", charge["amount"]) if whole else ("unrefunded amount on charge", left)
        raise refused(
            f"Refund amount ({format_money(asked, charge['currency'])}) is greater than {name}"
            f" ({format_money(limit, charge['currency'])})",
            code="amount_too_large",
            param="amount",
        )
    return asked


def _make_refund(
    store: Store, charge: dict[str, Any], *, amount: int, reason: str | None, metadata: dict[str, str]
) -> Stored:
    id = new_id("re")
    kind = charge["payment_method_details"]["type"]
    line = make_balance_transaction(store, type="refund", amount=-amount, currency=charge["currency"], source=id)
    refund: dict[str, Any] = {
        "id": id,
        "object": TYPE,
        "amount": amount,
        "balance_transaction": line["id"],
        "charge": charge["id"],
        "created": store.timestamp,
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": {"type": kind} | ({"card": {"type": "refund"}} if kind == "card" else {}),
        "metadata": merge_metadata({}, metadata),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    return store.insert(refund)


def _count(store: Store, charge: Stored, *, amount: int) -> None:
    """`amount_refunded` is cumulative, and so is what `charge.refunded` tells."""
    previous = {key: charge.data[key] for key in ("amount_refunded", "refunded")}
    charge.data["amount_refunded"] += amount
    charge.data["refunded"] = charge.data["amount_refunded"] == charge.data["amount"]
    store.save(charge)
    changed = {key: value for key, value in previous.items() if charge.data[key] != value}
    emit(store, type="charge.refunded", object=charge.data, previous=changed)


def _create(call: Call) -> dict[str, Any]:
    params = call.params
    return refund_charge(
        call.store,
        charge_id=_charge_id(call.store, params),
        amount=params.get("amount"),
        reason=params.get("reason"),
        metadata=params.get("metadata"),
    )


def _charge_id(store: Store, params: dict[str, Any]) -> str:
    if "charge" in params and "payment_intent" in params:
        raise exclusive_params("charge", "payment_intent")
    if "charge" in params:
        return str(params["charge"])
    if "payment_intent" not in params:
        raise StripeError(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
        )
    intent = store.find("payment_intent", params["payment_intent"])
    if intent is None:
        raise no_such("payment_intent", params["payment_intent"], param="payment_intent", status=400)
    if intent.data["status"] != "succeeded":
        raise refused(f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.")
    return str(intent.data["latest_charge"])


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, lock=True)
    if "metadata" not in call.params:
        return stored.data
    previous = {"metadata": stored.data["metadata"]}
    stored.data["metadata"] = merge_metadata(stored.data["metadata"], call.params["metadata"])
    call.store.save(stored)
    emit(call.store, type="refund.updated", object=stored.data, previous=previous)
    return snapshot(stored.data)


def _list(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "charge", "payment_intent")
    return list_page(call.store, type=TYPE, url="/v1/refunds", params=call.params, match=match)


def _cancel(call: Call) -> dict[str, Any]:
    refund = found(call, type=TYPE)
    raise invalid(f"Refund {refund.id} cannot be canceled: it has a status of `{refund.data['status']}`.", param="id")


OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/refunds",
        _create,
        {
            "amount": integer(minimum=1),
            "charge": text(max_length=255),
            "metadata": metadata(),
            "payment_intent": text(max_length=255),
            "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
        },
    ),
    create("/v1/refunds/<id>", _update, {"metadata": metadata()}),
    create("/v1/refunds/<id>/cancel", _cancel, {}),
    retrieve("/v1/refunds/<id>", type=TYPE),
    list_of(
        "/v1/refunds",
        _list,
        {
            "charge": text(max_length=255),
            "created": range_of_time(),
            "payment_intent": text(max_length=255),
        },
    ),
)
