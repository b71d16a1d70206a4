"""Idempotency keys as Stripe keeps them: https://docs.stripe.com/api/idempotent_requests

The first answer is saved once execution has begun, successful or not, and given again for 24 hours. A
request that fails its checks, or meets another under way with the same key, saves nothing.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from webapp.stripe_sandbox.errors import StripeError
from webapp.stripe_sandbox.store import Store

KEPT = timedelta(hours=24)
MAX_LENGTH = 255
LOCK_SPACE = 577_361  # the first half of the advisory locks of keys


@dataclass(frozen=True)
class SavedAnswer:
    status: int
    body: str
    request_id: str


def saved_answer(store: Store, *, key: str, path: str, params: dict[str, Any]) -> SavedAnswer | None:
    """What this key was answered before, or None; then no one else uses the key until the transaction ends.

    Raises StripeError: 409 while another request holds the key, 400 when it was used for something else.
    """
    if len(key) > MAX_LENGTH or not key.isprintable():
        raise StripeError(f"Idempotency keys are at most {MAX_LENGTH} printable characters long.")
    _take_key(store, key)
    row = store.connection.execute(
        "SELECT path, params, status, body, request_id FROM stripe_sandbox.idempotency WHERE key = %s AND created > %s",
        [key, store.now - KEPT],
    ).fetchone()
    if row is None:
        return None
    _require_same(key, first_path=row[0], path=path, same_params=row[1] == params)
    return SavedAnswer(status=row[2], body=row[3], request_id=row[4])


def save_answer(store: Store, *, key: str, path: str, params: dict[str, Any], answer: SavedAnswer) -> None:
    """The key stands for this answer from now on; the caller got None from `saved_answer`."""
    store.connection.execute(
        "INSERT INTO stripe_sandbox.idempotency (key, path, params, status, body, request_id, created)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (key) DO UPDATE SET path = excluded.path,"
        " params = excluded.params, status = excluded.status, body = excluded.body,"
        " request_id = excluded.request_id, created = excluded.created",
        [key, path, Jsonb(params), answer.status, answer.body, answer.request_id, store.now],
    )


def _take_key(store: Store, key: str) -> None:
    row = store.connection.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [LOCK_SPACE, key]).fetchone()
    if not (row and row[0]):
        raise StripeError(
            "There is currently another in-progress request using this Idempotent Key (that probably means "
            "you submitted twice, and the other request is still going through): "
            f"{key}. Please try again later.",
            status=409,
            type="idempotency_error",
            code="idempotency_key_in_use",
        )


def _require_same(key: str, *, first_path: str, path: str, same_params: bool) -> None:
    if first_path != path:
        raise StripeError(
            "Keys for idempotent requests can only be used for the same endpoint they were first used for "
            f"('{path}' vs '{first_path}'). Try using a key other than '{key}' if you meant to execute a "
            "different request.",
            type="idempotency_error",
        )
    if not same_params:
        raise StripeError(
            "Keys for idempotent requests can only be used with the same parameters they were first used "
            f"with. Try using a key other than '{key}' if you meant to execute a different request.",
            type="idempotency_error",
        )
