"""Opening balances from a CSV: checked whole, written once, whatever happens in between."""

import json
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest
from click.testing import Result
from flask import Flask
from psycopg.rows import dict_row
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tests.conftest import TestServers
from tests.docs.pages import ROOT
from webapp import ledger
from webapp.commands import ledger_import
from webapp.database import sqlalchemy_url, unit_of_work
from webapp.ledger import opening
from webapp.ledger.verify import verify

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EXAMPLE = ROOT / "docs/opening-balances.csv"
Import = Callable[..., Result]


# ---------------------------------------------------------------- checking, without a database


@pytest.fixture
def sheet() -> Iterator[opening.Sheet]:
    with opening.Sheet() as sheet:
        yield sheet


@pytest.fixture
def check(sheet: opening.Sheet, tmp_path: Path) -> Callable[..., list[opening.Problem]]:
    """What is wrong with a file of that text, or those bytes."""

    def check(content: str | bytes, **rules: Any) -> list[opening.Problem]:
        path = tmp_path / "opening.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        opening.check_file(sheet, path, rules=opening.Rules(now=NOW, **rules))
        return sheet.problems(most=1_000)

    return check


def lines_of(sheet: opening.Sheet) -> list[opening.Line]:
    return [line for chunk in sheet.chunks(size=3) for line in chunk.lines]


def where(problems: list[opening.Problem]) -> list[tuple[int, str]]:
    return [(problem.line, problem.column) for problem in problems]


def test_a_line_becomes_the_grant_that_it_describes(check: Any, sheet: opening.Sheet) -> None:
    text = (
        "account,amount,expires_at,effective_at,granted_at,priority,features,source,source_key,cost_minor,"
        "cost_currency,description,account_name,account_kind,time_zone,overdraft_limit\n"
        "u@1,500,2027-01-31T00:00:00+01:00,2026-12-01T00:00:00Z,2026-01-01T00:00:00Z,-5,b; a;b,purchase,inv-1,900,"
        "EUR,Spring,Ada,person,Europe/Berlin,70\n"
    )
    assert check(text) == []
    assert lines_of(sheet) == [
        opening.Line(
            number=2,
            account="u@1",
            amount=500,
            expires_at=datetime(2027, 1, 30, 23, tzinfo=UTC),
            effective_at=datetime(2026, 12, 1, tzinfo=UTC),
            granted_at=datetime(2026, 1, 1, tzinfo=UTC),
            priority=-5,
            features=["a", "b"],
            source="purchase",
            source_key="inv-1",
            cost_minor=900,
            cost_currency="EUR",
            description="Spring",
            account_name="Ada",
            account_kind="person",
            time_zone="Europe/Berlin",
            overdraft_limit=70,
        )
    ]


@pytest.mark.parametrize(
    "content",
    [
        "account,amount\na,1\nb,2\n",
        "account,amount\r\na,1\r\nb,2\r\n",
        "account,amount\ra,1\rb,2\r",
        "\ufeffaccount,amount\na,1\nb,2",
        '"account","amount"\n"a","1"\n"b","2"\n',
        " account , amount \n a , 1 \n\n , \nb,2\n\n",
        "amount,account\n1,a\n2,b\n",
    ],
    ids=["LF", "CRLF", "CR", "byte order mark", "quoted", "spaces and empty lines", "any order of columns"],
)
def test_what_spreadsheets_write_is_read(check: Any, sheet: opening.Sheet, content: str) -> None:
    assert check(content) == []
    assert [(line.account, line.amount) for line in lines_of(sheet)] == [("a", 1), ("b", 2)]


