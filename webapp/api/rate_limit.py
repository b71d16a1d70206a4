"""How many requests a minute a key may make."""

import threading
import time
from dataclasses import dataclass, field

import structlog
from flask_babel import gettext as _
from redis.exceptions import RedisError

from webapp.api.keys import KnownKey
from webapp.api.problems import Problem
from webapp.queue import redis_connection

log = structlog.get_logger()

WINDOW_SECONDS = 60
PAUSE_SECONDS = 10
_LEASES = 1000


@dataclass
class _Window:
    number: int = -1
    counted: int = 0  # by all processes, when this one last asked
    leased: int = 0  # of them, ours and not used yet


@dataclass
class RateLimit:
    """Counts in Redis for all processes together, by the minute. Without Redis nothing is limited.

    Asking Redis for each request would cost more than a spend's own work, so a process takes a thousandth of the
    limit at a time: exact for small limits, and off by that much a process for large ones.
    """

    _windows: dict[int, _Window] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _paused_until: float = 0.0

    def take(self, *, key: KnownKey, moment: float | None = None) -> dict[str, str]:
        """One request of `key` is counted; returns the RateLimit headers. Raises 429 when there is none left."""
        moment = time.time() if moment is None else moment
        reset = WINDOW_SECONDS - int(moment) % WINDOW_SECONDS
        with self._lock:
            left = self._left(key, moment)
        if left is None:
            return {}
        headers = {
            "RateLimit-Limit": str(key.rate_per_minute),
            "RateLimit-Remaining": str(max(left, 0)),
            "RateLimit-Reset": str(reset),
        }
        if left < 0:
            detail = _("This API key has used up its requests for this minute.")
            raise Problem(429, "rate_limited", detail, headers={**headers, "Retry-After": str(reset)})
        return headers

    def _left(self, key: KnownKey, moment: float) -> int | None:
        """What is left after this request, negative when it is one too many; None when nobody knows."""
        window = self._windows.setdefault(key.id, _Window())
        number = int(moment) // WINDOW_SECONDS
        if window.number != number:
            window.number, window.counted, window.leased = number, 0, 0
        if window.leased == 0 and window.counted < key.rate_per_minute:
            lease = max(1, key.rate_per_minute // _LEASES)
            counted = self._count(f"tallystick:api-rate:{key.id}:{number}", lease)
            if counted is None:
                return None
            window.counted = counted
            window.leased = lease - max(0, min(lease, counted - key.rate_per_minute))
        if window.leased == 0:
            return -1
        window.leased -= 1
        return max(0, key.rate_per_minute - window.counted) + window.leased

    def _count(self, name: str, lease: int) -> int | None:
        if time.monotonic() < self._paused_until:
            return None
        try:
            with redis_connection().pipeline(transaction=False) as pipeline:
                pipeline.incrby(name, lease)
                pipeline.expire(name, 2 * WINDOW_SECONDS)
                return int(pipeline.execute()[0])
        except RedisError as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            log.warning("api_rate_limit_off", error=str(error), seconds=PAUSE_SECONDS)
            return None
