"""Dropping what the API remembers of requests that no ledger entry remembers."""

from datetime import timedelta

from jobs.application import application
from jobs.progress import count
from webapp.api.remembered import drop_old
from webapp.database import retried

KEEP = timedelta(days=30)
CHUNK = 5_000
MOST_CHUNKS = 200


def tidy_api_answers() -> None:
    """Answers given more than 30 days ago are gone: their idempotency keys are free again."""
    with application().app_context():
        for _ in range(MOST_CHUNKS):
            done = retried(lambda session: drop_old(session, older_than=KEEP, limit=CHUNK))
            count(answers=done)
            if done < CHUNK:
                return
