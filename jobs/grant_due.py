"""Granting what the calendar says: the month's credits of free plans, plans for life and paid years."""

from flask import current_app

from jobs.application import application
from jobs.pace import paced
from jobs.progress import count
from webapp.billing.granting_due import grant_due as grant_some
from webapp.config import Settings
from webapp.database import retried

CHUNK = 1_000
# Below the job's timeout; what is left over is for the next run, or for another worker's that began meanwhile.
LONGEST_SECONDS = 480.0


def grant_due() -> None:
    """Whatever period has begun has its credits, in chunks, each a unit of work of its own.

    Killed at any point, it has granted whole chunks and nothing else; two at once share the entitlements. CATCH_UP
    says what becomes of free periods that an outage let pass.
    """
    with application().app_context():
        for done in paced(grant_chunk, longest_seconds=LONGEST_SECONDS):
            count(chunks=1, periods=done)


def grant_chunk() -> int:
    """One chunk of due entitlements has its next periods; returns how many periods, 0 when there was nothing to do."""
    settings: Settings = current_app.config["SETTINGS"]
    return retried(lambda session: grant_some(session, limit=CHUNK, catch_up=settings.catch_up))
