"""From the file to the sheet: every line is read and checked by itself before anything is written anywhere."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from webapp.ledger.opening.columns import COLUMNS, REQUIRED, Unreadable
from webapp.ledger.opening.line import Line
from webapp.ledger.opening.sheet import Sheet


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the surroundings know; None where they know nothing and everything is allowed."""

    now: datetime
    time_zones: frozenset[str] | None = None
    features: frozenset[str] | None = None
    currencies: frozenset[str] | None = None


def check_file(sheet: Sheet, path: Path, *, rules: Rules) -> None:
    """The file's lines are in `sheet`, and so is each problem with them. Writes nothing else.

    CSV as RFC 4180 has it, in UTF-8, with or without a byte order mark; any line ends; commas between cells.
    """
    # What is no UTF-8 becomes half characters here, which no column takes: so the line is named.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, strict=True)
        columns: list[str] | None = None
        begins = 1
        try:
            for cells in rows:
                number, begins = begins, rows.line_num + 1
                if not any(cell.strip() for cell in cells):
                    continue
                if columns is None:
                    columns = _read_heading(sheet, number, cells)
                    if not columns:
                        return
                else:
                    _check_line(sheet, number, columns, cells, rules)
        except csv.Error as error:
            sheet.note(begins, "", f"is no CSV ({error}); what follows it was not read")
    if columns is None:
        sheet.note(1, "", "the file is empty; its first line must name the columns")
    elif sheet.lines == 0 and sheet.problem_count == 0:
        sheet.note(1, "", "there is nothing below the heading")


def _read_heading(sheet: Sheet, number: int, cells: list[str]) -> list[str]:
    """The names of the columns; empty when they are not what they must be, which is noted."""
    names = [cell.strip() for cell in cells]
    wrong = list(_problems_of_heading(names))
    for column, problem in wrong:
        sheet.note(number, column, problem)
    return [] if wrong else names


def _problems_of_heading(names: list[str]) -> Iterator[tuple[str, str]]:
    text = "".join(names)
    if "\0" in text or not _is_unicode(text):
        yield "", "the file is not UTF-8; save it as “CSV UTF-8”"
        return
    if len(names) == 1 and (";" in text or "\t" in text):
        yield "", "put commas between the columns, not semicolons or tabs"
        return
    for name in dict.fromkeys(names):
        if name not in COLUMNS:
            close = get_close_matches(name.lower(), COLUMNS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the columns are {', '.join(COLUMNS)}"
            yield name, f"is no column; {hint}"
        elif names.count(name) > 1:
            yield name, "stands in the heading more than once"
    for name in REQUIRED:
        if name not in names:
            yield name, "is missing in the heading"


def _check_line(sheet: Sheet, number: int, columns: list[str], cells: list[str], rules: Rules) -> None:
    """Keep the line in the sheet, or note all that is wrong with it."""
    if len(cells) != len(columns):
        sheet.note(number, "", f"has {len(cells)} cells for {len(columns)} columns; quote cells that contain commas")
        return
    values: dict[str, Any] = {}
    wrong: list[tuple[str, str]] = []
    for column, cell in zip(columns, (cell.strip() for cell in cells), strict=True):
        try:
            if cell:
                values[column] = _read(column, cell, rules)
            elif column in REQUIRED:
                wrong.append((column, "is empty"))
        except Unreadable as error:
            wrong.append((column, f"{_shown(cell)}: {error}"))
    if not wrong:
        line = Line(number=number, **values)
        wrong.extend(line.contradictions(now=rules.now))
    for column, problem in wrong:
        sheet.note(number, column, problem)
    if not wrong:
        sheet.add(line)


def _read(column: str, cell: str, rules: Rules) -> Any:
    if not _is_unicode(cell):
        raise Unreadable("is not UTF-8; save the file as “CSV UTF-8”")
    value = COLUMNS[column](cell)
    if column == "time_zone" and rules.time_zones is not None and value not in rules.time_zones:
        raise Unreadable("write an IANA time zone, such as Europe/Berlin")
    if column == "cost_currency" and rules.currencies is not None and value not in rules.currencies:
        raise Unreadable("there is no such currency")
    if column == "features" and rules.features is not None:
        unknown = [name for name in value if name not in rules.features]
        if unknown:
            raise Unreadable(f"the catalog has no feature {', '.join(unknown)}")
    return value


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _shown(cell: str) -> str:
    """The cell as a terminal can show it."""
    short = cell if len(cell) <= 40 else cell[:39] + "…"
    return ascii(short) if not short.isprintable() else f"“{short}”"
