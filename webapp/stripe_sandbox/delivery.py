"""Does what is due: see `due.py`; and sends webhooks and retries them.

All of it is found in PostgreSQL, so that a restart loses nothing; one thread looks once a second and at
once when a request says that something changed. What is due is told by the sandbox's clock, but a
signature's timestamp is the system's: receivers compare it with theirs.
"""

import json
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import psycopg
import structlog
from psycopg.types.json import Jsonb

from webapp.stripe_sandbox.due import do_now, find_next, postpone
from webapp.stripe_sandbox.faults import Faults, read_faults
from webapp.stripe_sandbox.signature import sign
from webapp.stripe_sandbox.store import Store

POLL_SECONDS = 1.0
TIMEOUT_SECONDS = 10
LEASE_SECONDS = 150  # longer than a whole batch of timeouts
BATCH = 10

log = structlog.get_logger(__name__)

CLAIM = """
    UPDATE stripe_sandbox.deliveries SET attempts = attempts + 1,
           claimed_until = clock_timestamp() + make_interval(secs => %(lease)s)
    WHERE id IN (SELECT id FROM stripe_sandbox.deliveries
                 WHERE state = 'pending' AND due_at <= %(now)s
                   AND (endpoint_id IS NOT NULL OR %(url)s::text IS NOT NULL)
                   AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
                 ORDER BY due_at, id LIMIT %(batch)s FOR UPDATE SKIP LOCKED)
    RETURNING id, event_id, attempts,
              (SELECT data FROM stripe_sandbox.objects WHERE objects.id = event_id),
              coalesce((SELECT data ->> 'url' FROM stripe_sandbox.objects WHERE objects.id = endpoint_id), %(url)s),
              coalesce((SELECT private ->> 'secret' FROM stripe_sandbox.objects WHERE objects.id = endpoint_id),
                       %(secret)s)
"""
# of one event: the endpoints that have not had it yet; what was lost or given up is still owed
STILL_OWED = """
    SELECT count(*) FROM (SELECT FROM stripe_sandbox.deliveries WHERE event_id = %s
                          GROUP BY endpoint_id HAVING NOT bool_or(state = 'delivered')) AS owed
"""


@dataclass(frozen=True)
class Claimed:
    id: int
    event_id: str
    attempts: int
    event: dict[str, Any]
    url: str | None
    secret: str


@dataclass(frozen=True)
class Answer:
    ok: bool
    told: str  # "200", or what went wrong


class Deliverer:
    """Sends the events of one database to one endpoint. Several may run beside each other."""

    def __init__(
        self,
        *,
        open_store: Callable[[], AbstractContextManager[Store]],
        webhook_url: str | None,
        webhook_secret: str,
    ) -> None:
        self._open_store = open_store
        self._url = webhook_url
        self._secret = webhook_secret
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """The thread runs; what a killed predecessor had claimed is due again."""
        with self._open_store() as store:
            store.connection.execute(
                "UPDATE stripe_sandbox.deliveries SET claimed_until = NULL WHERE state = 'pending'"
            )
        self._thread = threading.Thread(target=self._run, name="stripe-sandbox-delivery", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The thread has ended, after the request that it was sending."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(TIMEOUT_SECONDS + 5)

    def wake(self) -> None:
        self._woken.set()

    def run_due(self) -> int:
        """Everything that is due now has been done once; how many webhooks were sent."""
        self._do_due_things()
        return self._deliver_due()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            for step in (self._do_due_things, self._deliver_due):
                try:
                    step()
                except psycopg.Error as error:
                    log.warning("the sandbox cannot reach its database", error=str(error).strip())
                except Exception:  # what one session or event trips over must not hold up all others
                    log.exception("the sandbox could not do what is due")
            self._woken.wait(POLL_SECONDS)

    def _deliver_due(self) -> int:
        sent = 0
        while True:
            batch, faults = self._claim()
            if not batch:
                return sent
            self._send_all(batch, faults)
            sent += len(batch)

    def _do_due_things(self) -> None:
        while not self._stopping.is_set():
            with self._open_store() as store:
                thing = find_next(store)
                if thing is None:
                    return
                try:
                    with store.connection.transaction():
                        do_now(store, thing)
                except psycopg.OperationalError:
                    raise
                except Exception:  # one object that cannot be dealt with must not hold up all others
                    log.exception("the sandbox could not do what is due", id=thing.id)
                    postpone(store, thing)

    def _claim(self) -> tuple[list[Claimed], Faults]:
        with self._open_store() as store:
            faults = read_faults(store.connection)
            if faults.paused or self._stopping.is_set():
                return [], faults
            rows = store.connection.execute(
                CLAIM,
                {
                    "now": store.now,
                    "lease": LEASE_SECONDS,
                    "batch": BATCH,
                    "url": self._url,
                    "secret": self._secret,
                },
            ).fetchall()
        batch = sorted((Claimed(*row) for row in rows), key=lambda claimed: claimed.id)
        if faults.reorder:
            random.shuffle(batch)
        return batch, faults

    def _send_all(self, batch: list[Claimed], faults: Faults) -> None:
        if faults.concurrency == 1:
            for claimed in batch:
                self._send(claimed)
            return
        with ThreadPoolExecutor(faults.concurrency) as senders:
            list(senders.map(self._send, batch))

    def _send(self, claimed: Claimed) -> None:
        if claimed.url is None:  # its endpoint was deleted meanwhile
            return
        body = json.dumps(claimed.event, indent=2, ensure_ascii=False)
        answer = _post(claimed.url, body, signature=sign(body, secret=claimed.secret, timestamp=int(time.time())))
        with self._open_store() as store:
            _record(store, claimed, answer)


def retry_seconds(attempts: int) -> int | None:
    """How long after so many failed attempts the next one is due; None: Stripe gives up after three days."""
    if attempts <= 6:
        return int(2 ** (attempts - 1))
    if attempts <= 20:
        return 60
    return 3_600 if attempts <= 90 else None


def _post(url: str, body: str, *, signature: str) -> Answer:
    """One request; a redirect is no success, as at Stripe."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature,
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Connection": "close",
    }
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, body=body.encode(), headers=headers)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return Answer(ok=False, told=f"{type(error).__name__}: {error}"[:200])
    finally:
        connection.close()
    return Answer(ok=200 <= status < 300, told=str(status))


def _record(store: Store, claimed: Claimed, answer: Answer) -> None:
    if answer.ok:
        store.connection.execute(
            "UPDATE stripe_sandbox.deliveries SET state = 'delivered', answer = %s, delivered_at = %s,"
            " claimed_until = NULL WHERE id = %s",
            [answer.told, store.now, claimed.id],
        )
        owed = store.connection.execute(STILL_OWED, [claimed.event_id]).fetchone()
        store.connection.execute(
            "UPDATE stripe_sandbox.objects SET data = data || %s WHERE id = %s",
            [Jsonb({"pending_webhooks": owed[0] if owed else 0}), claimed.event_id],
        )
        return
    wait = retry_seconds(claimed.attempts)
    store.connection.execute(
        "UPDATE stripe_sandbox.deliveries SET state = %s, answer = %s, due_at = %s, claimed_until = NULL WHERE id = %s",
        ["failed" if wait is None else "pending", answer.told, store.seconds_from_now(wait or 0), claimed.id],
    )
