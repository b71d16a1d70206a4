"""Dropping usage events that were settled long ago. What they were charged stays in the ledger."""

from datetime import timedelta

from jobs.application import application
from jobs.progress import count
from webapp.database import retried
from webapp.usage.tidying import drop_settled

KEEP = timedelta(days=90)
CHUNK = 5_000
MOST_CHUNKS = 10_000


def tidy_usage() -> None:
    """Events charged or rejected more than 90 days ago are gone; parked and pending ones stay whatever their age."""
    after: int | None = 0
    with application().app_context():
        for _ in range(MOST_CHUNKS):
            after, dropped = retried(
                lambda session, after=after or 0: drop_settled(session, older_than=KEEP, after=after, limit=CHUNK)  # type: ignore[misc]
            )
            count(events=dropped)
            if after is None:
                return
