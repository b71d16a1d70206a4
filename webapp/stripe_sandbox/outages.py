"""Stripe down, slow, strict or cut off in the middle, as the settings ask."""

import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from webapp.stripe_sandbox.errors import StripeError
from webapp.stripe_sandbox.faults import Faults, read_faults, write_faults
from webapp.stripe_sandbox.store import Cause, Store

OpenStore = Callable[[Cause], AbstractContextManager[Store]]


def suffer_outage(store: Store) -> Faults:
    """Waits as long as is asked; the settings in force. Raises StripeError (503, 429) for a call that gets no further.

    Nothing may have been written before: it commits.
    """
    faults = read_faults(store.connection)
    limited = faults.rate_limit > 0 and _count_down(store, "rate_limit")
    store.connection.commit()
    if faults.slow_seconds:
        time.sleep(faults.slow_seconds)
    if faults.down:
        raise StripeError(
            "Sorry! There was an error while talking to one of our backends. Please try again later.",
            status=503,
            type="api_error",
        )
    if limited:
        raise StripeError(
            "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
            status=429,
            code="rate_limit",
        )
    return faults


def drop_answer(open_store: OpenStore, environ: dict[str, Any]) -> bool:
    """Whether this answer is one of those to lose; then the connection is cut where the server allows it."""
    with open_store(Cause()) as store:
        if not _count_down(store, "drop_answers"):
            return False
    connection = environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
    return True


def _count_down(store: Store, name: str) -> bool:
    """Whether one was left; it is taken."""
    counted = read_faults(store.connection, lock=True)
    left = int(getattr(counted, name))
    if left > 0:
        write_faults(store.connection, replace(counted, **{name: left - 1}))  # type: ignore[arg-type]
    return left > 0
