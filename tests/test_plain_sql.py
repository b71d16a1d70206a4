"""Statements run by libpq's own call: the same rows and errors as psycopg's cursors have, whatever happened before."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.servers import TestServers
from webapp import plain_sql
from webapp.plain_sql import plain_statement

T0 = datetime(2031, 1, 31, 23, 59, 59, 999_999, UTC)


@pytest.fixture
def connection(servers: TestServers) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(servers.owner_url, autocommit=True) as connection:
        yield connection


def rows(connection: "psycopg.Connection[Any]", sql: str, **arguments: Any) -> list[tuple[Any, ...]]:
    return plain_statement(sql).rows(connection, arguments, listeners=())


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", "ж'; \\ % $1 :a %(a)s"),
        ("text", ""),
        ("text", None),
        ("bigint", 0),
        ("bigint", -(2**31)),
        ("bigint", 2**31),
        ("bigint", 2**63 - 1),
        ("boolean", True),
        ("bytea", b"\x00\xff\\"),
        ("timestamptz", T0),
        ("timestamptz", T0.astimezone(timezone(timedelta(hours=-9, minutes=-30)))),
        ("bigint[]", [1, 2**40]),
        ("text[]", ["a", '"', "{,}"]),
        ("numeric", Decimal("1.50")),
        ("uuid", UUID(int=5)),
        ("jsonb", '{"a": [1, 2.5, null, "ж"]}'),
    ],
)
def test_a_value_comes_back_as_a_cursor_would_bring_it(
    connection: "psycopg.Connection[Any]", kind: str, value: Any
) -> None:
    [expected] = connection.execute(f"SELECT CAST(%s AS {kind}), '%%', 1", [value])
    for _ in range(3):
        assert rows(connection, f"SELECT CAST(:a AS {kind}), '%', 1", a=value) == [expected]


def test_one_statement_takes_values_of_every_size_and_none(connection: "psycopg.Connection[Any]") -> None:
    for value in (1, 2**40, None, 70_000, -(2**62), 1):
        expected = None if value is None else value + 1
        assert rows(connection, "SELECT CAST(:a AS bigint) + :b", a=value, b=1) == [(expected,)]
    assert rows(connection, "SELECT CAST(:a AS bigint) + :b", a=1, b=2**62) == [(2**62 + 1,)]


def test_what_postgresql_refuses_is_the_error_of_a_cursor(connection: "psycopg.Connection[Any]") -> None:
    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero) as refused:
            rows(connection, "SELECT 1 / :a", a=0)
        assert refused.value.sqlstate == "22012"
        assert refused.value.diag.message_primary == "division by zero"
    with pytest.raises(psycopg.errors.UndefinedTable):
        rows(connection, "SELECT * FROM nowhere WHERE a = :a", a=0)
    assert rows(connection, "SELECT 1 / :a", a=1) == [(1,)]


def test_what_was_prepared_in_vain_is_asked_all_the_same(connection: "psycopg.Connection[Any]") -> None:
    connection.execute("CREATE TEMP TABLE things (a int, b text)")
    connection.execute("INSERT INTO things VALUES (1, 'x')")
    asked = "SELECT * FROM things WHERE a = :a"
    assert rows(connection, asked, a=1) == [(1, "x")]
    connection.execute("DEALLOCATE ALL")
    assert rows(connection, asked, a=1) == [(1, "x")]
    assert rows(connection, asked, a=1) == [(1, "x")]
    connection.execute("ALTER TABLE things ALTER a TYPE text, ADD c int DEFAULT 7")
    assert rows(connection, asked, a="1") == [("1", "x", 7)]
    assert plain_statement(asked).names == ("a", "b", "c")
    assert rows(connection, asked, a="1") == [("1", "x", 7)]


def test_no_more_statements_than_that_are_prepared(
    connection: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_sql, "_MOST_PREPARED", 3)
    for number in range(6):
        for _ in range(2):
            assert rows(connection, f"SELECT {number}, :a", a="x") == [(number, "x")]
    [(prepared,)] = connection.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'plain%'")
    assert prepared == 3


def test_a_connection_that_has_died_says_so(connection: "psycopg.Connection[Any]", servers: TestServers) -> None:
    assert rows(connection, "SELECT :a", a="x") == [("x",)]
    with psycopg.connect(servers.owner_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
    with pytest.raises(psycopg.Error):
        rows(connection, "SELECT :a", a="x")
    assert connection.closed
    with pytest.raises(psycopg.Error):
        rows(connection, "SELECT :a", a="x")


def test_whoever_counts_statements_hears_of_each_once(connection: "psycopg.Connection[Any]") -> None:
    heard: list[str] = []
    for _ in range(2):
        plain_statement("SELECT :a").rows(
            connection, {"a": "x"}, listeners=[lambda _conn, _cursor, sql, *_rest: heard.append(sql)]
        )
    assert heard == ["SELECT $1", "SELECT $1"]
