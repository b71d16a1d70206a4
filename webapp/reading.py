"""By what a page reads: one Session a request, each of whose statements is a database transaction of its own.

It is the same that says who is signed in, what the page shows, and the balance at the top. Nobody writes by it: that
takes a unit of work (docs/decisions/reading.md).
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from flask import Flask, current_app, g
from sqlalchemy import Connection, TextClause
from sqlalchemy.engine import Result
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType

from webapp import clock
from webapp.database import AUTOCOMMIT, engine_at
from webapp.ledger.call import call_directly
from webapp.plain_sql import plain_statement


class Reader(Session):
    """A Session whose statements in plain SQL go straight to psycopg; those of the ORM go SQLAlchemy's way."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, autoflush=False, expire_on_commit=False)
        self._connection = connection
        call_directly(self, self.rows)

    def rows(self, statement: TextClause, arguments: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """All rows of the statement; None where SQLAlchemy is to be asked, which also tells what went wrong.

        Raises DBAPIError as a Session does for what PostgreSQL refused.
        """
        found = self._ask(statement, arguments)
        if found is None:
            return None
        names, rows = found
        return [dict(zip(names, row, strict=True)) for row in rows]

    def execute(self, statement: Any, params: Any = None, **options: Any) -> Result[Any]:
        if type(statement) is TextClause and not options and (params is None or type(params) is dict):
            found = self._ask(statement, params or {})
            if found is not None:
                names, rows = found
                return IteratorResult(SimpleResultMetaData(names), iter(rows))
        return super().execute(statement, params, **options)

    def close(self) -> None:
        """The connection is free for others, too."""
        super().close()
        self._connection.close()

    def _ask(
        self, statement: TextClause, arguments: Mapping[str, Any]
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]] | None:
        connection = self._connection.connection.driver_connection
        if connection is None or not _is_plain(statement):
            return None
        plain = plain_statement(statement.text)
        listeners = self._connection.dispatch.before_cursor_execute
        try:
            rows = plain.rows(connection, arguments, listeners=listeners, told_of=self._connection)
        except psycopg.Error as error:
            if connection.closed or not error.sqlstate:
                return None
            raise DBAPIError.instance(
                plain.sql, None, error, psycopg.Error, hide_parameters=True, dialect=self._connection.dialect
            ) from error
        return plain.names, rows


def register(app: Flask) -> None:
    """The connection of a request is given back at its end."""
    app.teardown_request(lambda _error: close_reader())


def reader() -> Reader:
    """The request's Session for reading; it begins with the first who asks. `clock.now()` agrees with the ledger's."""
    found: Reader | None = g.get("reader")
    if found is None:
        found = g.reader = Reader(engine_at(AUTOCOMMIT).connect())
    clock.follow(found, movable=current_app.config["SANDBOX"])
    return found


def close_reader() -> None:
    """What the request read by is given back. Who reads on, begins anew."""
    found: Reader | None = g.pop("reader", None)
    if found is not None:
        found.close()


def _is_plain(statement: TextClause) -> bool:
    return all(
        isinstance(one.type, NullType) and one.required and not one.expanding for one in statement._bindparams.values()
    )
