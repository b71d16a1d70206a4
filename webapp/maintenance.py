"""Maintenance: while it is on, everything but health, metrics and static files answers 503, in the reader's language.

Switched by `flask maintenance`, for every web process that shares the Redis, within a second; or for one process by
MAINTENANCE in its environment. Each process remembers for a second what Redis said, so a request costs nothing.
"""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from flask import current_app, g, request
from flask.typing import ResponseReturnValue
from redis.exceptions import RedisError
from werkzeug.exceptions import ServiceUnavailable

from webapp.application import Application
from webapp.config import Settings
from webapp.errors import maintenance_page
from webapp.queue import redis_connection

log = structlog.get_logger()

KEY = "tallystick:maintenance"
REMEMBERED_SECONDS = 1.0
# What is asked of the caller where nobody said how long it takes.
RETRY_AFTER_SECONDS = 60
_OPEN = ("healthz", "readyz", "metrics", "static")


@dataclass(frozen=True, kw_only=True)
class Maintenance:
    """It is on; `until` is when it is expected to end (the real time, not the sandbox's), None where nobody knows."""

    until: datetime | None = None

    @property
    def retry_after_seconds(self) -> int:
        """How long a caller had better wait; never less than some seconds, for it may take longer than planned."""
        if self.until is None:
            return RETRY_AFTER_SECONDS
        return max(int((self.until - _now()).total_seconds()), 5)


def register(app: Application) -> None:
    """Ask before every request, ahead of whatever else would look at it."""
    app.extensions["maintenance"] = (float("-inf"), None)
    app.before_every_request(refuse_meanwhile)


def refuse_meanwhile() -> ResponseReturnValue | None:
    """503 while maintenance is on. Neither the database nor the session is touched then."""
    if request.endpoint in _OPEN:
        return None
    found = now_on()
    if found is None:
        return None
    g.user_not_loadable = True
    return maintenance_page(ServiceUnavailable(retry_after=found.retry_after_seconds))


def now_on() -> Maintenance | None:
    """The maintenance that is on, as this process knows it, at most a second late."""
    settings: Settings = current_app.config["SETTINGS"]
    if settings.maintenance:
        return Maintenance()
    asked_at, known = current_app.extensions["maintenance"]
    if time.monotonic() - asked_at >= REMEMBERED_SECONDS:
        known = _ask(known)
        current_app.extensions["maintenance"] = (time.monotonic(), known)
    found: Maintenance | None = known
    return found


def switch_on(*, minutes: int | None = None) -> Maintenance:
    """Maintenance is on for every web process, until it is switched off; `minutes` is how long it should take."""
    until = _now() + timedelta(minutes=minutes) if minutes else None
    redis_connection().set(KEY, json.dumps({"until": until.isoformat() if until else None}))
    return Maintenance(until=until)


def switch_off() -> bool:
    """Maintenance is off; returns whether it was on."""
    return bool(redis_connection().delete(KEY))


def read() -> Maintenance | None:
    """What every process is told. Raises RedisError."""
    raw = redis_connection().get(KEY)
    if raw is None:
        return None
    until = json.loads(raw)["until"]
    return Maintenance(until=datetime.fromisoformat(until) if until else None)


def _ask(known: Maintenance | None) -> Maintenance | None:
    """What Redis says; while it is away, what it said last."""
    try:
        return read()
    except RedisError as error:
        log.warning("maintenance_not_known", error=type(error).__name__)
        return known


def _now() -> datetime:
    return datetime.now(UTC)
