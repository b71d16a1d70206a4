"""The way from a committed outbox row to RQ: the queue, and the hint that a worker picks up."""

import structlog
from flask import Flask, current_app
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.serializers import JSONSerializer

log = structlog.get_logger()

QUEUE = "default"


def configure(app: Flask, *, redis_url: str) -> None:
    """Give the application its Redis connection and its way to enqueue after a commit."""
    app.extensions["redis"] = Redis.from_url(redis_url, socket_timeout=1, socket_connect_timeout=1)
    app.extensions["enqueue"] = enqueue


def redis_connection() -> Redis:
    connection: Redis = current_app.extensions["redis"]
    return connection


def queue() -> Queue:
    return Queue(QUEUE, connection=redis_connection(), serializer=JSONSerializer)


def enqueue(pending: list[tuple[int, str]]) -> None:
    """Hand each (outbox row id, job) to RQ. Redis being away loses nothing: the sweeper hands out what is due."""
    try:
        for row_id, job in pending:
            queue().enqueue(f"jobs.{job}.{job}", row_id, result_ttl=60, failure_ttl=86_400, job_timeout=120)
    except RedisError as error:
        log.warning("enqueue_postponed", rows=[row_id for row_id, _ in pending], error=str(error))