def test_a_line_is_named_by_where_it_begins_whatever_cells_contain(check: Any, sheet: opening.Sheet) -> None:
    text = 'account,amount,description\r\na,1,"one\r\ntwo, ""quoted"""\r\nb,x,\r\n'
    assert where(check(text)) == [(4, "amount")]
    assert [(line.number, line.description) for line in lines_of(sheet)] == [(2, 'one\ntwo, "quoted"')]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        *(
            ("amount", cell)
            for cell in (
                "0", "-1", "+1", "1e3", "1.0", "1,5", "1 000", "1'000", "1_000", "NaN", "inf", "=1+1", "٣", "²", "0x10",
                "1000000000000001", "9" * 400, "ten", "", "1\n",
            )
            if cell.strip() != "1"
        ),
        *(
            ("expires_at", cell)
            for cell in (
                "2027-01-31", "2027-01-31T00:00:00", "31.01.2027", "01/31/2027", "1800000000", "2027-02-30T00:00:00Z",
                "2027-01-31T24:00:01Z", "0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00", "2027-W05-1", "never",
                "=NOW()", "20270131T000000Z",
            )
        ),
        ("account", ""), ("account", "a b"), ("account", "ä"), ("account", "x" * 129), ("account", "=a"),
        ("priority", "high"), ("priority", "2147483648"), ("priority", "1.5"),
        ("source", "Sign Up"), ("source", "=a"), ("source_key", "=a"), ("source_key", "purchase:7"),
        ("source_key", "opening:x"), ("source_key", "x" * 256), ("features", ";"), ("features", "=a"),
        ("cost_minor", "9.99"), ("cost_minor", "-1"), ("cost_currency", "eur"), ("cost_currency", "€"),
        ("description", "=HYPERLINK(1)"), ("description", "@x"), ("description", "+1"), ("description", "-1"),
        ("description", "a\tb"), ("description", "a\0b"), ("description", "x" * 1001),
        ("account_name", "a\nb"), ("account_name", "=a"), ("account_kind", "Person"), ("overdraft_limit", "-1"),
    ],
)  # fmt: skip
def test_what_a_column_cannot_hold_is_named_with_line_and_column(check: Any, column: str, cell: str) -> None:
    row = {"account": "a", "amount": "1", "cost_minor": "1", "cost_currency": "EUR"} | {column: cell}
    quoted = ",".join('"' + value.replace('"', '""') + '"' for value in row.values())
    problems = check(f"{','.join(row)}\nb,1,,{',' * (len(row) - 4)}\n{quoted}\n")
    assert where(problems) == [(3, column)]
    assert problems[0].problem


@pytest.mark.parametrize(
    ("heading", "column", "says"),
    [
        ("amount", "account", "missing"),
        ("account", "amount", "missing"),
        ("account,amount,amount", "amount", "more than once"),
        ("account,amount,Expires At", "Expires At", "did you mean expires_at?"),
        ("account,amount,colour", "colour", "is no column"),
        ("account,amount,", "", "is no column"),
        ("account;amount", "", "commas"),
        ("account\tamount", "", "commas"),
        ("a,1", "a", "is no column"),
    ],
)
def test_a_wrong_heading_is_explained_and_no_line_is_read(
    check: Any, sheet: opening.Sheet, heading: str, column: str, says: str
) -> None:
    problems = check(f"{heading}\na,1\n")
    assert (1, column) in where(problems)
    assert any(says in problem.problem for problem in problems)
    assert sheet.lines == 0


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"", 1, "empty"),
        (b"\n\n  \n", 1, "empty"),
        (b"account,amount\n", 1, "nothing below"),
        ("account,amount\na,1\n".encode("utf-16"), 1, "UTF-8"),
        (b"account,amount\na,1\nb\xe4,2\n", 3, "UTF-8"),
        (b"account,amount\na,1,2\n", 2, "3 cells for 2 columns"),
        (b"account,amount\na\n", 2, "1 cells for 2 columns"),
        (b'account,amount\na,1\n"b,2\n', 3, "no CSV"),
        (b'account,amount\n"a"x,1\n', 2, "no CSV"),
        (b"account,amount\na," + b"1" * 200_000 + b"\n", 2, "no CSV"),
    ],
)
def test_a_file_that_is_no_such_table_is_explained(check: Any, content: bytes, line: int, says: str) -> None:
    problems = check(content)
    assert [problem.line for problem in problems] == [line]
    assert says in problems[0].problem


@pytest.mark.parametrize(
    ("columns", "cells", "column"),
    [
        ("granted_at", "2026-11-21T12:00:01Z", "granted_at"),
        ("effective_at,expires_at", "2027-01-01T00:00:00Z,2027-01-01T00:00:00Z", "effective_at"),
        ("granted_at,expires_at", "2026-02-01T00:00:00Z,2026-01-01T00:00:00Z", "granted_at"),
        ("cost_minor", "5", "cost_currency"),
        ("cost_currency", "EUR", "cost_minor"),
    ],
)
def test_values_that_contradict_each_other_are_refused(check: Any, columns: str, cells: str, column: str) -> None:
    assert where(check(f"account,amount,{columns}\na,1,{cells}\n")) == [(2, column)]


