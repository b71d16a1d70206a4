"""The examples of the ledger's README run as they stand there."""

import re
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg.rows import tuple_row
from sqlalchemy import create_engine

from tests.conftest import TestServers
from tests.docs.pages import ROOT, blocks_of
from webapp.database import sqlalchemy_url
from webapp.ledger import errors
from webapp.ledger.verify import verify

README = ROOT / "webapp/ledger/README.md"


def test_the_examples_of_the_ledgers_readme_run_and_answer_what_they_say(app: Flask, servers: TestServers) -> None:
    """First the Python, then the SQL on the same account; the proof holds afterwards."""
    examples = [block.code for block in blocks_of(README) if block.language == "python"]
    assert examples
    with app.app_context():
        for example in examples:
            exec(compile(example, str(README), "exec"), {})
    account_id = run_the_sql(servers)
    engine = create_engine(sqlalchemy_url(servers.owner_url))
    with engine.connect() as connection:
        assert verify(connection, account_ids=[account_id]).findings == []
    engine.dispose()


def run_the_sql(servers: TestServers) -> int:
    """Statements end with a semicolon or psql's \\gset; the lines after --> are what they answer."""
    variables: dict[str, str] = {}
    checked = 0
    with psycopg.connect(servers.database_url, autocommit=True, row_factory=tuple_row) as connection:
        for block in blocks_of(README):
            if block.language != "sql":
                continue
            for statement, keeps, said in statements(block.code):
                expected = re.findall(r"^--> (.*)$", said, re.MULTILINE)
                answer = ask(connection, substitute(statement, variables))
                if keeps:
                    names, rows = answer
                    variables |= {name: str(value) for name, value in zip(names, rows[0], strict=True)}
                else:
                    assert shown(answer) == expected, statement
                    checked += 1
    assert checked >= 10
    return int(variables["account"])


def statements(code: str) -> list[tuple[str, bool, str]]:
    """(statement, whether psql would keep its answer, the comment lines that follow it)."""
    parts = re.findall(r"(.*?)(;|\\gset)[ ]*\n((?:-->[^\n]*\n?)*)", code, re.DOTALL)
    return [(statement.strip(), end != ";", said) for statement, end, said in parts]


def substitute(statement: str, variables: dict[str, str]) -> str:
    return re.sub(r"(?<!:):([a-z]+)", lambda found: variables[found[1]], statement)


def ask(connection: psycopg.Connection[Any], statement: str) -> Any:
    try:
        cursor = connection.execute(statement)
    except psycopg.Error as error:
        return f"{error.sqlstate} {error.diag.message_detail or ''}".strip()
    names = [column.name for column in cursor.description or []]
    return names, cursor.fetchall()


def shown(answer: Any) -> list[str]:
    """As psql shows it without headings: columns with | between them."""
    if isinstance(answer, str):
        return [answer]
    return [" | ".join(map(cell, row)) for row in answer[1]]


def cell(value: Any) -> str:
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, list):
        return "{" + ",".join(map(str, value)) + "}"
    return str(value)


@pytest.mark.parametrize("sqlstate", sorted(errors._BY_SQLSTATE))
def test_each_refusal_is_in_the_table_with_its_class(sqlstate: str) -> None:
    row = re.search(rf"^\| {sqlstate} \| `(\w+)` \|", README.read_text("utf-8"), re.MULTILINE)
    assert row is not None
    assert row[1] == errors._BY_SQLSTATE[sqlstate].__name__


def test_no_refusal_is_in_the_table_that_does_not_exist() -> None:
    assert set(re.findall(r"^\| (TS\d+) ", README.read_text("utf-8"), re.MULTILINE)) == set(errors._BY_SQLSTATE)
