"""Puts the sandbox's schema into a database."""

from pathlib import Path

import psycopg
from psycopg import sql

INSTALL_LOCK = 5_781_043_902  # any constant of ours: two starters must not create the schema at once


def install(owner_dsn: str, *, app_role: str | None = "tallystick_app") -> None:
    """The schema `stripe_sandbox` exists and `app_role` may read and write its rows; repeatable.

    `owner_dsn` connects a role that may create schemas. A role that does not exist, and None, get no
    grants: the connecting role then serves the sandbox too. Raises psycopg.Error and leaves the database
    as it was when the role may not create the schema.
    """
    statements = Path(__file__).with_name("install.sql").read_bytes()
    with psycopg.connect(owner_dsn) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [INSTALL_LOCK])
        connection.execute("SET LOCAL client_min_messages = warning")
        connection.execute(statements)
        if app_role is not None and _role_exists(connection, app_role):
            _allow(connection, app_role)


def wants_installing(dsn: str) -> bool:
    """Whether the schema is absent, or belongs to the connecting role, which can then bring it up to date."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT coalesce((SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace"
            " WHERE nspname = 'stripe_sandbox'), true)"
        ).fetchone()
    return bool(row and row[0])


def _role_exists(connection: psycopg.Connection, role: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None


def _allow(connection: psycopg.Connection, role: str) -> None:
    name = sql.Identifier(role)
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA stripe_sandbox TO {}").format(name))
    connection.execute(
        sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA stripe_sandbox TO {}").format(name)
    )
