"""Who may do what: the application calls functions and reads views; nobody rewrites history."""

from collections.abc import Iterator
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.conftest import TestServers
from webapp.ledger.fingerprints import fingerprint_of_grant

RELATIONS = "SELECT relname FROM pg_class WHERE relnamespace = 'ledger'::regnamespace AND relkind = ANY (%s)"
FUNCTIONS = "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace AND "


@pytest.fixture
def as_application(servers: TestServers) -> Iterator[psycopg.Connection]:
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def account_id(as_application: psycopg.Connection) -> int:
    """An account with one grant."""
    row = as_application.execute(
        "SELECT account_id FROM ledger.open_account(%s, NULL, NULL, NULL, NULL, NULL)", [f"roles-{uuid4()}"]
    ).fetchone()
    assert row is not None
    terms = fingerprint_of_grant(source="test", amount=10)
    as_application.execute("SELECT ledger.grant(%s, 10, 'test', 'test', %s)", [row[0], terms])
    return int(row[0])


def names(connection: psycopg.Connection, query: LiteralString, *arguments: object) -> list[str]:
    return [row[0] for row in connection.execute(query, arguments)]


def refuses(connection: psycopg.Connection, statement: sql.Composable | LiteralString) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ledger.{} DEFAULT VALUES",
        "DELETE FROM ledger.{}",
        "TRUNCATE ledger.{}",
        "ALTER TABLE ledger.{} DISABLE TRIGGER ALL",
        "ALTER TABLE ledger.{} ADD COLUMN x int",
        "DROP TABLE ledger.{}",
        "CREATE TRIGGER x BEFORE INSERT ON ledger.{} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE RULE x AS ON INSERT TO ledger.{} DO INSTEAD NOTHING",
        "DO $$ BEGIN LOCK TABLE ledger.{} IN ACCESS EXCLUSIVE MODE; END $$",
    ],
)
def test_the_application_cannot_write_or_change_any_table_of_the_ledger(
    as_application: psycopg.Connection, statement: LiteralString
) -> None:
    tables = names(as_application, RELATIONS, ["r", "p"])
    assert {"accounts", "grants", "entries"} <= set(tables)
    for table in tables:
        refuses(as_application, sql.SQL(statement).format(sql.Identifier(table)))


def test_the_application_cannot_update_any_column_of_a_table_or_view(
    as_application: psycopg.Connection,
) -> None:
    rows = as_application.execute(
        "SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE relnamespace = 'ledger'::regnamespace AND relkind = ANY ('{r,p,v,m}') AND attnum > 0"
        " AND NOT attisdropped AND (has_column_privilege(attrelid, attnum, 'UPDATE')"
        " OR has_column_privilege(attrelid, attnum, 'INSERT'))"
    ).fetchall()
    assert rows == []


@pytest.mark.parametrize(
    "statement",
    [
        "SET session_replication_role = replica",
        "CREATE TABLE ledger.mine (x int)",
        "CREATE FUNCTION ledger.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW ledger.mine AS SELECT 1",
        "DROP SCHEMA ledger CASCADE",
        "ALTER FUNCTION ledger.now() RENAME TO later",
        "SET ROLE tallystick_owner",
        "GRANT ALL ON ledger.entries TO PUBLIC",
    ],
)
def test_the_application_cannot_change_the_ledger_itself(
    as_application: psycopg.Connection, statement: LiteralString
) -> None:
    refuses(as_application, statement)


def test_the_application_owns_nothing_and_is_nobody(superuser_connection: psycopg.Connection) -> None:
    owned = names(
        superuser_connection,
        "SELECT relname FROM pg_class WHERE relnamespace = 'ledger'::regnamespace"
        " AND pg_has_role('tallystick_app', relowner, 'USAGE')"
        " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace"
        " AND pg_has_role('tallystick_app', proowner, 'USAGE')",
    )
    assert owned == []
    row = superuser_connection.execute(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication FROM pg_roles"
        " WHERE rolname = 'tallystick_app'"
    ).fetchone()
    assert row == (False,) * 5


