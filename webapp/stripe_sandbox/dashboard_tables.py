"""What the sandbox's own page shows: the newest objects of each kind, and every event's deliveries."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from webapp.stripe_sandbox.faults import CHOICES, read_faults
from webapp.stripe_sandbox.invoice_lines import name_of
from webapp.stripe_sandbox.money import format_money
from webapp.stripe_sandbox.resources.disputes import REASONS
from webapp.stripe_sandbox.store import Store, Stored
from webapp.stripe_sandbox.subscription_objects import ENDED, items_of, period_of

SHOWN = 30

SELECT_EVENTS = """
    SELECT objects.id, data ->> 'type', objects.created, data -> 'data' -> 'object' ->> 'id',
           (SELECT array_agg(state || ' · ' || attempts || ' · ' || coalesce(answer, '–') ORDER BY id)
            FROM stripe_sandbox.deliveries WHERE event_id = objects.id)
    FROM stripe_sandbox.objects WHERE type = 'event' ORDER BY seq DESC LIMIT %s
"""


def overview(store: Store) -> dict[str, Any]:
    return {
        "now": store.now,
        "faults": asdict(read_faults(store.connection)),
        "verdicts": CHOICES["after_retries"],
        "reasons": REASONS,
        "endpoint": store.endpoint,
        "customers": [one.data for one in store.match("customer", {}, limit=SHOWN)],
        "subscriptions": [_subscription(store, one) for one in store.match("subscription", {}, limit=SHOWN)],
        "invoices": _newest(store, "invoice", amount="total"),
        "sessions": _newest(store, "checkout.session", amount="amount_total"),
        "charges": _newest(store, "charge", amount="amount"),
        "refunds": _newest(store, "refund", amount="amount"),
        "disputes": _newest(store, "dispute", amount="amount"),
        "events": store.connection.execute(SELECT_EVENTS, [SHOWN * 2]).fetchall(),
    }


def _newest(store: Store, type: str, *, amount: str) -> list[dict[str, Any]]:
    return [_with_money(stored, amount) for stored in store.match(type, {}, limit=SHOWN)]


def _with_money(stored: Stored, key: str) -> dict[str, Any]:
    created = datetime.fromtimestamp(stored.data["created"], UTC)
    money = stored.data[key]
    shown = "–" if money is None else format_money(money, stored.data["currency"])
    owed = stored.private.get("settlement")
    return stored.data | {"shown_amount": shown, "created_at": created, "owed": owed}


def _subscription(store: Store, stored: Stored) -> dict[str, Any]:
    names = ", ".join(name_of(store, item["price"]) for item in items_of(stored.data))
    plans = [key for key in ("fail_next", "fail_finalization") if stored.private.get(key)]
    return stored.data | {
        "names": names,
        "ends": datetime.fromtimestamp(period_of(stored.data)[1], UTC),
        "ended": stored.data["status"] in ENDED,
        "plans": plans,
    }
