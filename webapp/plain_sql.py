"""A statement in plain SQL on psycopg's own connection: what SQLAlchemy does around one costs more than many do."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg


@dataclass
class PlainStatement:
    """A statement as psycopg takes it, and the names of its columns once they are known."""

    sql: str
    names: tuple[str, ...] = ()

    def rows(
        self,
        connection: "psycopg.Connection[Any]",
        arguments: Mapping[str, Any],
        *,
        listeners: Iterable[Callable[..., Any]],
        told_of: Any = None,
    ) -> list[tuple[Any, ...]]:
        """All rows of it. `listeners` hear of it as those of SQLAlchemy's before_cursor_execute do, with the Connection
        that they are `told_of`. Raises psycopg.Error.
        """
        cursor = connection.cursor()
        for note in listeners:
            note(told_of, cursor, self.sql, arguments, None, False)
        cursor.execute(self.sql, arguments)
        rows = cursor.fetchall()
        if not self.names:
            self.names = tuple(column.name for column in cursor.description or ())
        return rows


@lru_cache(maxsize=1_000)
def plain_statement(sql: str) -> PlainStatement:
    """`sql` as `text()` takes it, none of whose parameters has a type of SQLAlchemy's."""
    return PlainStatement(str(text(sql).compile(dialect=PGDialect_psycopg())))  # type: ignore[no-untyped-call]
