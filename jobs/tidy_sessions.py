"""Dropping the sessions of people who did not come back."""

from jobs.application import application
from jobs.progress import count
from webapp.database import retried
from webapp.people import sessions

CHUNK = 5_000
MOST_CHUNKS = 200


def tidy_sessions() -> None:
    """Sessions that have ended by themselves are gone; who is signed in stays so."""
    with application().app_context():
        for _ in range(MOST_CHUNKS):
            done = retried(lambda session: sessions.drop_expired(session, limit=CHUNK))
            count(sessions=done)
            if done < CHUNK:
                return
