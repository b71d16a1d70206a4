"""Whether the ledger reads whole tables, as PostgreSQL itself counts it."""

from typing import Any

import psycopg

# Of one row each; reading them whole is right.
_OF_ONE_ROW = ["clock", "installed_sql"]


def sequential_scans(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Sequential scans of each of the ledger's tables so far, by sessions that have told of theirs."""
    rows = connection.execute(
        "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE schemaname = 'ledger' AND relname <> ALL (%s)",
        [_OF_ONE_ROW],
    )
    return dict(rows.fetchall())
