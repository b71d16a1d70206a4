"""Which time it is in the sandbox."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg

Clock = Callable[[], datetime]


def read_clock(connection: psycopg.Connection[Any], clock: Clock | None) -> datetime:
    """The clock that was passed in; else the database's `ledger.now()` where that exists, so that moving
    the ledger's clock moves the sandbox too; else the system's time."""
    if clock is not None:
        return clock()
    if not _ledger_has_a_clock(connection):
        return datetime.now(UTC)
    row = connection.execute("SELECT ledger.now()").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment.astimezone(UTC)


def _ledger_has_a_clock(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "SELECT CASE WHEN to_regprocedure('ledger.now()') IS NULL THEN false"
        " ELSE has_schema_privilege('ledger', 'USAGE')"
        " AND has_function_privilege(to_regprocedure('ledger.now()'), 'EXECUTE') END"
    ).fetchone()
    return bool(row and row[0])
