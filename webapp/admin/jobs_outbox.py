"""What PostgreSQL knows of work: the outbox, and the runs of periodic jobs. There while Redis is away, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from webapp import clock
from webapp.admin.jobs_secrets import without_secrets
from webapp.admin.listing import Column, Filter, Listing, Rows, Sort
from webapp.job_runs import JobRun, last_runs
from webapp.outbox import OutboxRow

# Counted no further than this: the page must not read a million rows.
MOST_COUNTED = 10_000
MOST_PARKED_SHOWN = 25
# So long after it fell due a row that nobody has taken is overdue: no worker runs, or no cron.
OVERDUE_AFTER = timedelta(minutes=1)

_WAITING = text(
    "SELECT w.job, count(*) AS rows, min(w.created_at) AS oldest, count(*) FILTER (WHERE w.due_at < :late) AS overdue"
    " FROM (SELECT job, created_at, due_at FROM outbox WHERE done_at IS NULL AND parked_at IS NULL"
    " ORDER BY due_at LIMIT :most) w GROUP BY w.job ORDER BY rows DESC, w.job"
)
_PARKED = text(
    "SELECT count(*) FROM (SELECT FROM outbox WHERE done_at IS NULL AND parked_at IS NOT NULL LIMIT :most) p"
)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The rows of one job that wait, those of them that should have been taken long ago, and when the first was put."""

    job: str
    rows: int
    overdue: int
    oldest: datetime


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """What is undone. Counts end at MOST_COUNTED; `more` says that some were not counted."""

    waiting: Sequence[Waiting]
    parked: int
    newest_parked: Sequence[OutboxRow]

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.waiting)

    @property
    def overdue(self) -> int:
        return sum(one.overdue for one in self.waiting)

    @property
    def more(self) -> bool:
        return max(self.rows, self.parked) >= MOST_COUNTED


def read_outbox(session: Session) -> Outbox:
    """Three statements, each over a bounded number of rows of an index."""
    given = {"late": clock.now() - OVERDUE_AFTER, "most": MOST_COUNTED}
    newest = (
        select(OutboxRow)
        .where(OutboxRow.done_at.is_(None), OutboxRow.parked_at.is_not(None))
        .order_by(OutboxRow.parked_at.desc())
        .limit(MOST_PARKED_SHOWN)
    )
    return Outbox(
        waiting=[Waiting(**row) for row in session.execute(_WAITING, given).mappings()],
        parked=session.execute(_PARKED, {"most": MOST_COUNTED}).scalar_one(),
        newest_parked=session.scalars(newest).all(),
    )


@dataclass(frozen=True, kw_only=True)
class PeriodicJob:
    """One line of the table of periodic jobs, with its last run; `next_at` is when it falls due."""

    name: str
    every_seconds: int
    last: JobRun | None
    next_at: datetime

    @property
    def is_overdue(self) -> bool:
        return self.next_at < clock.now() - max(timedelta(minutes=2), timedelta(seconds=self.every_seconds))


def read_periodic(session: Session) -> list[PeriodicJob]:
    """The periodic jobs in the order of their table."""
    from jobs.run_periodic import next_run_at
    from jobs.schedule import SCHEDULE

    last = last_runs(session, names=[one.name for one in SCHEDULE])
    return [
        PeriodicJob(
            name=one.name,
            every_seconds=one.every_seconds,
            last=last.get(one.name),
            next_at=next_run_at(one, last.get(one.name)),
        )
        for one in SCHEDULE
    ]


def periodic_names() -> list[str]:
    """What may be run by hand."""
    from jobs.schedule import SCHEDULE

    return [one.name for one in SCHEDULE]


# ---------------------------------------------------------------- lists

_STATES = {"parked": OutboxRow.parked_at.is_not(None), "waiting": OutboxRow.parked_at.is_(None)}


