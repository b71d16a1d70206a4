"""Writing down reports' figures by day, so that no page adds up entries of long ago."""

import time

import structlog

from jobs.application import application
from jobs.progress import count
from webapp.billing import report_days
from webapp.database import retried

log = structlog.get_logger()

MOST_STEPS = 2_000
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.1


def roll_up_reports() -> None:
    """Every full hour that is over is rolled up, a stretch at a time, oldest first; the next run goes on from there."""
    with application().app_context():
        limit, writers = retried(report_days.find_limit)
        if not _have_ended(writers):
            log.info("reports_wait_for_writers", writers=len(writers))
            return
        for _ in range(MOST_STEPS):
            if not retried(lambda session: report_days.roll_up(session, limit=limit)):
                return
            count(steps=1)


def _have_ended(writers: set[str]) -> bool:
    """Whether these database transactions are over, asked again for a minute at the most; mostly there are none."""
    until = time.monotonic() + PATIENCE_SECONDS
    while writers and time.monotonic() < until:
        writers = writers & retried(report_days.writers)
        if writers:
            time.sleep(PAUSE_SECONDS)
    return not writers
