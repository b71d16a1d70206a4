"""Granting what the calendar says: the month's credits of free plans, plans for life and paid years."""

from flask import current_app

from jobs.application import application
from jobs.progress import count
from webapp.billing.granting_due import grant_due as grant_chunk
from webapp.config import Settings
from webapp.database import retried

CHUNK = 100
MOST_CHUNKS = 500


def grant_due() -> None:
    """Whatever period has begun has its credits, in chunks, each a unit of work of its own.

    CATCH_UP says what becomes of free periods that an outage let pass.
    """
    with application().app_context():
        settings: Settings = current_app.config["SETTINGS"]
        for _ in range(MOST_CHUNKS):
            done = retried(lambda session: grant_chunk(session, limit=CHUNK, catch_up=settings.catch_up))
            count(periods=done)
            if done == 0:
                return
