"""What time does to objects: each is due at its own moment, and is done as at that moment.

When the clock was moved by a year, twelve renewals happen in their order, each dated as it should be.
"""

from collections.abc import Callable

from webapp.stripe_sandbox import invoicing, payments, renewals
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


def do_next(store: Store) -> bool:
    """The first thing that is due was done, at its own time; False when nothing is due.

    What must be locked before it is locked first. Of two at once the second finds it done.
    """
    row = store.connection.execute(NEXT, [store.now, list(DUE)]).fetchone()
    if row is None:
        return False
    id, type, due_at = row
    store.now = min(store.now, due_at)
    DUE[type](store, id)
    return True


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
        invoicing.do_due(store, invoice)


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
