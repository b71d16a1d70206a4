"""One statement and nothing around it: connections on which each statement commits by itself, past SQLAlchemy.

A Session, its transaction and the description of two dozen columns cost a request more than the ledger's own work.
Whatever goes wrong here with the connection is left to SQLAlchemy, which asks again: a key makes that harmless.
"""

import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg
from sqlalchemy import Engine, TextClause
from sqlalchemy.exc import DBAPIError

from webapp.plain_sql import plain_statement

MOST_IDLE = 16


class Direct:
    """Runs statements on connections of its own, made as the engine makes its own. Whoever disposes of that, closes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._makes = engine.pool.recreate()  # like the engine's own, whose idle connections are for Sessions
        self._idle: deque[psycopg.Connection[Any]] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def __call__(self, statement: TextClause, arguments: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """All rows of the statement, which has committed; None when there was no connection that answered.

        Raises DBAPIError as a Session does for what PostgreSQL refused; nothing was written then.
        """
        plain = plain_statement(statement.text)
        connection = self._connection()
        if connection is None:
            return None
        try:
            rows = plain.rows(connection, arguments, listeners=self._engine.dispatch.before_cursor_execute)
        except psycopg.Error as error:
            if connection.closed or not error.sqlstate:
                connection.close()
                self.close()  # what ended this one has ended the others: a restart, or a changed database
                return None
            self._give_back(connection)
            raise DBAPIError(plain.sql, None, error, hide_parameters=True) from error
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)
        return [dict(zip(plain.names, row, strict=True)) for row in rows]

    def close(self) -> None:
        """No connection is idle any more."""
        _close_all(self._idle)

    def _connection(self) -> "psycopg.Connection[Any] | None":
        with suppress(IndexError):  # none is idle
            return self._idle.pop()
        try:
            pooled = self._makes.connect()
        except (psycopg.Error, DBAPIError):
            return None
        connection = pooled.driver_connection
        assert isinstance(connection, psycopg.Connection)
        pooled.detach()
        connection.autocommit = True
        return connection

    def _give_back(self, connection: "psycopg.Connection[Any]") -> None:
        if len(self._idle) < MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()


def _close_all(connections: "deque[psycopg.Connection[Any]]") -> None:
    with suppress(IndexError):  # none is left
        while True:
            connections.pop().close()
