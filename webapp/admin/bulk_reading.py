"""From a file to lines: each is read by itself, and all that is wrong with it is named. Nothing is written here."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import IO, Any

from webapp.people.email_address import email_key

MOST_BYTES = 16 * 1024 * 1024
MOST_LINES = 100_000
MOST_CREDITS = 10**12
MOST_DAYS = 36_500
MOST_TEXT = 200

# What people call the columns; blanks, hyphens and capitals make no difference.
NAMES: Mapping[str, str] = {
    "account": "account", "externalid": "account", "customer": "account", "user": "account", "customerid": "account",
    "email": "account", "mail": "account", "emailaddress": "account",
    "accountid": "number", "id": "number",
    "credits": "credits", "credit": "credits", "amount": "credits",
    "days": "days", "expireafterdays": "days", "expirydays": "days", "validdays": "days",
    "text": "text", "description": "text", "note": "text", "message": "text",
}  # fmt: skip

_ACCOUNT = re.compile(r"[A-Za-z0-9._:@+-]{1,128}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)

Problem = tuple[str, str, dict[str, Any]]


class BadFile(Exception):
    """The file cannot be read at all; `code` and `given` say why. Nothing was written."""

    def __init__(self, code: str, **given: Any) -> None:
        self.code = code
        self.given = given
        super().__init__(code)


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What counts where the file says nothing."""

    credits: int | None = None
    days: int | None = None
    text: str = ""


@dataclass(kw_only=True)
class ReadLine:
    """One line as it was read. An account is named by `external_id`, `email_key` or `number` (ours), or several."""

    line: int
    given: str = ""
    external_id: str | None = None
    email_key: str | None = None
    number: int | None = None
    credits: int | None = None
    days: int | None = None
    text: str = ""
    problems: list[Problem] = field(default_factory=list)

    def note(self, column: str, code: str, **given: Any) -> None:
        self.problems.append((column, code, given))


@dataclass(kw_only=True)
class BulkFile:
    """The columns that were understood, those that were not, and the lines, which are read while they are asked for."""

    columns: list[str]
    ignored: list[str]
    lines: Iterator[ReadLine]


def read_file(stream: IO[bytes], *, defaults: Defaults) -> BulkFile:
    """CSV in UTF-8, with or without a byte order mark, with commas, semicolons or tabs between cells.

    Raises BadFile, also later, while the lines are read.
    """
    # What is no UTF-8 becomes half characters here, which are noticed: so the line is named.
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    head = text.readline(MOST_TEXT * 100)
    if head.lower().startswith("sep="):  # a line by which some spreadsheets name what stands between cells
        head = text.readline(MOST_TEXT * 100)
    rows = _rows(chain([head], text), delimiter=max(",;\t", key=head.count))
    heading = next((cells for _line, cells in rows), None)
    if heading is None:
        raise BadFile("empty")
    columns, ignored = _read_heading(heading, defaults)
    return BulkFile(columns=columns, ignored=ignored, lines=_lines(rows, columns, defaults))


def _rows(source: Iterator[str], *, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of what is not blank; lines are counted as an editor does."""
    rows = csv.reader(source, delimiter=delimiter, strict=True)
    begins = 1
    try:
        for cells in rows:
            line, begins = begins, rows.line_num + 1
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
    except csv.Error:
        raise BadFile("no_csv", line=begins) from None


def _read_heading(cells: list[str], defaults: Defaults) -> tuple[list[str], list[str]]:
    if not all(_is_text(cell) for cell in cells):
        raise BadFile("no_utf8")
    columns = [NAMES.get(re.sub(r"[\s_-]", "", cell.casefold()), "") for cell in cells]
    for name in dict.fromkeys(columns):
        if name and columns.count(name) > 1:
            raise BadFile("twice", name=next(cell for cell, of in zip(cells, columns, strict=True) if of == name))
    if not {"account", "number"} & set(columns):
        raise BadFile("no_account")
    if "credits" not in columns and defaults.credits is None:
        raise BadFile("no_credits")
    return columns, [cell[:80] for cell, name in zip(cells, columns, strict=True) if not name and cell][:20]


def _lines(rows: Iterator[tuple[int, list[str]]], columns: list[str], defaults: Defaults) -> Iterator[ReadLine]:
    read = 0
    for line, cells in rows:
        read += 1
        if read > MOST_LINES:
            raise BadFile("too_many")
        yield _read_line(line, cells, columns, defaults)
    if read == 0:
        raise BadFile("no_lines")


def _read_line(line: int, cells: list[str], columns: list[str], defaults: Defaults) -> ReadLine:
    one = ReadLine(line=line, credits=defaults.credits, days=defaults.days, text=defaults.text)
    if len(cells) != len(columns):
        one.note("", "cells", found=len(cells), wanted=len(columns))
    values = {name: cell for name, cell in zip(columns, cells, strict=False) if name}
    if not all(_is_text(cell) for cell in values.values()):
        one.note("", "no_utf8")
        values = {name: cell for name, cell in values.items() if _is_text(cell)}
    _read_account(one, values.get("account", ""), values.get("number", ""))
    if values.get("credits"):
        one.credits = _whole(one, "credits", values["credits"], MOST_CREDITS)
    elif one.credits is None:
        one.note("credits", "missing")
    if values.get("days"):
        one.days = _whole(one, "days", values["days"], MOST_DAYS)
    if values.get("text"):
        _read_text(one, values["text"])
    return one


def _read_account(one: ReadLine, given: str, number: str) -> None:
    """A number of ours stands in a column of its own, or after a #: a product may well have numbers of its own."""
    if number.startswith("#"):
        number = number[1:]
    if given.startswith("#") and not number:
        given, number = "", given[1:]
    one.given = _short(given or (f"#{number}" if number else ""))
    if number:
        if not _NUMBER.fullmatch(number) or int(number) >= 2**63:
            one.note("account", "bad")
        else:
            one.number = int(number)
    if given:
        if not _ACCOUNT.fullmatch(given) and "@" not in given:
            one.note("account", "bad")
        if _ACCOUNT.fullmatch(given):
            one.external_id = given
        if "@" in given:
            one.email_key = email_key(given[:300])
    if not given and not number:
        one.note("account", "missing")


def _whole(one: ReadLine, column: str, cell: str, most: int) -> int | None:
    """Digits and nothing else: what a spreadsheet makes of large numbers is refused, not guessed at."""
    if _DIGITS.fullmatch(cell) and 1 <= int(cell) <= most:
        return int(cell)
    one.note(column, "number", given=_short(cell, 40), most=most)
    return None


def _read_text(one: ReadLine, cell: str) -> None:
    if len(cell) > MOST_TEXT:
        one.note("text", "long", most=MOST_TEXT)
    elif not cell.isprintable():
        one.note("text", "control")
    else:
        one.text = cell


def _is_text(cell: str) -> bool:
    return "\0" not in cell and (cell.isascii() or not any("\ud800" <= one <= "\udfff" for one in cell))


def _short(cell: str, most: int = 200) -> str:
    return cell if len(cell) <= most else cell[: most - 1] + "…"
