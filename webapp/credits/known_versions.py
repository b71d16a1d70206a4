"""What Redis knows of balances, known to this process as well, and forgotten in the moment in which Redis changes it.

A tick that asks Redis wakes a sleeping thread twice; a thousand tabs do that a thousand times a second. So a process
keeps what it has read, and one connection for all of its threads listens to which keys have been written, expired or
flushed since: Redis tells that by itself ("client side caching", broadcast for a prefix). Nothing is believed for
longer than Redis believes it, nor while the listener has not been answered for a second.
"""

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError

from webapp.credits.live import KEY_PREFIX, account_of_key

log = structlog.get_logger()

_PING_EVERY_SECONDS = 0.4
_HEARD_WITHIN_SECONDS = 1.0
_WAIT_AFTER_FAILURE_SECONDS = 1.0
_MOST_KNOWN = 200_000


@dataclass(eq=False)
class _Version:
    """One account's version; without one while it is being read."""

    version: str | None = None
    until: float = 0.0


class KnownVersions:
    """The versions that one process has read from one Redis. Threads share it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._known: dict[int, _Version] = {}
        self._lock = threading.Lock()
        self._heard = 0.0
        self._pid = 0
        self._stopped = threading.Event()

    def stop(self) -> None:
        """The listener ends within a second, and nothing is believed any more."""
        self._stopped.set()

    def get(self, account_id: int) -> str | None:
        """The present version as Redis knows it, or None when that has to be asked."""
        found = self._known.get(account_id)
        if found is None or found.version is None:
            return None
        now = time.monotonic()
        return found.version if now < found.until and now - self._heard < _HEARD_WITHIN_SECONDS else None

    def expect(self, account_id: int) -> _Version:
        """To be called before the version is read: what changes from now on voids what `keep` would keep."""
        self._listen_in_this_process()
        waiting = _Version()
        if len(self._known) >= _MOST_KNOWN:
            self._forget()
        self._known[account_id] = waiting
        return waiting

    def keep(self, account_id: int, waiting: _Version, *, version: str, lasts_ms: int) -> None:
        """The version is known for that long, unless Redis has told of a change since `expect`."""
        with self._lock:
            if self._known.get(account_id) is waiting:
                self._known[account_id] = _Version(version, time.monotonic() + lasts_ms / 1_000)

    def drop(self, account_ids: Iterable[int]) -> None:
        """This process has written to these accounts: it need not wait until Redis tells it so."""
        with self._lock:
            for account_id in account_ids:
                self._known.pop(account_id, None)

    def _forget(self) -> None:
        with self._lock:
            self._known.clear()

    def _listen_in_this_process(self) -> None:
        """The thread is started by the first who asks; one that a fork left behind does not count."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._known.clear()
                threading.Thread(target=self._listen, name="known balance versions", daemon=True).start()

    def _listen(self) -> None:
        told = False
        while not self._stopped.is_set():
            try:
                connection = self._tracked()
                self._forget()
                while not self._stopped.is_set():
                    self._hear(connection)
                    told = False
                connection.disconnect()
            except (RedisError, OSError) as error:
                self._heard = 0.0
                self._forget()
                if not told:
                    log.warning("balance_changes_unheard", error=str(error))
                told = True
                time.sleep(_WAIT_AFTER_FAILURE_SECONDS)

    def _tracked(self) -> Any:
        """A connection that is told of each change of a key with our prefix, in the older protocol, which all speak."""
        pool = self._redis.connection_pool
        options = {**pool.connection_kwargs, "protocol": 2}
        connection = pool.connection_class(**options)
        connection.send_command("CLIENT", "ID")
        own = connection.read_response()
        connection.send_command("CLIENT", "TRACKING", "ON", "REDIRECT", own, "BCAST", "PREFIX", KEY_PREFIX)
        connection.read_response()
        connection.send_command("SUBSCRIBE", "__redis__:invalidate")
        connection.read_response()
        return connection

    def _hear(self, connection: Any) -> None:
        """Wait for changes; ask whether anybody is there when there are none."""
        if not connection.can_read(timeout=_PING_EVERY_SECONDS):
            connection.send_command("PING")
        message = connection.read_response(timeout=_HEARD_WITHIN_SECONDS)
        self._heard = time.monotonic()
        if message[0] != b"message":
            return
        if message[2] is None:  # everything was flushed
            self._forget()
            return
        self.drop(account_of_key(key) for key in message[2])