def _undone(values: Mapping[str, str]) -> Rows:
    statement: Rows = select(
        OutboxRow.id,
        OutboxRow.job,
        OutboxRow.key,
        OutboxRow.created_at,
        OutboxRow.due_at,
        OutboxRow.attempts,
        OutboxRow.parked_at,
        OutboxRow.last_error,
    ).where(OutboxRow.done_at.is_(None))
    if values.get("state") in _STATES:
        statement = statement.where(_STATES[values["state"]])
    if "job" in values:
        statement = statement.where(OutboxRow.job == values["job"])
    return statement


OUTBOX = Listing(
    key="outbox",
    title=_l("Outbox"),
    lead=_l("Work that is promised and not done yet. Rows that are done are not listed."),
    path="/admin/jobs/outbox",
    id=OutboxRow.id,
    selection=_undone,
    columns=(
        Column(key="key", label=_l("Key"), show=lambda row: (f"/admin/jobs/outbox/{row.id}", row.key), kind="link"),
        Column(key="job", label=_l("Job"), show=lambda row: row.job, kind="code"),
        Column(key="created_at", label=_l("Since"), show=lambda row: row.created_at, kind="moment"),
        Column(key="attempts", label=_l("Attempts"), show=lambda row: row.attempts, kind="credits"),
        Column(key="parked_at", label=_l("Set aside"), show=lambda row: row.parked_at, kind="moment"),
        Column(key="error", label=_l("Why"), show=lambda row: without_secrets(row.last_error or "")),
    ),
    sorts=(Sort(key="newest", label=_l("Newest first"), by=OutboxRow.id),),
    filters=(
        Filter(
            key="state",
            label=_l("State"),
            options=lambda: [("waiting", _l("waiting")), ("parked", _l("set aside"))],
        ),
        Filter(key="job", label=_l("Job")),
    ),
)


def _runs(values: Mapping[str, str]) -> Rows:
    statement: Rows = select(
        JobRun.id, JobRun.name, JobRun.started_at, JobRun.finished_at, JobRun.outcome, JobRun.counts, JobRun.error
    )
    if "name" in values:
        statement = statement.where(JobRun.name == values["name"])
    if values.get("outcome") in ("done", "failed"):
        statement = statement.where(JobRun.outcome == values["outcome"])
    if values.get("outcome") == "open":
        statement = statement.where(JobRun.outcome.is_(None))
    return statement


def counted(counts: Mapping[str, Any]) -> str:
    """`rows 12, chunks 1`: the words are the jobs' own."""
    return ", ".join(f"{word} {number}" for word, number in counts.items())


def seconds_of(row: Any) -> str:
    """How long a run took, in seconds with one digit; empty while it runs."""
    return "" if row.finished_at is None else f"{(row.finished_at - row.started_at).total_seconds():.1f} s"


_OUTCOMES = {"done": _l("done"), "failed": _l("failed"), None: _l("running, or killed")}

RUNS = Listing(
    key="job-runs",
    title=_l("Runs of periodic jobs"),
    path="/admin/jobs/runs",
    id=JobRun.id,
    selection=_runs,
    columns=(
        Column(key="name", label=_l("Job"), show=lambda row: row.name, kind="code"),
        Column(key="started_at", label=_l("Began"), show=lambda row: row.started_at, kind="moment"),
        Column(key="took", label=_l("Took"), show=seconds_of),
        Column(key="outcome", label=_l("Outcome"), show=lambda row: str(_OUTCOMES[row.outcome])),
        Column(key="counts", label=_l("What it did"), show=lambda row: counted(row.counts), kind="code"),
        Column(key="error", label=_l("Error"), show=lambda row: without_secrets(row.error or "")),
    ),
    sorts=(Sort(key="newest", label=_l("Newest first"), by=JobRun.id),),
    filters=(
        Filter(key="name", label=_l("Job"), options=lambda: [(name, name) for name in periodic_names()]),
        Filter(
            key="outcome",
            label=_l("Outcome"),
            options=lambda: [("done", _l("done")), ("failed", _l("failed")), ("open", _l("running, or killed"))],
        ),
    ),
)
