"""Accepting usage: stored durably in one statement, before anybody is told so."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import clock, ledger, outbox
from webapp.usage.event import LANES, PENDING, REJECTED

Refused = Mapping[str, Any]

_COLUMNS = {
    "state": "text",
    "lane": "smallint",
    "refusal": "jsonb",
    "account_id": "bigint",
    "amount": "bigint",
    "idempotency_key": "text",
    "fingerprint": "bytea",
    "actor": "text",
    "feature": "text",
    "quantity": "bigint",
    "partial": "boolean",
    "description": "text",
    "reference": "text",
    "metadata": "jsonb",
    "pricing": "jsonb",
    "occurred_at": "timestamptz",
}
# JSON is given as text: an array of it would be taken for a JSON array.
_LISTS = ", ".join(f"CAST(:{name} AS {'text' if kind == 'jsonb' else kind}[])" for name, kind in _COLUMNS.items())
_CAST = ", ".join(f"CAST(e.{name} AS jsonb)" if kind == "jsonb" else f"e.{name}" for name, kind in _COLUMNS.items())
_ACCEPT = text(
    f"INSERT INTO usage_events (batch, position, accepted_at, since, {', '.join(_COLUMNS)})"  # noqa: S608 - constants
    f" SELECT :batch, e.position - 1, :now, :now, {_CAST}"
    f" FROM unnest({_LISTS}) WITH ORDINALITY e ({', '.join(_COLUMNS)}, position) ORDER BY e.position"
)


def accept_usage(session: Session, *, events: Sequence[ledger.SpendItem | Refused]) -> UUID:
    """The events are kept, to be charged in this order; returns the name of their batch. One statement.

    What is refused already is kept with the reason. A worker is told after the commit. Raises the ledger's
    InvalidRequest for a spend that no column holds; nothing was written then.
    """
    batch = uuid4()
    rows = [_row(event) for event in events]
    columns = {name: [row.get(name) for row in rows] for name in _COLUMNS}
    session.execute(_ACCEPT, {"batch": batch, "now": clock.now(), **columns})
    if PENDING in columns["state"]:
        outbox.hint(session, job="charge_usage")
    return batch


def _row(event: ledger.SpendItem | Refused) -> dict[str, Any]:
    if isinstance(event, ledger.SpendItem):
        return {"state": PENDING, "lane": event.account_id % LANES, **event.arguments()}
    return {"state": REJECTED, "refusal": json.dumps(event)}
