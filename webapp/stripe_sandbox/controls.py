"""What the buttons of the sandbox's own page do to one object: `/_sandbox/<kind>/<id>/<deed>`."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from webapp.stripe_sandbox.collecting import collect_by_default
from webapp.stripe_sandbox.errors import StripeError, no_such, refused
from webapp.stripe_sandbox.events import send_again
from webapp.stripe_sandbox.invoicing import require_invoice
from webapp.stripe_sandbox.payments import expire_session, is_payable, settle
from webapp.stripe_sandbox.resources.disputes import REASONS, decide_dispute, open_dispute
from webapp.stripe_sandbox.resources.refunds import fail_refund, refund_charge
from webapp.stripe_sandbox.resources.subscriptions import end_now
from webapp.stripe_sandbox.store import Store, Stored
from webapp.stripe_sandbox.subscription_objects import ENDED, change_subscription, period_of

Sent = Mapping[str, Any]
Deed = Callable[[Store, str, Sent], dict[str, Any]]

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def settle_all(store: Store) -> dict[str, Any]:
    """Every delayed payment is decided now."""
    rows = store.connection.execute(
        "SELECT id FROM stripe_sandbox.objects WHERE type = 'checkout.session' AND due_at IS NOT NULL"
        " AND private ? 'settlement' ORDER BY seq FOR UPDATE"
    ).fetchall()
    for (id,) in rows:
        settle(store, store.require("checkout.session", id))
    return {"settled": len(rows)}


def duration(text: Any) -> timedelta:
    """`90s`, `15m`, `2h`, `31d`. Raises StripeError."""
    given = str(text).strip()
    number, unit = given[:-1], given[-1:]
    if unit not in UNITS or not (number.isascii() and number.isdigit() and len(number) <= 9):
        raise StripeError("A duration is a whole number and s, m, h or d, such as 31d.")
    return timedelta(seconds=int(number) * UNITS[unit])


def minor_units(sent: Sent, *, name: str = "amount", most: int = 10**12) -> int | None:
    """Nothing, or an empty field, is None. Raises StripeError for anything but a whole number above 0."""
    given = sent.get(name)
    if given in (None, ""):
        return None
    text = str(given).strip()
    if isinstance(given, bool) or not (text.isascii() and text.isdigit() and 0 < int(text[:13]) <= most):
        raise StripeError(f"`{name}` is a whole number, at least 1; amounts are in minor units (cents).")
    return int(text)


def _expire(store: Store, id: str, _sent: Sent) -> dict[str, Any]:
    session = _locked(store, "checkout.session", id)
    if is_payable(store, session):
        expire_session(store, session)
    return session.data


def _refund(store: Store, id: str, sent: Sent) -> dict[str, Any]:
    return refund_charge(store, charge_id=id, amount=minor_units(sent))


def _dispute(store: Store, id: str, sent: Sent) -> dict[str, Any]:
    reason = sent.get("reason") or "fraudulent"
    if reason not in REASONS:
        raise StripeError(f"The reason is one of {', '.join(REASONS)}.")
    return open_dispute(store, charge_id=id, reason=reason)


def _deliver(store: Store, id: str, sent: Sent) -> dict[str, Any]:
    _found(store, "event", id)
    if store.endpoint is None and not store.match("webhook_endpoint", {}, limit=1):
        raise StripeError("The sandbox has no address to send events to.")
    send_again(store, event_id=id, times=minor_units(sent, name="times", most=20) or 1)
    return {"event": id, "state": "pending"}


def _mark(key: str) -> Deed:
    def mark(store: Store, id: str, _sent: Sent) -> dict[str, Any]:
        subscription = _running(store, id)
        subscription.private[key] = True
        store.save(subscription)
        return subscription.data

    return mark


def _leave(store: Store, id: str, _sent: Sent) -> dict[str, Any]:
    subscription = _running(store, id)
    leaving = subscription.data["cancel_at"] is None
    changes = {
        "cancel_at": period_of(subscription.data)[1] if leaving else None,
        "cancel_at_period_end": leaving,
        "canceled_at": store.timestamp if leaving else None,
    }
    change_subscription(store, subscription, changes)
    return subscription.data


def _end(store: Store, id: str, _sent: Sent) -> dict[str, Any]:
    subscription = _running(store, id)
    end_now(store, subscription, params={})
    return subscription.data


def _retry(store: Store, id: str, _sent: Sent) -> dict[str, Any]:
    _found(store, "invoice", id)
    invoice = require_invoice(store, id)
    if invoice.data["status"] != "open":
        raise refused(f"This invoice is {invoice.data['status']}; only an open one is tried again.")
    collect_by_default(store, invoice)
    return invoice.data


def _running(store: Store, id: str) -> Stored:
    subscription = _locked(store, "subscription", id)
    if subscription.data["status"] in ENDED:
        raise refused("This subscription has ended.")
    return subscription


def _locked(store: Store, type: str, id: str) -> Stored:
    stored = store.lock(type, id)
    if stored is None:
        raise no_such(type, id, param="id")
    return stored


def _found(store: Store, type: str, id: str) -> None:
    if store.find(type, id) is None:
        raise no_such(type, id, param="id")


DEEDS: dict[tuple[str, str], Deed] = {
    ("sessions", "expire"): _expire,
    ("charges", "refund"): _refund,
    ("charges", "dispute"): _dispute,
    ("refunds", "fail"): lambda store, id, _sent: fail_refund(store, refund_id=id),
    ("disputes", "win"): lambda store, id, _sent: decide_dispute(store, dispute_id=id, won=True),
    ("disputes", "lose"): lambda store, id, _sent: decide_dispute(store, dispute_id=id, won=False),
    ("subscriptions", "fail-next"): _mark("fail_next"),
    ("subscriptions", "fail-finalization"): _mark("fail_finalization"),
    ("subscriptions", "leave"): _leave,
    ("subscriptions", "end"): _end,
    ("invoices", "retry"): _retry,
    ("events", "deliver"): _deliver,
}
