"""Time in a sandbox passes by days, and at each the jobs that fall due are run: nothing is skipped."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from http.client import HTTPException
from importlib import import_module
from time import monotonic, sleep
from urllib.request import Request, urlopen

import structlog
from flask import current_app
from sqlalchemy import func, select, text

from jobs.run_periodic import due_jobs, run_periodic
from webapp import clock, ledger
from webapp.config import Settings
from webapp.database import retried, unit_of_work
from webapp.extensions import db
from webapp.outbox import OutboxRow

log = structlog.get_logger()

STEP = timedelta(days=1)
PATIENCE = text("SET LOCAL lock_timeout = '30s'")
# What one job leads to may lead to another, but not for ever.
MOST_ROUNDS = 20
NEED_STRIPE = ("check_purchases", "check_plans", "reconcile_stripe")
STRIPE_SECONDS = 60
# For what a worker has begun and not ended; it is not lost after that, it only ends in another time.
WORKER_SECONDS = 20.0
LOOK_AGAIN_SECONDS = 0.1


class NotASandbox(Exception):
    """Money is real here: its time is everybody's."""


def advance_time(*, by: timedelta) -> Iterator[datetime]:
    """The clocks of the ledger, of Python and of Stripe's double are moved forward by `by`, a day at a time.

    Before the first step what was asked for already is done, in its own time. After each step Stripe's double does
    what is due and sends its events, every periodic job that has fallen due is run, and so is what they put in the
    outbox, here. Yields the time after each step. Raises NotASandbox, and ledger.InvalidRequest when this database's
    clock may not move; nothing changed then.
    """
    settings: Settings = current_app.config["SETTINGS"]
    if not settings.sandbox:
        raise NotASandbox("Time can be moved in sandbox mode only, and STRIPE_SECRET_KEY is set.")
    if by > timedelta(0):
        _do_what_was_asked_for()
        _wait_for_workers()
    while by > timedelta(0):
        step = min(by, STEP)
        with unit_of_work() as session:
            session.execute(PATIENCE)  # the demo may be made in this moment, and holds the clock meanwhile
            moment = ledger.advance_clock(session, by=step)
        clock.follow(db.session(), movable=True, at_once=True)
        db.session.rollback()
        run_what_is_due(settings)
        by -= step
        yield moment


def run_what_is_due(settings: Settings) -> None:
    """Stripe's double, the periodic jobs and the outbox have done all that is due by now."""
    answers = _let_stripe_act(settings)
    _do_what_was_asked_for()  # its events, before a job finds that they are not handled
    for periodic in due_jobs():
        if answers or periodic.name not in NEED_STRIPE:
            try:
                run_periodic(periodic.name)
            except Exception as error:  # kept with its run; the others go on
                log.warning("job_failed_on_the_way", job=periodic.name, error=str(error))
    _do_what_was_asked_for()


def _do_what_was_asked_for() -> None:
    for _ in range(MOST_ROUNDS):
        if not _run_outbox():
            return


def _wait_for_workers() -> None:
    """What they have begun and neither done nor given up has come to an end, if that takes no longer than usual."""
    begun = (
        select(func.count())
        .select_from(OutboxRow)
        .where(OutboxRow.done_at.is_(None), OutboxRow.parked_at.is_(None), OutboxRow.job != "move_time")
        .where(OutboxRow.attempts > 0, OutboxRow.last_error.is_(None), OutboxRow.due_at > clock.now())
    )
    until = monotonic() + WORKER_SECONDS
    while retried(lambda session: session.scalar(begun)) and monotonic() < until:
        sleep(LOOK_AGAIN_SECONDS)


def _let_stripe_act(settings: Settings) -> bool:
    """Whether Stripe's double was there. What it sends reaches the web, if that is running."""
    request = Request(f"{settings.stripe_api_base}/_sandbox/run", data=b"", method="POST")  # noqa: S310 - our own
    try:
        with urlopen(request, timeout=STRIPE_SECONDS):  # noqa: S310
            return True
    except (OSError, HTTPException) as error:
        log.info("stripe_sandbox_away", error=str(error))
        return False


def _run_outbox() -> int:
    """Every row that was not tried yet is tried; whoever else works on it is not disturbed. Returns how many."""
    with unit_of_work() as session:
        rows = session.execute(
            select(OutboxRow.id, OutboxRow.job)
            .where(OutboxRow.done_at.is_(None), OutboxRow.parked_at.is_(None), OutboxRow.attempts == 0)
            .where(OutboxRow.job != "move_time")
            .order_by(OutboxRow.id)
            .limit(500)
        ).all()
    for row_id, job in rows:
        getattr(import_module(f"jobs.{job}"), job)(row_id)
    return len(rows)
