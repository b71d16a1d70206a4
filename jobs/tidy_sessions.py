"""Dropping the sessions of people who did not come back."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from jobs.application import application
from jobs.progress import count
from webapp.database import retried
from webapp.people import portal_session, seen_as, sessions

CHUNK = 5_000
MOST_CHUNKS = 200


def tidy_sessions() -> None:
    """Sessions that have ended by themselves are gone, and links that nobody opened; who is signed in stays so."""
    with application().app_context():
        _drop(lambda session: seen_as.drop_expired(session, limit=CHUNK))
        _drop(lambda session: sessions.drop_expired(session, limit=CHUNK))
        _drop(lambda session: portal_session.drop_expired(session, limit=CHUNK))


def _drop(chunk: Callable[[Session], int]) -> None:
    for _ in range(MOST_CHUNKS):
        done = retried(chunk)
        count(sessions=done)
        if done < CHUNK:
            return
