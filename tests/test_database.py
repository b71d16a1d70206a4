"""Bringing a database to this version."""

import psycopg
import pytest

from tests.conftest import TestServers
from webapp.database import upgrade


def installed(connection: psycopg.Connection) -> dict[str, str]:
    rows = connection.execute(
        "SELECT oid::regprocedure::text, prosrc FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace"
    ).fetchall()
    return dict(rows)


def upgrade_again(servers: TestServers) -> None:
    """As after an update whose SQL is another one."""
    with psycopg.connect(servers.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE ledger.installed_sql SET digest = 'of an older version'")
    upgrade(owner_url=servers.owner_url, database_url=servers.database_url, sandbox=True)


def test_an_upgrade_drops_functions_that_are_no_longer_there(fresh_database: TestServers) -> None:
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        before = installed(owner)
        owner.execute("CREATE FUNCTION ledger.left_over() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        upgrade_again(fresh_database)
        assert installed(owner) == before


def test_an_upgrade_replaces_a_function_that_returned_something_else(fresh_database: TestServers) -> None:
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        before = installed(owner)
        owner.execute("DROP FUNCTION ledger.clock_ahead()")
        owner.execute("CREATE FUNCTION ledger.clock_ahead() RETURNS text LANGUAGE sql AS $$ SELECT 'older' $$")
        upgrade_again(fresh_database)
        assert installed(owner) == before
    with psycopg.connect(fresh_database.database_url) as application:
        assert application.execute("SELECT count(*) FROM ledger.violations_v").fetchone() == (0,)
        assert application.execute("SELECT ledger.clock_ahead()").fetchone() is not None


def test_an_upgrade_that_changes_nothing_leaves_every_function_alone(fresh_database: TestServers) -> None:
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        query = "SELECT max(xmin::text::bigint) FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace"
        before = owner.execute(query).fetchone()
        upgrade(owner_url=fresh_database.owner_url, database_url=fresh_database.database_url, sandbox=True)
        assert owner.execute(query).fetchone() == before


def test_a_database_for_real_money_never_becomes_a_sandbox_again(fresh_database: TestServers) -> None:
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("SELECT ledger.let_clock_move(false)")
        upgrade(owner_url=fresh_database.owner_url, database_url=fresh_database.database_url, sandbox=True)
        assert owner.execute("SELECT ledger.clock_can_move()").fetchone() == (False,)


def test_sandbox_data_whose_clock_was_moved_is_refused_for_real_money(fresh_database: TestServers) -> None:
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("SELECT ledger.advance_clock('1 day')")
        with pytest.raises(psycopg.errors.RaiseException, match="sandbox"):
            owner.execute("SELECT ledger.let_clock_move(false)")
