"""Telling people of credits that they would lose, and of those that they have lost."""

from time import monotonic

from jobs.application import application
from jobs.progress import count
from webapp.database import retried
from webapp.notifications.expiry import Place, end_chunk, warn_chunk

CHUNK = 500
# Below the job's timeout. Who was not reached is so by a later run: whoever was told is not told again.
LONGEST_SECONDS = 1500.0


def warn_expiring() -> None:
    """Who would lose credits within a week at their present pace has a mail on its way, and who lost some has one.

    In chunks, each a unit of work of its own. Killed at any point, it has told whole chunks; two at once tell
    nobody twice.
    """
    began = monotonic()
    with application().app_context():
        grants = 1
        while grants and monotonic() - began < LONGEST_SECONDS:
            grants, mails = retried(lambda session: end_chunk(session, limit=CHUNK))
            count(ended=grants, mails=mails)
        place: Place | None = Place()
        while place is not None and monotonic() - began < LONGEST_SECONDS:
            place, mails = _warn(place)
            count(warnings=mails)


def _warn(after: Place) -> tuple[Place | None, int]:
    return retried(lambda session: warn_chunk(session, after=after, limit=CHUNK))
