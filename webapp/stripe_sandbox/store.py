"""The sandbox's objects in PostgreSQL: one request or one due thing works with one Store.

A Store belongs to one open database transaction, which its maker commits or rolls back. Locks are taken
session first, then subscription, invoice, customer, payment or setup intent, charge, refund and dispute, so
that two of them never wait for each other.
"""

import copy
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

T = TypeVar("T")
ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, *, length: int = 24) -> str:
    return f"{prefix}_{''.join(secrets.choice(ALPHABET) for _ in range(length))}"


@dataclass
class Stored:
    """One object: `data` is what the API shows, `private` what Stripe knows and does not show."""

    seq: int
    id: str
    type: str
    data: dict[str, Any]
    private: dict[str, Any]
    due_at: datetime | None


@dataclass(frozen=True)
class Cause:
    """The API request that caused a change; both None when a person or time did."""

    request_id: str | None = None
    idempotency_key: str | None = None


@dataclass
class Store:
    connection: psycopg.Connection[TupleRow]
    now: datetime
    base_url: str
    endpoint: str | None  # where events go; None: nowhere
    cause: Cause = field(default_factory=Cause)
    # what this transaction made or locked: one instance each, so that no two hands save different states
    held: dict[str, Stored] = field(default_factory=dict)

    @property
    def timestamp(self) -> int:
        return int(self.now.timestamp())

    def insert(
        self,
        data: dict[str, Any],
        *,
        private: dict[str, Any] | None = None,
        due_at: datetime | None = None,
    ) -> Stored:
        """The object exists under its own `id` and `object`."""
        row = self.connection.execute(
            "INSERT INTO stripe_sandbox.objects (id, type, created, data, private, due_at)"
            " VALUES (%s, %s, %s, %s, %s, %s) RETURNING seq",
            [data["id"], data["object"], self.now, Jsonb(data), Jsonb(private or {}), due_at],
        ).fetchone()
        assert row is not None
        stored = Stored(row[0], data["id"], data["object"], data, private or {}, due_at)
        self.held[stored.id] = stored
        return stored

    def find(self, type: str, id: str) -> Stored | None:
        """The object, not locked."""
        if "\x00" in id:
            return None
        if id in self.held:
            return self.held[id] if self.held[id].type == type else None
        row = self.connection.execute(
            "SELECT seq, id, type, data, private, due_at FROM stripe_sandbox.objects WHERE id = %s AND type = %s",
            [id, type],
        ).fetchone()
        return Stored(*row) if row else None

    def find_any(self, id: str) -> Stored | None:
        if id in self.held:
            return self.held[id]
        row = self.connection.execute(
            "SELECT seq, id, type, data, private, due_at FROM stripe_sandbox.objects WHERE id = %s", [id]
        ).fetchone()
        return Stored(*row) if row else None

    def lock(self, type: str, id: str) -> Stored | None:
        """The object as it is now, locked until the transaction ends."""
        if "\x00" in id:
            return None
        if id in self.held:
            return self.held[id] if self.held[id].type == type else None
        row = self.connection.execute(
            "SELECT seq, id, type, data, private, due_at FROM stripe_sandbox.objects"
            " WHERE id = %s AND type = %s FOR UPDATE",
            [id, type],
        ).fetchone()
        if row is None:
            return None
        self.held[id] = Stored(*row)
        return self.held[id]

    def save(self, stored: Stored) -> None:
        """What was changed in the object is written; the caller holds its lock."""
        self.connection.execute(
            "UPDATE stripe_sandbox.objects SET data = %s, private = %s, due_at = %s WHERE id = %s",
            [Jsonb(stored.data), Jsonb(stored.private), stored.due_at, stored.id],
        )

    def delete(self, stored: Stored) -> dict[str, Any]:
        """What a retrieve of the id answers from now on; lists and other objects no longer find it."""
        gone = {"id": stored.id, "object": stored.data["object"], "deleted": True}
        self.connection.execute(
            "UPDATE stripe_sandbox.objects SET type = 'deleted_' || type, data = %s, due_at = NULL WHERE id = %s",
            [Jsonb(gone), stored.id],
        )
        self.held.pop(stored.id, None)
        return gone

    def match(self, type: str, wanted: Mapping[str, Any], *, limit: int = 100) -> list[Stored]:
        """The newest objects that contain `wanted`, newest first."""
        rows = self.connection.execute(
            "SELECT seq, id, type, data, private, due_at FROM stripe_sandbox.objects"
            " WHERE type = %s AND data @> %s ORDER BY seq DESC LIMIT %s",
            [type, Jsonb(dict(wanted)), limit],
        ).fetchall()
        return [self.held.get(row[1], Stored(*row)) for row in rows]

    def require(self, type: str, id: str) -> Stored:
        """The object, locked; the caller knows that it exists."""
        stored = self.lock(type, id)
        assert stored is not None, f"{type} {id} is gone"
        return stored

    def seconds_from_now(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self.now.timestamp() + seconds, UTC)


def snapshot(data: T) -> T:
    return copy.deepcopy(data)
