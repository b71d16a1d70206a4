"""The units of work of the API: one statement, one snapshot, or one database transaction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask, current_app
from flask_babel import gettext as _
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from webapp import clock
from webapp.api.direct import Direct
from webapp.api.problems import RETRY_AFTER_SECONDS, Problem
from webapp.database import (
    AUTOCOMMIT,
    REPEATABLE,
    SNAPSHOT,
    Answer,
    after_commit,
    asks_for_repetition,
    engine_at,
    sqlstate,
    try_again,
)
from webapp.extensions import db
from webapp.ledger.call import call_directly

_LOCK_TIMEOUT = "55P03"
_STATEMENT_TIMEOUT = "57014"
_AWAY = ("57P01", "57P02", "57P03", "53300")  # shutting down, crashed, starting up, too many connections


@contextmanager
def one_statement() -> Iterator[Session]:
    """Each statement commits by itself: a ledger call is one round trip, without BEGIN and COMMIT around it."""
    with _session(AUTOCOMMIT) as session:
        call_directly(session, current_app.extensions["api_direct"])
        yield session
        after_commit(session)


@contextmanager
def one_lookup() -> Iterator[Connection]:
    """Like `one_statement`, without a Session around it: for what every request looks up first."""
    with engine_at(AUTOCOMMIT).connect() as connection:
        clock.follow(connection, movable=current_app.config["SANDBOX"])
        yield connection


@contextmanager
def one_snapshot() -> Iterator[Session]:
    """Several statements that read the same moment; for reading."""
    with _session(SNAPSHOT) as session:
        yield session


@contextmanager
def one_transaction(session: Session) -> Iterator[Session]:
    """One database transaction, for what must be read under a lock before it is written; then `after_commit`.

    `session` is the call's own of `one_statement`, which gives its connection back first: nobody has two.
    """
    session.close()
    with Session(db.engine) as own:
        with own.begin():
            clock.follow(own, movable=current_app.config["SANDBOX"])
            yield own
        after_commit(own)


@contextmanager
def own_units() -> Iterator[Session]:
    """For a call that opens its units of work itself, one after the other, because it asks somebody else between."""
    yield db.session()


@contextmanager
def _session(isolation_level: str) -> Iterator[Session]:
    with Session(engine_at(isolation_level)) as session:
        clock.follow(session, movable=current_app.config["SANDBOX"])
        yield session


def prepare_direct(app: Flask) -> None:
    """The connections of `one_statement`, which end with those of the engine."""
    direct = app.extensions["api_direct"] = Direct(engine_at(AUTOCOMMIT))
    event.listen(db.engine, "engine_disposed", lambda _engine: direct.close())


def attempt(work: Callable[[], Answer]) -> Answer:
    """What `work` returns, tried whole again when the database asks for that or the connection had died.

    Raises a Problem for what the database cannot do just now: 409 `in_progress` when another request holds the
    account for over 5 s, 503 when it is away or overloaded.
    """
    try:
        return try_again(work, when=lambda error: error.connection_invalidated or asks_for_repetition(error))
    except PoolTimeout as error:
        raise _unavailable() from error
    except DBAPIError as error:
        raise _problem_of(error) or error from error


def _problem_of(error: DBAPIError) -> Problem | None:
    code = sqlstate(error)
    if code in (_LOCK_TIMEOUT, *REPEATABLE):
        detail = _("Another request is still working on this. Try again with the same key.")
        return Problem(409, "in_progress", detail, headers={"Retry-After": "1"})
    if code in _AWAY or code == _STATEMENT_TIMEOUT or code.startswith("08") or error.connection_invalidated:
        return _unavailable()
    if isinstance(error, OperationalError) and not code:
        return _unavailable()
    return None


def _unavailable() -> Problem:
    detail = _("The service cannot answer just now. Try again soon.")
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