@pytest.mark.parametrize(
    ("column", "cell"), [("time_zone", "Mars/Olympus"), ("features", "image;imgae"), ("cost_currency", "XYZ")]
)
def test_names_that_nobody_knows_are_refused(check: Any, column: str, cell: str) -> None:
    known = {
        "time_zones": frozenset({"UTC"}),
        "features": frozenset({"image"}),
        "currencies": frozenset({"EUR"}),
    }
    assert where(check(f"account,amount,cost_minor,{column}\na,1,1,{cell}\n", **known)) == [(2, column)]


def test_all_problems_of_all_lines_are_found_at_once(check: Any) -> None:
    text = "account,amount,expires_at\n,0,tomorrow\na,1,\nb,x,2027-01-01\n"
    assert where(check(text)) == [
        (2, "account"),
        (2, "amount"),
        (2, "expires_at"),
        (4, "amount"),
        (4, "expires_at"),
    ]


def test_a_source_key_names_one_line_of_an_account(check: Any, sheet: opening.Sheet) -> None:
    problems = check("account,amount,source_key\na,1,k\nb,1,k\na,2,k\n")
    assert where(problems) == [(4, "source_key")]
    assert "line 2" in problems[0].problem


def test_lines_of_one_account_must_not_contradict_each_other(check: Any) -> None:
    problems = check("account,amount,account_name,overdraft_limit\na,1,Ada,\na,2,,5\na,3,Bob,5\na,4,Ada,6\n")
    assert where(problems) == [(4, "account_name"), (5, "overdraft_limit")]
    assert "line 2" in problems[0].problem


def test_more_than_an_account_can_have_is_refused(check: Any) -> None:
    lines = "\n".join(f"a,{10**15},k{n}" for n in range(1_002))
    assert where(check(f"account,amount,source_key\n{lines}\n")) == [(1_002, "amount"), (1_003, "amount")]


def test_a_line_keeps_its_key_wherever_it_stands_and_however_it_is_written(check: Any, sheet: opening.Sheet) -> None:
    check("account,amount,expires_at\na,1,2027-01-01T00:00:00Z\nb,2,\na,1,\n")
    keys = {(line.account, line.amount, line.expires_at): line.source_key for line in lines_of(sheet)}
    with opening.Sheet() as other:
        path = EXAMPLE.with_name("nothing")
        assert not path.exists()
        for number, (account, amount, expires_at) in enumerate(reversed(keys)):
            moved = expires_at and expires_at.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+05:00").tzinfo)
            other.add(opening.Line(number=number, account=account, amount=amount, expires_at=moved))
        assert {(line.account, line.amount, line.expires_at): line.source_key for line in lines_of(other)} == keys


def test_lines_that_are_alike_are_as_many_grants(check: Any, sheet: opening.Sheet) -> None:
    assert check("account,amount\na,1\na,1\na,1\nb,1\n") == []
    keys = [line.source_key for line in lines_of(sheet)]
    assert len(set(keys)) == 4
    assert [str(key).rpartition(":")[2] for key in keys] == ["1", "2", "3", "1"]


def test_a_large_file_needs_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    small = peak_of(tmp_path, lines=1_000)
    assert peak_of(tmp_path, lines=4_000) < 1.2 * small


def peak_of(folder: Path, *, lines: int) -> int:
    """The most bytes of Python objects at a time while so many lines are read and handed out."""
    path = folder / "large.csv"
    path.write_text("account,amount,description\n" + "".join(f"user-{n},{n + 1},Balance\n" for n in range(lines)))
    tracemalloc.start()
    with opening.Sheet() as sheet:
        opening.check_file(sheet, path, rules=opening.Rules(now=NOW))
        assert sum(len(chunk.lines) for chunk in sheet.chunks(size=250)) == lines
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


# ---------------------------------------------------------------- booking


@pytest.fixture
def run(fresh_app: Flask, tmp_path: Path) -> Import:
    def run(content: str | Path, *options: str) -> Result:
        path = content if isinstance(content, Path) else tmp_path / "opening.csv"
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        return fresh_app.test_cli_runner().invoke(args=["ledger", "import", str(path), *options])

    return run


