"""Damaging an account past every guard, and taking it away afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.conftest import TestServers

Tamper = Callable[[str], None]

_TABLES = """
    SELECT format('%I.%I', c.table_schema, c.table_name)
    FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
    WHERE c.table_schema = 'ledger' AND c.column_name = 'account_id' AND t.table_type = 'BASE TABLE'
"""


@contextmanager
def past_every_guard(servers: TestServers, *, account_id: int) -> Iterator["psycopg.Connection[Any]"]:
    """A superuser's connection with all triggers off. Afterwards nothing is left of the account.

    For sweeps take every account of a database that many tests share, and stumble over one that does not add up.
    """
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection
        for (table,) in connection.execute(_TABLES).fetchall():
            connection.execute(f"DELETE FROM {table} WHERE account_id = {account_id}".encode())


@contextmanager
def tampering(servers: TestServers, *, account_id: int) -> Iterator[Tamper]:
    """Runs a statement past every guard; `$` stands for the account's id, and some row has to change."""
    with past_every_guard(servers, account_id=account_id) as connection:

        def run(statement: str) -> None:
            changed = connection.execute(statement.replace("$", str(account_id)).encode())
            assert changed.rowcount

        yield run
