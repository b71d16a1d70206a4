"""What periodic jobs did: one row for each run, kept for a while."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Text, delete, func, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.extensions import Base


class JobRun(Base):
    """A run of the periodic job `name`; `outcome` is done or failed, or None while it runs or when it was killed.

    `counts` say how much it did so far, by words of its own; `error` why it failed.
    """

    __tablename__ = "job_runs"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(Text)
    counts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    error: Mapped[str | None] = mapped_column(Text)

    @property
    def took(self) -> timedelta | None:
        """How long it ran; None when it did not come to an end."""
        return None if self.finished_at is None else self.finished_at - self.started_at


def begin_run(session: Session, *, name: str) -> int:
    """A run of that job has begun now; returns its id."""
    row = JobRun(name=name, started_at=clock.now(), counts={})
    session.add(row)
    session.flush()
    return row.id


def end_run(session: Session, *, run_id: int, counts: Mapping[str, int], error: str | None = None) -> None:
    """The run has come to its end, in failure when there is an `error`."""
    values = {
        "finished_at": clock.now(),
        "outcome": "done" if error is None else "failed",
        "counts": dict(counts),
        "error": None if error is None else error.replace("\x00", "")[:2000],
    }
    session.execute(update(JobRun).where(JobRun.id == run_id).values(**values))


def last_runs(session: Session, *, names: Iterable[str]) -> dict[str, JobRun]:
    """The newest run of each of these jobs that ever ran, by name."""
    newest = select(func.max(JobRun.id)).where(JobRun.name.in_(list(names))).group_by(JobRun.name)
    return {run.name: run for run in session.scalars(select(JobRun).where(JobRun.id.in_(newest.scalar_subquery())))}


def drop_old_runs(session: Session, *, idle_for: timedelta, older_than: timedelta, limit: int) -> int:
    """Delete one chunk of old runs; returns how many.

    Those that did nothing go after `idle_for`, all others after `older_than`; each job's newest run stays.
    """
    newest = select(func.max(JobRun.id)).group_by(JobRun.name)
    moment = clock.now()
    idle = (JobRun.outcome == "done") & (JobRun.counts == {}) & (JobRun.started_at < moment - idle_for)
    old = (
        select(JobRun.id)
        .where(JobRun.started_at < moment - min(idle_for, older_than))
        .where(idle | (JobRun.started_at < moment - older_than), JobRun.id.not_in(newest.scalar_subquery()))
        .order_by(JobRun.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    dropped = session.execute(delete(JobRun).where(JobRun.id.in_(old.scalar_subquery())).returning(JobRun.id))
    return len(dropped.all())
