"""Dropping what was done long ago."""

from datetime import timedelta

from jobs.application import application
from jobs.progress import count
from webapp import outbox
from webapp.database import retried

KEEP = timedelta(days=90)
CHUNK = 5_000
MOST_CHUNKS = 200


def tidy_outbox() -> None:
    """Outbox rows done more than 90 days ago are gone; what is undone or parked stays whatever its age."""
    with application().app_context():
        for _ in range(MOST_CHUNKS):
            done = retried(lambda session: outbox.drop_done(session, older_than=KEEP, limit=CHUNK))
            count(rows=done)
            if done < CHUNK:
                return
