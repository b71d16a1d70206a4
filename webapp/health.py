"""Does the process live, and can it work? For load balancers and for the runner."""

from alembic.script import ScriptDirectory
from flask import Flask, Response, current_app, jsonify
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from webapp.database import alembic_config
from webapp.extensions import db, limiter
from webapp.queue import redis_connection


def register(app: Flask) -> None:
    """Add /healthz and /readyz."""
    app.add_url_rule("/healthz", "healthz", limiter.exempt(healthz))
    app.add_url_rule("/readyz", "readyz", limiter.exempt(readyz))


def healthz() -> Response:
    """The process answers."""
    return Response("ok\n", mimetype="text/plain")


def readyz() -> tuple[Response, int]:
    """Database, Redis and migrations are right: 200, else 503; each is named with ok or what is wrong."""
    checks = {"database": _database(), "redis": _redis()}
    ready = all(result == "ok" for result in checks.values())
    return jsonify(ready=ready, **checks), 200 if ready else 503


def _database() -> str:
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    try:
        current = db.session.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    except SQLAlchemyError as error:
        current_app.logger.warning("readyz: %s", error)
        return "unreachable"
    finally:
        db.session.rollback()
    return "ok" if current == head else "migrations missing: run `flask db upgrade`"


def _redis() -> str:
    try:
        redis_connection().ping()
    except RedisError as error:
        current_app.logger.warning("readyz: %s", error)
        return "unreachable"
    return "ok"
