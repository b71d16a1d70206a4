"""What time does to objects: each is due at its own moment, and is done as at that moment.

When the clock was moved by a year, twelve renewals happen in their order, each dated as it should be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from webapp.stripe_sandbox import collecting, payments, renewals
from webapp.stripe_sandbox.cards import CARDS
from webapp.stripe_sandbox.charging import settle_intent
from webapp.stripe_sandbox.invoice_objects import subscription_of
from webapp.stripe_sandbox.resources.disputes import open_dispute
from webapp.stripe_sandbox.resources.refunds import settle_refund
from webapp.stripe_sandbox.store import Store, Stored

NEXT = """
    SELECT id, type, due_at FROM stripe_sandbox.objects
    WHERE due_at <= %s AND type = ANY (%s) ORDER BY due_at, seq LIMIT 1
"""


@dataclass(frozen=True)
class DueThing:
    id: str
    type: str
    due_at: datetime


def find_next(store: Store) -> DueThing | None:
    """The first thing that is due."""
    row = store.connection.execute(NEXT, [store.now, list(DUE)]).fetchone()
    return DueThing(*row) if row else None


def do_now(store: Store, thing: DueThing) -> None:
    """It was done, as at its own time. What must be locked before it is locked first, and of two at once the
    second finds it done."""
    present = store.now
    store.now = min(present, thing.due_at)
    try:
        DUE[thing.type](store, thing.id)
    finally:
        store.now = present


def postpone(store: Store, thing: DueThing) -> None:
    """What could not be done does not hold up all others: it is tried again in an hour of sandbox time."""
    store.connection.execute(
        "UPDATE stripe_sandbox.objects SET due_at = %s WHERE id = %s", [store.seconds_from_now(3_600), thing.id]
    )


def _still_due(store: Store, type: str, id: str) -> Stored | None:
    stored = store.lock(type, id)
    return stored if stored and stored.due_at and stored.due_at <= store.now else None


def _session(store: Store, id: str) -> None:
    if session := _still_due(store, "checkout.session", id):
        payments.do_due(store, session)


def _subscription(store: Store, id: str) -> None:
    if subscription := _still_due(store, "subscription", id):
        renewals.do_due(store, subscription)


def _invoice(store: Store, id: str) -> None:
    seen = store.find("invoice", id)
    above = subscription_of(seen.data) if seen else None
    if above:
        store.require("subscription", above)
    if invoice := _still_due(store, "invoice", id):
        collecting.do_due(store, invoice)


def _intent(store: Store, id: str) -> None:
    if intent := _still_due(store, "payment_intent", id):
        intent.due_at = None
        settle_intent(store, intent, succeeds=True)


def _charge(store: Store, id: str) -> None:
    """The dispute that a test card announced."""
    charge = _still_due(store, "charge", id)
    if charge is None:
        return
    charge.due_at = None
    store.save(charge)
    reason = CARDS[charge.private["card"]].dispute
    if reason and charge.data["amount_refunded"] < charge.data["amount"] and not charge.data["disputed"]:
        open_dispute(store, charge_id=id, reason=reason)


DUE: dict[str, Callable[[Store, str], None]] = {
    "charge": _charge,
    "checkout.session": _session,
    "invoice": _invoice,
    "payment_intent": _intent,
    "refund": settle_refund,
    "subscription": _subscription,
}
