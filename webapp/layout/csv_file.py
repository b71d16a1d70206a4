"""Files to be saved, sent while they are made; CSV that a spreadsheet can open without running it."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

from flask import Response, stream_with_context

# A spreadsheet takes a cell that starts with one of these for a formula, and runs it.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# Where commas stand in numbers, spreadsheets part cells at semicolons, and see no quote in the middle of a cell: the
# rest of a text may begin a cell there. A ;-) begins no formula.
_FORMULA_WITHIN = re.compile(r"""(?<=[;\t\r\n])(?="*(?:[=@＝＠]|[+\-＋－](?!\))))""")


def stream(lines: Iterator[str], *, mimetype: str, name: str) -> Response:
    """The lines as a file to be saved, sent while they are made."""
    response = Response(stream_with_context(_joined(lines)), mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.cache_control.no_store = True
    return response


def _joined(lines: Iterable[str], size: int = 16_384) -> Iterator[str]:
    """The lines in pieces of some size: a piece a line would be a system call a line."""
    waiting: list[str] = []
    length = 0
    for line in lines:
        waiting.append(line)
        length += len(line)
        if length > size:
            yield "".join(waiting)
            waiting, length = [], 0
    yield "".join(waiting)


def csv_line(cells: Iterable[str | int | Decimal | None]) -> str:
    """One line of RFC 4180, safe to open in a spreadsheet."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([safe_cell(cell) for cell in cells])
    return buffer.getvalue()


def safe_cell(cell: str | int | Decimal | None) -> str | int | Decimal:
    """Numbers as they are; text that a spreadsheet would run gets an apostrophe in front, wherever it may begin."""
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return cell
    cell = _FORMULA_WITHIN.sub("'", cell)
    return "'" + cell if cell.startswith(_FORMULA_STARTS) else cell
