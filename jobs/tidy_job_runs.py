"""Dropping what periodic jobs did long ago."""

from datetime import timedelta

from jobs.application import application
from jobs.progress import count
from webapp.database import retried
from webapp.job_runs import drop_old_runs

# A run every ten seconds that found nothing to do tells nobody anything.
KEEP_IDLE = timedelta(days=1)
KEEP = timedelta(days=90)
CHUNK = 5_000
MOST_CHUNKS = 200


def tidy_job_runs() -> None:
    """Runs of more than 90 days ago are gone, idle ones after a day; each job's last run stays."""
    with application().app_context():
        for _ in range(MOST_CHUNKS):
            done = retried(lambda session: drop_old_runs(session, idle_for=KEEP_IDLE, older_than=KEEP, limit=CHUNK))
            count(runs=done)
            if done < CHUNK:
                return
