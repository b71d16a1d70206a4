"""`flask ledger import`: opening balances from a CSV file."""

import json
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
from babel.numbers import list_currencies
from flask.cli import with_appcontext
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.catalog.rate_card import Feature
from webapp.database import retried, unit_of_work
from webapp.ledger import opening

CHUNK = 1_000
MOST_SHOWN = 100


@dataclass(kw_only=True)
class Report:
    """What the file is, what was or would be done with it, and what is wrong with it."""

    file: str
    written: bool
    problem_count: int
    problems: list[opening.Problem]
    tally: opening.Tally = field(default_factory=opening.Tally)
    trial_balance: int = 0

    @property
    def right(self) -> bool:
        return self.problem_count == 0 and self.trial_balance == 0


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--write", is_flag=True, help="Book it. Without this everything is checked and nothing is written.")
@click.option("--allow-history", is_flag=True, help="Add to accounts that have entries of other origin already.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.option("--progress/--no-progress", default=True, help="Show a bar while a terminal watches.")
@with_appcontext
def import_command(file: Path, write: bool, allow_history: bool, as_json: bool, progress: bool) -> None:
    """Bring opening balances from FILE, a CSV with a line for each grant.

    All lines are checked before the first is written, and every problem is named with its line and column. Without
    --write that is all. Repeat it as often as you like, after a kill too: each grant is booked once. Exits with 1
    when something is wrong.
    """
    bars = Bars(shown=progress)
    with opening.Sheet() as sheet:
        report = _check(sheet, file, bars, allow_history=allow_history)
        if write and report.right:
            report = _book(sheet, file, bars)
    click.echo(_as_json(report) if as_json else _as_text(report))
    raise SystemExit(0 if report.right else 1)


@dataclass(frozen=True)
class Bars:
    """Progress on standard error, where a person watches it."""

    shown: bool

    def over(self, chunks: Iterable[opening.Chunk], label: str, *, lines: int) -> AbstractContextManager[Any]:
        hidden = not self.shown or not sys.stderr.isatty()
        return click.progressbar(chunks, label=label, length=-(-lines // CHUNK), file=sys.stderr, hidden=hidden)


def _check(sheet: opening.Sheet, file: Path, bars: Bars, *, allow_history: bool) -> Report:
    """Everything that is wrong with the file, by itself and beside what the ledger has; else what would be done."""
    with unit_of_work() as session:
        rules = _rules(session)
    opening.check_file(sheet, file, rules=rules)
    tally = opening.Tally()
    with bars.over(sheet.chunks(size=CHUNK), "Checking", lines=sheet.lines) as chunks:
        for chunk in chunks:
            with unit_of_work() as session:
                tally.add(opening.compare(session, sheet, chunk, allow_history=allow_history))
    problems = sheet.problems(most=MOST_SHOWN)
    return Report(file=file.name, written=False, problem_count=sheet.problem_count, problems=problems, tally=tally)


def _book(sheet: opening.Sheet, file: Path, bars: Bars) -> Report:
    """Book chunk after chunk, each its own unit of work: what a kill leaves undone, the next run does."""
    report = Report(file=file.name, written=True, problem_count=0, problems=[])
    with bars.over(sheet.chunks(size=CHUNK), "Booking", lines=sheet.lines) as chunks:
        for chunk in chunks:
            try:
                report.tally.add(retried(partial(opening.book, chunk=chunk, file=file.name)))
            except ledger.LedgerRefusal as refusal:
                report.problem_count = 1
                report.problems = [_came_in_the_way(refusal)]
                return report
    with unit_of_work() as session:
        report.trial_balance = opening.trial_balance(session)
    return report


def _rules(session: Session) -> opening.Rules:
    zones = session.execute(text("SELECT name FROM pg_timezone_names")).scalars()
    return opening.Rules(
        now=ledger.now(session),
        time_zones=frozenset(zones),
        features=frozenset(session.scalars(select(Feature.key))),
        currencies=frozenset(list_currencies()),
    )


def _came_in_the_way(refusal: ledger.LedgerRefusal) -> opening.Problem:
    what = f"{refusal}; its chunk was not written, what came before it was. Mend it and run this again"
    column = "source_key" if "source_key" in refusal.data else refusal.data.get("field", "")
    return opening.Problem(line=refusal.data.get("line", 0), column=column, problem=what)


def _as_json(report: Report) -> str:
    return json.dumps({"right": report.right, **asdict(report)})


def _as_text(report: Report) -> str:
    if report.problem_count:
        return "\n".join(_lines_of_problems(report))
    done = report.tally
    made, opened = ("made", "opened") if report.written else ("to make", "to open")
    lines = [
        f"{report.file}: {done.lines:,} lines",
        f"accounts: {done.accounts_opened:,} {opened}, {done.accounts_known:,} there already",
        f"grants:   {done.grants_made:,} {made}, {done.grants_known:,} there already",
        f"credits:  {done.credits_made:,} {made}, {done.credits_known:,} there already",
        *(
            f"paid:     {minor:,} {currency} in its smallest unit"
            for currency, minor in sorted(done.cost_minor.items())
        ),
    ]
    if report.written:
        lines.append(f"trial balance: {report.trial_balance}")
    else:
        lines.append("Nothing was written. Run it again with --write to book this.")
    return "\n".join(lines)


def _lines_of_problems(report: Report) -> Iterable[str]:
    for problem in report.problems:
        yield f"line {problem.line}" + (f", {problem.column}" if problem.column else "") + f": {problem.problem}"
    unseen = report.problem_count - len(report.problems)
    if unseen:
        yield f"… and {unseen:,} more"
    yield f"{report.file}: {report.problem_count:,} problems" + ("" if report.written else "; nothing was written.")
