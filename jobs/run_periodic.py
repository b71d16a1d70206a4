"""How every periodic job runs, wherever: its run is kept in PostgreSQL, and the log has one line of it."""

from datetime import datetime, timedelta
from time import monotonic

import structlog

from jobs.application import application
from jobs.progress import counting
from jobs.schedule import SCHEDULE, Periodic
from webapp import clock
from webapp.database import retried
from webapp.job_runs import JobRun, begin_run, end_run, last_runs

log = structlog.get_logger()


def run_periodic(name: str) -> dict[str, int]:
    """Run the periodic job of that name here and now; returns what it counted.

    When it fails, that is kept too, and raised again. One whose process is killed is left without an end.
    """
    periodic = periodic_job(name)
    with application().app_context(), counting() as counts:
        run_id = retried(lambda session: begin_run(session, name=name))
        began = monotonic()
        try:
            periodic.job()
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            retried(lambda session: end_run(session, run_id=run_id, counts=counts, error=reason))
            log.error("periodic_job_failed", job=name, seconds=_since(began), reason=reason, **_prefixed(counts))
            raise
        retried(lambda session: end_run(session, run_id=run_id, counts=counts))
        tell = log.info if counts else log.debug
        tell("periodic_job_ran", job=name, seconds=_since(began), **_prefixed(counts))
        return dict(counts)


def periodic_job(name: str) -> Periodic:
    """The line of SCHEDULE of that name. Raises KeyError."""
    return {periodic.name: periodic for periodic in SCHEDULE}[name]


def next_run_at(periodic: Periodic, last: JobRun | None) -> datetime:
    """When the job falls due, by its last run; one that never ran is due."""
    return clock.now() if last is None else last.started_at + timedelta(seconds=periodic.every_seconds)


def due_jobs() -> list[Periodic]:
    """The jobs that are due now, in the order in which they are listed."""
    last = retried(lambda session: last_runs(session, names=[one.name for one in SCHEDULE]))
    now = clock.now()
    return [one for one in SCHEDULE if one.name not in last or next_run_at(one, last[one.name]) <= now]


def _since(began: float) -> float:
    return round(monotonic() - began, 3)


def _prefixed(counts: dict[str, int]) -> dict[str, int]:
    return {f"n_{word}": number for word, number in counts.items()}