def test_one_role_owns_every_table_view_and_function_of_the_ledger(
    superuser_connection: psycopg.Connection,
) -> None:
    owners = names(
        superuser_connection,
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class"
        " WHERE relnamespace = 'ledger'::regnamespace"
        " UNION SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace",
    )
    assert owners == ["tallystick_owner"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.{} SET amount = amount WHERE account_id = {}",
        "DELETE FROM ledger.{} WHERE account_id = {}",
        "TRUNCATE ledger.{}",
        "INSERT INTO ledger.{0} SELECT * FROM ledger.{0} WHERE account_id = {1}"
        " ON CONFLICT (account_id, seq) DO UPDATE SET amount = 1",
    ],
)
def test_the_owner_cannot_rewrite_history_either(
    owner_connection: psycopg.Connection, account_id: int, statement: LiteralString
) -> None:
    query = sql.SQL(statement).format(sql.Identifier("entries"), sql.Literal(account_id))
    with pytest.raises(psycopg.Error):
        owner_connection.execute(query)
    row = owner_connection.execute("SELECT amount FROM ledger.entries WHERE account_id = %s", [account_id]).fetchone()
    assert row == (10,)


@pytest.mark.parametrize("table", ["accounts", "account_ids", "grants"])
@pytest.mark.parametrize("statement", ["DELETE FROM ledger.{} WHERE account_id = {}", "TRUNCATE ledger.{}"])
def test_the_owner_cannot_remove_an_account_or_a_grant_either(
    owner_connection: psycopg.Connection, account_id: int, table: str, statement: LiteralString
) -> None:
    query = sql.SQL(statement).format(sql.Identifier(table), sql.Literal(account_id))
    with pytest.raises(psycopg.errors.RaiseException, match=f"{table} are kept"):
        owner_connection.execute(query)
    count = sql.SQL("SELECT count(*) FROM ledger.{} WHERE account_id = {}")
    row = owner_connection.execute(count.format(sql.Identifier(table), sql.Literal(account_id))).fetchone()
    assert row == (1,)


def test_nobody_but_the_application_and_the_owner_may_call_a_function(
    superuser_connection: psycopg.Connection,
) -> None:
    public = names(superuser_connection, FUNCTIONS + "has_function_privilege('public', oid, 'EXECUTE') ORDER BY 1")
    assert public == []


def test_every_function_with_the_owners_rights_has_a_fixed_search_path(
    superuser_connection: psycopg.Connection,
) -> None:
    """A function that runs as its owner and looks names up in the caller's path can be hijacked."""
    loose = names(
        superuser_connection,
        FUNCTIONS + "prosecdef AND NOT coalesce(proconfig::text LIKE '%%search_path=%%', false)",
    )
    assert loose == []


def test_the_application_may_call_nothing_that_moves_the_rules(
    as_application: psycopg.Connection,
) -> None:
    for name in names(as_application, FUNCTIONS + "proname = ANY (%s)", ["let_clock_move"]):
        row = as_application.execute("SELECT has_function_privilege(%s, 'EXECUTE')", [name]).fetchone()
        assert row == (False,)


def test_a_temporary_function_or_table_of_the_caller_is_not_used_by_the_ledger(
    as_application: psycopg.Connection, account_id: int
) -> None:
    as_application.execute("CREATE TEMP TABLE grants (account_id bigint, remaining bigint)")
    as_application.execute("CREATE TEMP TABLE accounts (account_id bigint, balance bigint)")
    as_application.execute("SET search_path = pg_temp, public")
    as_application.execute("SELECT ledger.spend(%s, 4, 'k', %s, 'test')", [account_id, b"fingerprint"])
    row = as_application.execute("SELECT balance FROM ledger.accounts_v WHERE account_id = %s", [account_id]).fetchone()
    assert row == (6,)


def test_views_can_be_read_and_not_written(as_application: psycopg.Connection) -> None:
    views = names(as_application, RELATIONS, ["v"])
    promised = {
        "accounts_v",
        "grants_v",
        "entries_v",
        "draws_v",
        "postings_v",
        "trial_balance_v",
        "violations_v",
    }
    assert promised <= set(views)
    for view in views:
        as_application.execute(sql.SQL("SELECT * FROM ledger.{} LIMIT 1").format(sql.Identifier(view)))
        with pytest.raises(psycopg.Error):
            as_application.execute(sql.SQL("DELETE FROM ledger.{}").format(sql.Identifier(view)))
