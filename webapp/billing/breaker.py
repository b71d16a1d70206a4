"""A circuit breaker in front of Stripe: while it is down nobody waits for it, and the buy page says so.

Known to all processes through Redis, since what one has learnt in 30 seconds of waiting the next should not have to
learn again. After FAILURES failures within WINDOW_SECONDS the circuit is open: nothing is asked for OPEN_SECONDS.
Then one call at a time is a probe (half open): it closes the circuit, or opens it anew. With Redis away there is no
breaker, and calls are tried as without one.

What counts is that Stripe was not reached, or answered 5xx; a refusal is an answer.
"""

import hashlib

import structlog
from flask import current_app
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger()

FAILURES = 5
WINDOW_SECONDS = 30
OPEN_SECONDS = 20
# Longer than one call can take with all its tries, so that a probe whose process dies is forgotten.
PROBE_SECONDS = 60
_TRIPPED_SECONDS = 3600


def may_ask() -> bool:
    """Whether to ask Stripe now. True once while half open: whoever got it tells `succeeded` or `failed`."""
    try:
        is_open, tripped = _redis().mget(_key("open"), _key("tripped"))
        if is_open:
            return False
        return not tripped or bool(_redis().set(_key("probe"), "1", nx=True, ex=PROBE_SECONDS))
    except RedisError:
        return True


def is_open() -> bool:
    """Whether Stripe is known to be down: nothing that needs it would work just now."""
    try:
        return bool(_redis().exists(_key("open")))
    except RedisError:
        return False


def succeeded() -> None:
    """Stripe has answered: the circuit is closed."""
    try:
        if _redis().exists(_key("tripped")):
            _redis().delete(_key("tripped"), _key("open"), _key("probe"), _key("failures"))
            log.info("stripe_is_back")
    except RedisError as error:
        log.warning("breaker_without_redis", error=str(error))


def failed() -> None:
    """Stripe was not reached, or broke down."""
    try:
        pipeline = _redis().pipeline()
        pipeline.incr(_key("failures"))
        pipeline.expire(_key("failures"), WINDOW_SECONDS, nx=True)
        pipeline.exists(_key("tripped"))
        failures, _, tripped = pipeline.execute()
        if tripped or failures >= FAILURES:
            _open()
    except RedisError as error:
        log.warning("breaker_without_redis", error=str(error))


def _open() -> None:
    pipeline = _redis().pipeline()
    pipeline.set(_key("open"), "1", ex=OPEN_SECONDS)
    pipeline.set(_key("tripped"), "1", ex=_TRIPPED_SECONDS)
    pipeline.delete(_key("probe"), _key("failures"))
    pipeline.execute()
    log.error("stripe_is_down", not_asked_for_seconds=OPEN_SECONDS)


def _redis() -> Redis:
    connection: Redis = current_app.extensions["redis"]
    return connection


def _key(name: str) -> str:
    """One circuit for each Stripe, or double of it, that is asked."""
    base = current_app.config["SETTINGS"].stripe_api_base or "stripe"
    return f"breaker:{hashlib.sha256(base.encode()).hexdigest()[:12]}:{name}"
