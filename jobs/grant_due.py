"""Granting what the calendar says: the month's credits of free plans, plans for life and paid years."""

from jobs.application import application
from webapp.billing.granting_due import grant_due as grant_chunk
from webapp.database import retried

CHUNK = 100
MOST_CHUNKS = 500


def grant_due() -> None:
    """Whatever period has begun has its credits, in chunks, each a unit of work of its own."""
    with application().app_context():
        for _ in range(MOST_CHUNKS):
            if retried(lambda session: grant_chunk(session, limit=CHUNK)) == 0:
                return
