"""Booking what has expired. It pays for nothing since it expired; this only writes it down."""

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
    with application().app_context():
        for done in paced(expire_chunk, longest_seconds=LONGEST_SECONDS):
            count(chunks=1, **done)


def expire_chunk() -> dict[str, int]:
    """One chunk of accounts has booked what expired; returns how many accounts and entries, {} when nothing was due.

    A short unit of work of its own: its accounts are locked until it ends. Those that others hold are left to them.
    """
    accounts, entries = retried(lambda session: ledger.expire_due(session, limit=CHUNK))
    return {"accounts": accounts, "entries": entries} if accounts else {}
