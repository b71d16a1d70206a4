"""/admin/jobs: what works, what waits, what failed, and the buttons to try again. Each button leaves an audit line."""

from datetime import UTC, datetime

import structlog
from flask import Blueprint, Response, abort, flash, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from redis.exceptions import RedisError
from rq.exceptions import DuplicateJobError, InvalidJobOperation, NoSuchJobError
from rq.registry import FailedJobRegistry
from sqlalchemy import select

from webapp import clock, outbox
from webapp.admin import audit
from webapp.admin.jobs_in_redis import read_failed, read_failed_job, read_now
from webapp.admin.jobs_outbox import OUTBOX, RUNS, counted, periodic_names, read_outbox, read_periodic, seconds_of
from webapp.admin.jobs_secrets import without_secrets
from webapp.admin.listing import list_csv, list_page
from webapp.database import unit_of_work
from webapp.i18n.formats import credits_number
from webapp.outbox import OutboxRow
from webapp.people.roles import require_role
from webapp.queue import queue

log = structlog.get_logger()

pages = Blueprint("admin_jobs", __name__)

PATH = "/admin/jobs"
MOST_AT_ONCE = 500
# Presses of "run now" within so many seconds are one.
ONE_PRESS_SECONDS = 5


@pages.app_template_filter("as_told")
def as_told(moment: datetime) -> datetime:
    """A real moment by the clock that pages go by, which a sandbox may have moved: as long ago as it really is."""
    return clock.now() - (datetime.now(UTC) - moment)


@pages.get(PATH)
@require_role("finance")
def overview() -> ResponseReturnValue:
    """Everything about work. What Redis does not answer is left out, and said."""
    now = read_now()
    failed = read_failed() if not now.away else None
    with unit_of_work() as session:
        return render_template(
            "admin/jobs/index.html",
            now=now,
            failed=failed,
            outbox=read_outbox(session),
            periodic=read_periodic(session),
            counted=counted,
            seconds_of=seconds_of,
            without_secrets=without_secrets,
        )


@pages.get(f"{PATH}/now")
@require_role("finance")
def now() -> ResponseReturnValue:
    """The part that a browser asks for again every few seconds."""
    return render_template("admin/jobs/_now.html", now=read_now(), counted=counted)


@pages.get(f"{PATH}/failed/<job:job_id>")
@require_role("finance")
def failed_job(job_id: str) -> ResponseReturnValue:
    """One failed job and its whole trace."""
    try:
        job = read_failed_job(job_id)
    except RedisError:
        return _redis_is_away()
    if job is None:
        abort(404)
    return render_template("admin/jobs/failed.html", job=job)


@pages.post(f"{PATH}/failed/<job:job_id>/retry")
@require_role("finance")
def retry(job_id: str) -> ResponseReturnValue:
    """The failed job stands in the queue again. One that somebody else has retried is left alone."""
    try:
        with unit_of_work() as session:
            audit.record(session, by=audit.doer(), act="job.retry", subject=f"job:{job_id}"[:300])
            _failed_registry().requeue(job_id)
    except (NoSuchJobError, InvalidJobOperation):
        flash(_("This job is not among the failed ones any more."), "bad")
    except RedisError:
        return _redis_is_away()
    else:
        flash(_("The job is in the queue again."))
    return redirect(PATH, 303)


@pages.post(f"{PATH}/failed/retry")
@require_role("finance")
def retry_all() -> ResponseReturnValue:
    """Every failed job stands in the queue again, a few hundred at a time."""
    retried = 0
    try:
        with unit_of_work() as session:
            registry = _failed_registry()
            for job_id in registry.get_job_ids(0, MOST_AT_ONCE - 1, cleanup=False):
                try:
                    registry.requeue(job_id)
                except (NoSuchJobError, InvalidJobOperation):
                    continue  # RQ has forgotten it, or somebody was faster
                except RedisError:
                    if retried == 0:
                        raise
                    break  # what is in the queue goes on record
                retried += 1
            after: audit.Figures = {"jobs": retried}
            audit.record(session, by=audit.doer(), act="job.retry_all", subject="jobs:failed", after=after)
    except RedisError:
        return _redis_is_away()
    flash(
        ngettext(
            "%(number)s job is in the queue again.",
            "%(number)s jobs are in the queue again.",
            retried,
            number=credits_number(retried),
        )
    )
    return redirect(PATH, 303)


