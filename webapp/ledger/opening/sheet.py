"""The file once it has been read: its lines and what is wrong with them, kept on disk and not in memory."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from webapp.ledger.opening.line import Line

MOST_BALANCE = 10**18

_TABLES = """
CREATE TABLE lines (account TEXT, number INTEGER, source_key TEXT, line TEXT, PRIMARY KEY (account, number))
    WITHOUT ROWID;
CREATE UNIQUE INDEX lines_key ON lines (account, source_key);
CREATE TABLE repeated (content BLOB PRIMARY KEY, times INTEGER) WITHOUT ROWID;
CREATE TABLE accounts (account TEXT PRIMARY KEY, credits INTEGER) WITHOUT ROWID;
CREATE TABLE told (account TEXT, attribute TEXT, value, number INTEGER, PRIMARY KEY (account, attribute))
    WITHOUT ROWID;
CREATE TABLE problems (number INTEGER, column_name TEXT, problem TEXT);
"""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong in which column of which line, and what to do; line 1 is the heading."""

    line: int
    column: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some lines of the sheet; `accounts` are those of which no earlier chunk had a line."""

    lines: list[Line]
    accounts: list[str]


class Sheet:
    """The checked lines, sorted by account. A temporary file of SQLite's, gone when it is closed."""

    def __init__(self) -> None:
        self._disk = sqlite3.connect("", isolation_level=None)
        self._disk.execute("PRAGMA synchronous = OFF")
        self._disk.execute("PRAGMA journal_mode = OFF")
        self._disk.executescript(_TABLES)
        self.lines = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._disk.close()

    def add(self, line: Line) -> None:
        """Keep the line, or note why it cannot stand beside those before it.

        A line without a source_key gets one made of its content, and of how many like it came before: the same in
        every run, wherever the line is moved to.
        """
        if line.source_key is None:
            content = line.content()
            line = replace(line, source_key=f"opening:{content.hex()[:32]}:{self._times_seen(content)}")
        earlier = self._one(
            "SELECT number FROM lines WHERE account = ? AND source_key = ?", line.account, line.source_key
        )
        if earlier is not None:
            self.note(line.number, "source_key", f"names the grant of line {earlier} already; give each its own")
            return
        self._disk.execute(
            "INSERT INTO lines VALUES (?, ?, ?, ?)", (line.account, line.number, line.source_key, line.as_json())
        )
        self.lines += 1
        self._add_to_account(line)

    def note(self, number: int, column: str, problem: str) -> None:
        self._disk.execute("INSERT INTO problems VALUES (?, ?, ?)", (number, column, problem))

    @property
    def problem_count(self) -> int:
        return int(self._one("SELECT count(*) FROM problems"))

    def problems(self, *, most: int) -> list[Problem]:
        """The first of them, in the order of the file."""
        rows = self._disk.execute("SELECT * FROM problems ORDER BY number, rowid LIMIT ?", [most])
        return [Problem(line=number, column=column, problem=problem) for number, column, problem in rows]

    def chunks(self, *, size: int) -> Iterator[Chunk]:
        """All lines, sorted by account and line, `size` at a time; each knows all that was told of its account."""
        after: tuple[str, int] = ("", 0)
        while True:
            rows = self._disk.execute(
                "SELECT line, source_key FROM lines WHERE (account, number) > (?, ?) ORDER BY account, number LIMIT ?",
                (*after, size),
            ).fetchall()
            if not rows:
                return
            lines = [replace(Line.of_json(text), source_key=source_key) for text, source_key in rows]
            accounts = dict.fromkeys(line.account for line in lines)
            accounts.pop(after[0], None)
            after = (lines[-1].account, lines[-1].number)
            yield Chunk(lines=[replace(line, **self._told_of(line.account)) for line in lines], accounts=list(accounts))

    def _times_seen(self, content: bytes) -> int:
        self._disk.execute(
            "INSERT INTO repeated VALUES (?, 1) ON CONFLICT (content) DO UPDATE SET times = times + 1", [content]
        )
        return int(self._one("SELECT times FROM repeated WHERE content = ?", content))

    def _add_to_account(self, line: Line) -> None:
        credits = int(self._one("SELECT credits FROM accounts WHERE account = ?", line.account) or 0) + line.amount
        if credits > MOST_BALANCE:
            self.note(line.number, "amount", "takes the account above 10^18 credits")
            return
        self._disk.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?)", (line.account, credits))
        for attribute in ("account_name", "account_kind", "time_zone", "overdraft_limit"):
            value = getattr(line, attribute)
            if value is not None:
                self._tell(line, attribute, value)

    def _tell(self, line: Line, attribute: str, value: Any) -> None:
        """Remember what the line says of its account, or note that an earlier line says otherwise."""
        told = self._disk.execute(
            "SELECT value, number FROM told WHERE account = ? AND attribute = ?", (line.account, attribute)
        ).fetchone()
        if told is None:
            self._disk.execute("INSERT INTO told VALUES (?, ?, ?, ?)", (line.account, attribute, value, line.number))
        elif told[0] != value:
            self.note(line.number, attribute, f"line {told[1]} says otherwise of this account; write it once")

    def _told_of(self, account: str) -> dict[str, Any]:
        return dict(self._disk.execute("SELECT attribute, value FROM told WHERE account = ?", [account]).fetchall())

    def _one(self, query: str, *given: Any) -> Any:
        row = self._disk.execute(query, given).fetchone()
        return None if row is None else row[0]
