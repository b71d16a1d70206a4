"""The way from a committed outbox row to RQ: the queue, and the hint that a worker picks up."""

import threading
from typing import Any

import structlog
from flask import Flask, current_app
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

log = structlog.get_logger()
_own = threading.local()

QUEUE = "default"

# Until then a job that was told to begin is believed to be in the queue still.
HINT_SECONDS = 5


def configure(app: Flask, *, redis_url: str) -> None:
    """Give the application its Redis connection and its way to enqueue after a commit."""
    # Once more at once, for a connection that a restart of Redis has closed; the library would wait for seconds.
    retry = Retry(NoBackoff(), 1)
    app.extensions["redis"] = Redis.from_url(redis_url, socket_timeout=1, socket_connect_timeout=1, retry=retry)
    app.extensions["enqueue"] = enqueue


def redis_connection() -> Redis:
    connection: Redis = current_app.extensions["redis"]
    return connection


def ask_redis(*command: str | bytes | int) -> Any:
    """What the application's Redis answers to one command that may be given twice. Raises RedisError."""
    return ask(redis_connection(), *command)


def ask(redis: Redis, *command: str | bytes | int) -> Any:
    """What that Redis answers to one command that may be given twice. Raises RedisError.

    Over a connection that this thread keeps: what redis-py does around a command costs more than the command.
    """
    connection = getattr(_own, "connection", None)
    if connection is None or _own.redis is not redis:
        _own.redis = redis
        connection = _own.connection = redis.connection_pool.make_connection()
    try:
        connection.send_command(*command)
        return connection.read_response()
    except RedisConnectionError:  # Redis has closed it meanwhile: once more, over a new one
        connection.disconnect()
        connection.send_command(*command)
        return connection.read_response()


def queue() -> Queue:
    return Queue(QUEUE, connection=redis_connection(), serializer=JSONSerializer)


def enqueue(pending: list[tuple[int | None, str]]) -> None:
    """Hand each (outbox row id, job) to RQ; a job without a row only if it is not in the queue already.

    Redis being away loses nothing: the sweeper hands out what is due.
    """
    try:
        for row_id, job in pending:
            arguments = () if row_id is None else (row_id,)
            if arguments or redis_connection().set(_hint_of(job), 1, nx=True, ex=HINT_SECONDS):
                queue().enqueue(f"jobs.{job}.{job}", *arguments, result_ttl=60, failure_ttl=86_400, job_timeout=120)
    except RedisError as error:
        log.warning("enqueue_postponed", rows=[row_id for row_id, _ in pending], error=str(error))


def begin_hinted(job: str) -> None:
    """The hinted job begins: whatever is committed from now on asks for it anew. To be called before it reads."""
    try:
        redis_connection().delete(_hint_of(job))
    except RedisError as error:  # it wears off by itself
        log.warning("hint_not_taken", job=job, error=str(error))


def _hint_of(job: str) -> str:
    return f"tallystick:hint:{job}"