@pages.post(f"{PATH}/periodic/<name>/run")
@require_role("finance")
def run_now(name: str) -> ResponseReturnValue:
    """A worker is told to run the periodic job now, due or not."""
    if name not in periodic_names():
        abort(404)
    from jobs.run_periodic import periodic_job, run_periodic

    slot = int(datetime.now(UTC).timestamp()) // ONE_PRESS_SECONDS
    try:
        with unit_of_work() as session:
            audit.record(session, by=audit.doer(), act="job.run", subject=f"job:{name}")
            queue().enqueue(
                run_periodic,
                name,
                job_id=f"by-hand-{name}-{slot}",
                unique=True,
                job_timeout=periodic_job(name).timeout_seconds,
                result_ttl=60,
                failure_ttl=86_400,
            )
    except DuplicateJobError:
        log.info("job_run_pressed_twice", job=name)
    except RedisError:
        return _redis_is_away()
    flash(_("The job is in the queue."))
    return redirect(PATH, 303)


@pages.get(OUTBOX.path)
@require_role("finance")
def outbox_list() -> ResponseReturnValue:
    """What is undone, by state and job."""
    return list_page(OUTBOX)


@pages.get(f"{OUTBOX.path}.csv")
@require_role("finance")
def outbox_csv() -> Response:
    """The same as CSV."""
    return list_csv(OUTBOX)


@pages.get(RUNS.path)
@require_role("finance")
def runs() -> ResponseReturnValue:
    """What the periodic jobs did, run by run."""
    return list_page(RUNS)


@pages.get(f"{RUNS.path}.csv")
@require_role("finance")
def runs_csv() -> Response:
    """The same as CSV."""
    return list_csv(RUNS)


@pages.get(f"{OUTBOX.path}/<number:row_id>")
@require_role("finance")
def outbox_row(row_id: int) -> ResponseReturnValue:
    """One row: what is to be done, how often it was tried, and what came of it."""
    with unit_of_work() as session:
        row = session.get(OutboxRow, row_id)
        if row is None:
            abort(404)
        return render_template("admin/jobs/outbox_row.html", row=row, without_secrets=without_secrets)


@pages.post(f"{OUTBOX.path}/<number:row_id>/replay")
@require_role("finance")
def replay(row_id: int) -> ResponseReturnValue:
    """The row that was set aside is put to work again, once."""
    with unit_of_work() as session:
        parked = session.scalars(
            select(OutboxRow)
            .where(OutboxRow.id == row_id, OutboxRow.done_at.is_(None), OutboxRow.parked_at.is_not(None))
            .with_for_update()
        ).one_or_none()
        if parked is not None:
            error = without_secrets(parked.last_error or "")
            before: audit.Figures = {"job": parked.job, "attempts": parked.attempts, "error": error}
            outbox.replay(session, row_id=row_id)
            audit.record(
                session,
                by=audit.doer(),
                act="outbox.replay",
                subject=f"outbox:{row_id}",
                before=before,
            )
    if parked is None:
        flash(_("Nothing is set aside under this number any more."), "bad")
    else:
        flash(_("It is put to work again."))
    return redirect(PATH, 303)


@pages.post(f"{OUTBOX.path}/replay")
@require_role("finance")
def replay_all() -> ResponseReturnValue:
    """All that was set aside is put to work again, the oldest thousand at a time."""
    with unit_of_work() as session:
        rows = outbox.replay_parked(session)
        audit.record(session, by=audit.doer(), act="outbox.replay_all", subject="outbox:parked", after={"rows": rows})
    flash(
        ngettext(
            "%(number)s thing is put to work again.",
            "%(number)s things are put to work again.",
            rows,
            number=credits_number(rows),
        )
    )
    return redirect(PATH, 303)


def _failed_registry() -> FailedJobRegistry:
    return FailedJobRegistry(queue=queue())


def _redis_is_away() -> ResponseReturnValue:
    flash(_("Redis is away, so nothing has happened. Try again in a moment."), "bad")
    return redirect(PATH, 303)
