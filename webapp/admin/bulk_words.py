"""What is wrong with a file, or with a line of it, in the reader's language."""

from collections.abc import Callable, Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from webapp.admin.bulk_reading import MOST_LINES, BadFile
from webapp.admin.bulk_tables import BulkLine
from webapp.i18n.formats import credits_number

_COLUMNS = "account, credits, days, text"


def say_bad_file(bad: BadFile) -> str:
    """Why the file cannot be read at all, and what to do."""
    given = bad.given
    said: Mapping[str, Callable[[], object]] = {
        "empty": lambda: _("The file is empty. Its first line must name the columns: %(columns)s.", columns=_COLUMNS),
        "no_lines": lambda: _("There is nothing below the names of the columns."),
        "no_utf8": lambda: _("The file is not UTF-8. Save it as “CSV UTF-8”."),
        "no_csv": lambda: _("The file is no CSV from line %(line)s on. Nothing was kept.", line=_n(given["line"])),
        "twice": lambda: _("Two columns mean the same: %(name)s.", name=given["name"]),
        "no_account": lambda: _(
            "No column names the accounts. The first line must name the columns: %(columns)s.", columns=_COLUMNS
        ),
        "no_credits": lambda: _("No column says how many credits. Add a column “credits”, or fill in the field below."),
        "too_many": lambda: _("The file has more than %(number)s lines. Divide it.", number=_n(MOST_LINES)),
    }
    return str(said[bad.code]())


def say_problems(line: BulkLine) -> list[str]:
    """All that keeps this line from being done."""
    return [say_problem(column, code, given) for column, code, given in line.problems]


def say_problem(column: str, code: str, given: Mapping[str, Any]) -> str:
    """One thing that is wrong, with the column that it is about."""
    said: Mapping[tuple[str, str], Callable[[], object]] = {
        ("", "cells"): lambda: _(
            "%(found)s cells stand in this line, for %(wanted)s columns.",
            found=_n(given["found"]),
            wanted=_n(given["wanted"]),
        ),
        ("", "no_utf8"): lambda: _("This line is not UTF-8. Save the file as “CSV UTF-8”."),
        ("account", "missing"): lambda: _("account: the cell is empty."),
        ("account", "bad"): lambda: _("account: no account can be called this."),
        ("account", "unknown"): lambda: _("account: there is no such account. A number of ours begins with #."),
        ("account", "ambiguous"): lambda: _("account: this names two different accounts."),
        ("account", "twin"): lambda: _(
            "account: line %(line)s is about the same account already.", line=_n(given["line"])
        ),
        ("credits", "missing"): lambda: _("credits: the cell is empty."),
        ("credits", "number"): lambda: _whole_number("credits", given),
        ("days", "number"): lambda: _whole_number("days", given),
        ("credits", "short"): lambda: _short(given["available"]),
        ("text", "long"): lambda: _("text: at most %(number)s characters.", number=_n(given["most"])),
        ("text", "control"): lambda: _("text: there are line breaks or invisible characters in it."),
    }
    return str(said[column, code]())


def say_refusal(refusal: Mapping[str, Any]) -> str:
    """Why the ledger did not take the line when it was booked."""
    if refusal.get("code") == "insufficient_credits":
        return _short(refusal["available"])
    return str(_("The ledger refuses it: %(detail)s", detail=refusal.get("detail", "")))


def _short(available: int) -> str:
    said: str = ngettext(
        "credits: only %(number)s is there.", "credits: only %(number)s are there.", available, number=_n(available)
    )
    return said


def _whole_number(column: str, given: Mapping[str, Any]) -> str:
    said: str = _(
        "%(column)s: “%(given)s” is not a whole number from 1 to %(most)s in plain digits.",
        column=column,
        given=given["given"],
        most=_n(given["most"]),
    )
    return said


def _n(number: int) -> str:
    return credits_number(number)