@pytest.fixture
def books(fresh_database: TestServers) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(fresh_database.superuser_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
def catalog(fresh_app: Flask) -> None:
    """The shipped one, with its features."""
    assert fresh_app.test_cli_runner().invoke(args=["seed", "catalog"]).exit_code == 0


def rows(books: psycopg.Connection[dict[str, Any]], query: str) -> list[dict[str, Any]]:
    return books.execute(query).fetchall()  # type: ignore[arg-type]


def assert_proven(servers: TestServers) -> None:
    engine = create_engine(sqlalchemy_url(servers.owner_url))
    with engine.connect() as connection:
        assert verify(connection).findings == []
    engine.dispose()


def report_of(result: Result) -> Mapping[str, Any]:
    report: dict[str, Any] = json.loads(result.stdout)
    return report


GRANTS = (
    "SELECT a.external_id AS account, g.amount, g.remaining, g.source, g.source_key, g.expires_at, g.effective_at,"
    " g.priority, g.features, g.cost_minor, g.cost_currency, g.description, e.occurred_at, e.actor, e.metadata, e.kind"
    " FROM ledger.grants_v g JOIN ledger.accounts_v a USING (account_id)"
    " JOIN ledger.entries_v e ON e.account_id = g.account_id AND e.seq = g.grant_id ORDER BY 1, g.grant_id"
)


def test_without_write_everything_is_checked_and_nothing_is_written(run: Import, books: Any, catalog: None) -> None:
    result = run(EXAMPLE)
    assert result.exit_code == 0, result.output
    assert "grants:   4 to make, 0 there already" in result.output
    assert "Nothing was written. Run it again with --write" in result.output
    assert rows(books, "SELECT FROM ledger.account_ids") == []


def test_the_example_of_the_guide_is_booked_as_it_stands(
    run: Import, books: Any, fresh_database: TestServers, catalog: None
) -> None:
    result = run(EXAMPLE, "--write")
    assert result.exit_code == 0, result.output
    assert result.output == (
        "opening-balances.csv: 4 lines\n"
        "accounts: 3 opened, 0 there already\n"
        "grants:   4 made, 0 there already\n"
        "credits:  25,670 made, 0 there already\n"
        "paid:     900 EUR in its smallest unit\n"
        "paid:     39,900 USD in its smallest unit\n"
        "trial balance: 0\n"
    )
    company, *of_ada, _later = rows(books, GRANTS)
    assert (company["account"], company["amount"], company["kind"]) == ("acme-inc", 25_000, "purchase")
    assert company["description"] == "Annual contract,\npaid in advance"
    assert company["occurred_at"] == company["effective_at"] == datetime(2026, 1, 15, 5, tzinfo=UTC)
    assert [(grant["source_key"], grant["cost_minor"]) for grant in of_ada] == [
        ("invoice-1041", 900),
        (of_ada[1]["source_key"], 0),
    ]
    assert of_ada[1]["source_key"].startswith("opening:")
    assert (of_ada[1]["features"], of_ada[1]["priority"]) == (["export", "image"], -10)
    assert {grant["actor"] for grant in of_ada} == {"import"}
    assert of_ada[0]["metadata"] == {"file": "opening-balances.csv", "line": 2}
    accounts = rows(books, "SELECT name, kind, time_zone, overdraft_limit FROM ledger.accounts_v ORDER BY external_id")
    assert [tuple(account.values()) for account in accounts] == [
        ("Acme Inc.", "organization", "America/New_York", 5_000),
        ("Ada Lovelace", "person", "Europe/London", 0),
        (None, "person", "UTC", 0),
    ]
    assert_proven(fresh_database)


def test_a_file_with_one_wrong_line_writes_nothing_at_all(run: Import, books: Any) -> None:
    result = run("account,amount\na,1\nb,1.0\nc,1\n", "--write")
    assert result.exit_code == 1
    assert "line 3, amount: “1.0”: write the credits as a whole number" in result.output
    assert result.output.endswith("opening.csv: 1 problems; nothing was written.\n")
    assert rows(books, "SELECT FROM ledger.account_ids") == []


def test_at_most_a_hundred_problems_are_shown_and_the_rest_is_counted(run: Import) -> None:
    text = "account,amount\n" + "a,0\n" * 250
    shown = run(text).output.splitlines()
    assert len(shown) == 102
    assert shown[-2:] == ["… and 150 more", "opening.csv: 250 problems; nothing was written."]
    report = report_of(run(text, "--json"))
    assert (report["right"], report["problem_count"], len(report["problems"])) == (False, 250, 100)


def test_importing_twice_books_each_grant_once(run: Import, books: Any, fresh_database: TestServers) -> None:
    text = "account,amount,source_key\na,5,\na,5,\nb,7,k\n"
    assert run(text, "--write").exit_code == 0
    report = report_of(run(text, "--write", "--json"))
    assert report["right"] is True
    assert report["tally"] == {
        "lines": 3,
        "accounts_opened": 0,
        "accounts_known": 2,
        "grants_made": 0,
        "grants_known": 3,
        "credits_made": 0,
        "credits_known": 17,
        "cost_minor": {},
    }
    balances = rows(books, "SELECT external_id, balance, seq FROM ledger.accounts_v ORDER BY 1")
    assert [tuple(row.values()) for row in balances] == [("a", 10, 2), ("b", 7, 1)]
    assert_proven(fresh_database)


def test_a_line_that_was_added_later_is_booked_alone(run: Import, books: Any) -> None:
    run("account,amount\na,5\nb,6\n", "--write")
    result = run("account,amount\nb,6\nc,8\na,5\na,5\n", "--write")
    assert "accounts: 1 opened, 2 there already\ngrants:   2 made, 2 there already\n" in result.output
    assert "credits:  13 made, 11 there already" in result.output


def test_what_a_kill_left_undone_is_done_by_the_next_run(
    run: Import, books: Any, fresh_database: TestServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks of two lines; the third chunk finds its connection dead. An account's lines lie in two chunks."""
    monkeypatch.setattr(ledger_import, "CHUNK", 2)
    text = "account,amount\n" + "".join(f"{name},{n}\n" for n, name in enumerate("aaabbcc", 1))
    book, chunks = opening.book, []

    def die_in_the_third(session: Any, **given: Any) -> opening.Tally:
        chunks.append(given)
        if len(chunks) == 3:
            books.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'tallystick_app' AND datname = current_database()"
            )
        return book(session, **given)

    monkeypatch.setattr(opening, "book", die_in_the_third)
    assert run(text, "--write").exit_code == 1
    assert len(rows(books, GRANTS)) == 4
    monkeypatch.undo()
    monkeypatch.setattr(ledger_import, "CHUNK", 2)
    assert "accounts: 1 opened, 2 there already\ngrants:   3 made, 4 there already" in run(text, "--write").output
    assert [grant["amount"] for grant in rows(books, GRANTS)] == [1, 2, 3, 4, 5, 6, 7]
    assert_proven(fresh_database)


def test_an_account_with_another_history_is_refused_unless_that_is_allowed(
    run: Import, books: Any, fresh_app: Flask
) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        account, _ = ledger.open_account(session, external_id="old", name="Old")
        ledger.grant(session, account_id=account.account_id, amount=3, source="admin", actor="me")
    text = "account,amount,account_name\nold,5,New\nnew,5,\n"
    result = run(text, "--write")
    assert (result.exit_code, len(rows(books, GRANTS))) == (1, 1)
    assert "line 2, account: has a history" in result.output
    assert run(text, "--write", "--allow-history").exit_code == 0
    assert [(row["account"], row["amount"]) for row in rows(books, GRANTS)] == [("new", 5), ("old", 3), ("old", 5)]
    assert rows(books, "SELECT name FROM ledger.accounts_v WHERE external_id = 'old'") == [{"name": "Old"}]


def test_spending_after_the_import_is_no_obstacle_to_repeating_it(run: Import, books: Any, fresh_app: Flask) -> None:
    run("account,amount\na,5\n", "--write")
    with fresh_app.app_context(), unit_of_work() as session:
        account = ledger.find_account(session, external_id="a")
        ledger.spend(session, account_id=account.account_id, amount=5, idempotency_key="k", actor="me")
    assert "grants:   1 made, 1 there already" in run("account,amount\na,5\na,6\n", "--write").output
    assert rows(books, "SELECT balance FROM ledger.accounts_v") == [{"balance": 6}]


def test_a_key_that_names_another_grant_in_the_ledger_is_found_before_the_first_write(run: Import, books: Any) -> None:
    run("account,amount,source_key\na,5,k\n", "--write")
    result = run("account,amount,source_key\n0,1,\na,6,k\n", "--write")
    assert result.exit_code == 1
    assert "line 3, source_key: names a grant of other content" in result.output
    assert len(rows(books, GRANTS)) == 1


def test_what_had_expired_is_booked_and_gone(run: Import, books: Any, fresh_database: TestServers) -> None:
    """For the sake of the history; the balance never has it."""
    text = "account,amount,granted_at,expires_at\na,5,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z\na,6,,\n"
    assert run(text, "--write").exit_code == 0
    entries = rows(books, "SELECT kind, amount, occurred_at FROM ledger.entries_v ORDER BY seq")
    assert [(entry["kind"], entry["amount"]) for entry in entries] == [("grant", 5), ("expire", -5), ("grant", 6)]
    assert [entry["occurred_at"] for entry in entries[:2]] == [
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
    ]
    assert rows(books, "SELECT balance FROM ledger.accounts_v") == [{"balance": 6}]
    assert_proven(fresh_database)


def test_a_refusal_in_the_middle_names_its_line_and_keeps_the_chunks_before(
    run: Import, books: Any, fresh_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody takes the key of a line between the check and the writing."""
    monkeypatch.setattr(ledger_import, "CHUNK", 1)
    book, seen = opening.book, []

    def book_after_somebody_else(session: Any, **given: Any) -> opening.Tally:
        seen.append(given)
        if len(seen) == 2:
            account, _ = ledger.open_account(session, external_id="b")
            ledger.grant(session, account_id=account.account_id, amount=1, source="api", actor="other", source_key="k")
        return book(session, **given)

    monkeypatch.setattr(opening, "book", book_after_somebody_else)
    result = run("account,amount,source_key\na,5,\nb,6,k\nc,7,\n", "--write")
    assert result.exit_code == 1
    assert "line 3, source_key" in result.output
    assert "what came before it was" in result.output
    assert [grant["account"] for grant in rows(books, GRANTS)] == ["a"]


def test_two_imports_at_once_share_the_work_and_book_nothing_twice(fresh_database: TestServers, books: Any) -> None:
    engine = create_engine(sqlalchemy_url(fresh_database.database_url))
    gate = Barrier(3)

    def import_all(_: int) -> opening.Tally:
        tally = opening.Tally()
        with opening.Sheet() as sheet:
            for number in range(200):
                sheet.add(opening.Line(number=number, account=f"user-{number % 70}", amount=1 + number))
            gate.wait(timeout=30)
            for chunk in sheet.chunks(size=20):
                with Session(engine) as session, session.begin():
                    tally.add(opening.book(session, chunk, file="opening.csv"))
        return tally

    with ThreadPoolExecutor(3) as pool:
        tallies = list(pool.map(import_all, range(3)))
    engine.dispose()
    assert sum(tally.accounts_opened for tally in tallies) == 70
    assert sum(tally.grants_made for tally in tallies) == 200
    assert [tally.lines for tally in tallies] == [200] * 3
    assert sorted(grant["amount"] for grant in rows(books, GRANTS)) == list(range(1, 201))
    assert_proven(fresh_database)


def test_a_file_that_is_not_there_is_a_usage_error(run: Import, tmp_path: Path) -> None:
    assert run(tmp_path / "nothing.csv").exit_code == 2
    assert run(tmp_path).exit_code == 2


def test_grants_start_and_end_when_the_file_says(run: Import, fresh_app: Flask) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        now = ledger.now(session)
    hour = timedelta(hours=1)
    text = f"account,amount,effective_at,expires_at\na,5,{(now + hour).isoformat()},\na,7,,{(now + hour).isoformat()}\n"
    assert run(text, "--write").exit_code == 0
    with fresh_app.app_context(), unit_of_work() as session:
        account_id = ledger.find_account(session, external_id="a").account_id
        assert ledger.spendable(session, account_id=account_id) == 7
        ledger.advance_clock(session, by=2 * hour)
        assert ledger.spendable(session, account_id=account_id) == 5
