"""Booking what has expired. It pays for nothing since it expired; this only writes it down."""

from time import monotonic

from jobs.application import application
from jobs.pace import paced
from jobs.progress import count
from webapp import ledger
from webapp.database import retried

CHUNK = 2_000
# Below the job's timeout; what is left over is for the next run, or for another worker's that began meanwhile.
LONGEST_SECONDS = 240.0


def expire_due() -> None:
    """The accounts with something expired have it booked, in chunks; what is left over is for the next run.

    Killed at any point, it has booked whole chunks and nothing else; two at once share the accounts.
    """
    began = monotonic()
    with application().app_context():
        while monotonic() - began < LONGEST_SECONDS:
            with paced():
                swept, booked = _book_chunk()
            if swept == 0:
                break
            count(chunks=1, accounts=swept, entries=booked)


def expire_chunk() -> int:
    """One chunk of accounts has booked what expired; returns how many accounts, 0 when there was nothing to do."""
    return _book_chunk()[0]


def _book_chunk() -> tuple[int, int]:
    """How many accounts, and entries. A short unit of work of its own: its accounts are locked until it ends.

    Those that others hold are left to them.
    """
    return retried(lambda session: ledger.expire_due(session, limit=CHUNK))
