"""`flask jobs …`: the periodic jobs by hand, and what they did."""

import math
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime

import click
from flask.cli import AppGroup

from webapp import clock
from webapp.database import unit_of_work
from webapp.job_runs import JobRun, last_runs

jobs_group = AppGroup("jobs", help="Periodic jobs.")


@jobs_group.command("run")
@click.argument("name")
def run(name: str) -> None:
    """Run the periodic job NAME now, in this process, due or not."""
    from jobs.run_periodic import run_periodic
    from jobs.schedule import SCHEDULE

    names = [periodic.name for periodic in SCHEDULE]
    if name not in names:
        raise click.ClickException(f"There is no job {name!r}; there are {', '.join(names)}.")
    click.echo(f"{name}: {_counted(run_periodic(name))}.")


@jobs_group.command("once")
def once() -> None:
    """Run all periodic jobs that are due, each once, in the order of the list.

    One that fails keeps none of the others from running; exits with 1 then.
    """
    from jobs.run_periodic import due_jobs, run_periodic

    due = due_jobs()
    failed = False
    for periodic in due:
        try:
            click.echo(f"{periodic.name}: {_counted(run_periodic(periodic.name))}.")
        except Exception as error:  # logged and kept by run_periodic
            failed = True
            click.echo(f"{periodic.name}: failed: {type(error).__name__}: {error}")
    if not due:
        click.echo("No job is due.")
    if failed:
        sys.exit(1)


@jobs_group.command("list")
def list_jobs() -> None:
    """Print which job runs how often, when it last ran and for how long, what it did, and when it is due again."""
    from jobs.run_periodic import next_run_at
    from jobs.schedule import SCHEDULE

    with unit_of_work() as session:
        last = last_runs(session, names=[periodic.name for periodic in SCHEDULE])
        rows = [("job", "every", "last run (UTC)", "took", "next", "outcome")]
        for periodic in SCHEDULE:
            ran = last.get(periodic.name)
            due = _until(next_run_at(periodic, ran)) if ran else "now"
            rows.append((periodic.name, _every(periodic.every_seconds), *_ran(ran), due, _outcome(ran)))
    for line in _table(rows, width=max(80, shutil.get_terminal_size().columns)):
        click.echo(line)


def _table(rows: Sequence[Sequence[str]], *, width: int) -> Iterator[str]:
    """The rows in columns; the last column goes on below itself where it is too long for `width`."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]) - 1)]
    left = sum(widths) + 2 * len(widths)
    for *cells, last in rows:
        start = "".join(cell.ljust(size + 2) for cell, size in zip(cells, widths, strict=True))
        parts = textwrap.wrap(last, max(16, width - left), break_on_hyphens=False) or [""]
        yield (start + parts[0]).rstrip()
        yield from (" " * left + part for part in parts[1:])


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {word}" for word, number in counts.items()) or "nothing to do"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _until(moment: datetime) -> str:
    seconds = math.ceil((moment - clock.now()).total_seconds())
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= length:
            return f"in {seconds // length} {unit}"
    return "now"


def _every(seconds: int) -> str:
    for length, letter in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds % length == 0:
            return f"{seconds // length}{letter}"
    return f"{seconds}s"


def _ran(run: JobRun | None) -> tuple[str, str]:
    if run is None:
        return "never", "-"
    return _moment(run.started_at), "-" if run.took is None else f"{run.took.total_seconds():.1f} s"


def _outcome(run: JobRun | None) -> str:
    if run is None:
        return "-"
    if run.outcome is None:
        return "running, or killed"
    return f"failed: {run.error}" if run.outcome == "failed" else _counted(run.counts)
