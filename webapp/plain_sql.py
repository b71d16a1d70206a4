"""A statement in plain SQL on psycopg's own connection: what SQLAlchemy does around one costs more than many do.

It is prepared once a connection and then run by libpq's own call, which waits for the answer outside of Python: a
cursor looks at the socket itself and reads the statement anew each time (docs/decisions/spends-past-sqlalchemy.md).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import abc
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.types.numeric import Int4
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

# Those of one connection; a statement more is asked without being prepared.
_MOST_PREPARED = 200
_INT4 = range(-(2**31), 2**31)

# By connection, how the statements that it knows are called there; they are told apart by their parameters' types, too.
_prepared: "WeakKeyDictionary[psycopg.Connection[Any], dict[Any, bytes]]" = WeakKeyDictionary()
_numbers = count()


@dataclass
class PlainStatement:
    """A statement as PostgreSQL takes it, what `$1` and so on are called, and the names of its columns once known."""

    sql: str
    parameters: tuple[str, ...]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.query = self.sql.encode()
        self._formats = [PyFormat.AUTO] * len(self.parameters)

    def rows(
        self,
        connection: "psycopg.Connection[Any]",
        arguments: Mapping[str, Any],
        *,
        listeners: Iterable[Callable[..., Any]],
        told_of: Any = None,
    ) -> list[tuple[Any, ...]]:
        """All rows of it, on a connection whose statements commit by themselves and which nobody else uses meanwhile.

        `listeners` hear of it as those of SQLAlchemy's before_cursor_execute do, with the Connection that they are
        `told_of`, and without a cursor. Raises psycopg.Error.
        """
        assert connection.autocommit
        for note in listeners:
            note(told_of, None, self.sql, arguments, None, False)
        transformer = Transformer(connection)
        values = [_sized(arguments[name]) for name in self.parameters]
        dumped = transformer.dump_sequence(values, self._formats)
        result = self._ask(connection, transformer, dumped)
        transformer.set_pgresult(result)
        if len(self.names) != result.nfields:
            self.names = tuple((result.fname(place) or b"").decode() for place in range(result.nfields))
        return transformer.load_rows(0, result.ntuples, tuple)

    def _ask(
        self, connection: "psycopg.Connection[Any]", transformer: abc.Transformer, dumped: Sequence[Any]
    ) -> PGresult:
        types, formats = transformer.types or (), transformer.formats
        libpq = connection.pgconn
        name = _name_of(libpq, self.query, types, _prepared.setdefault(connection, {}))
        if name is None:
            return _answered(libpq.exec_params(self.query, dumped, types, formats))
        try:
            return _answered(libpq.exec_prepared(name, dumped, formats))
        except (psycopg.errors.InvalidSqlStatementName, psycopg.errors.FeatureNotSupported):
            # Prepared in vain: forgotten there, or a migration has changed what it returns. Nothing has been done yet.
            _prepared.pop(connection)
            return _answered(libpq.exec_params(self.query, dumped, types, formats))


def _name_of(libpq: PGconn, query: bytes, types: tuple[int, ...], known: dict[Any, bytes]) -> bytes | None:
    """What the statement is called on this connection, prepared now if it was not; None: there are enough of them."""
    name = known.get((query, types))
    if name is None and len(known) < _MOST_PREPARED:
        name = b"plain_%d" % next(_numbers)
        prepared = libpq.prepare(name, query, types)
        if prepared.status != ExecStatus.COMMAND_OK:
            raise error_from_result(prepared)
        known[query, types] = name
    return name


def _answered(result: PGresult) -> PGresult:
    if result.status != ExecStatus.TUPLES_OK:
        raise error_from_result(result)
    return result


def _sized(value: Any) -> Any:
    """Whole numbers of one size, as nearly all are: a statement is prepared for each combination of its types."""
    return Int4(value) if type(value) is int and value in _INT4 else value


_DIALECT = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1_000)
def plain_statement(sql: str) -> PlainStatement:
    """`sql` as `text()` takes it, none of whose parameters has a type of SQLAlchemy's."""
    compiled = text(sql).compile(dialect=_DIALECT)
    return PlainStatement(str(compiled), tuple(compiled.positiontup or ()))
