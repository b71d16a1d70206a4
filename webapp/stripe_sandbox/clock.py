"""Which time it is in the sandbox."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from webapp.stripe_sandbox.errors import StripeError

Clock = Callable[[], datetime]

LONGEST_ADVANCE = timedelta(days=3_660)
LAST_MOMENT = datetime(9000, 1, 1, tzinfo=UTC)


def read_clock(connection: psycopg.Connection[Any], clock: Clock | None) -> datetime:
    """The clock that was passed in; else the database's `ledger.now()` where that exists, so that moving
    the ledger's clock moves the sandbox too; else the system's time and what `advance_clock` added to it."""
    if clock is not None:
        return clock()
    if not _ledger_has_a_clock(connection):
        return datetime.now(UTC) + _advanced_by(connection)
    row = connection.execute("SELECT ledger.now()").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment.astimezone(UTC)


def is_own_clock(connection: psycopg.Connection[Any], clock: Clock | None) -> bool:
    """Whether the sandbox's time is moved here, and nowhere else."""
    return clock is None and not _ledger_has_a_clock(connection)


def advance_clock(connection: psycopg.Connection[Any], *, clock: Clock | None, by: timedelta) -> datetime:
    """The sandbox's own clock is ahead by so much more. Raises StripeError when the clock is someone else's."""
    if not is_own_clock(connection, clock):
        raise StripeError("This sandbox follows another clock: move that one.")
    if not timedelta() < by <= LONGEST_ADVANCE or datetime.now(UTC) + _advanced_by(connection) + by > LAST_MOMENT:
        raise StripeError("The clock moves forward only, by ten years at the most at once.")
    connection.execute("UPDATE stripe_sandbox.settings SET advanced_by = advanced_by + %s", [by])
    return datetime.now(UTC) + _advanced_by(connection)


def _advanced_by(connection: psycopg.Connection[Any]) -> timedelta:
    row = connection.execute("SELECT advanced_by FROM stripe_sandbox.settings").fetchone()
    return row[0] if row else timedelta()


def _ledger_has_a_clock(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "SELECT CASE WHEN to_regprocedure('ledger.now()') IS NULL THEN false"
        " ELSE has_schema_privilege('ledger', 'USAGE')"
        " AND has_function_privilege(to_regprocedure('ledger.now()'), 'EXECUTE') END"
    ).fetchone()
    return bool(row and row[0])
