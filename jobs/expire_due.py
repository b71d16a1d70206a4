"""Booking what has expired. It pays for nothing since it expired; this only writes it down."""

from jobs.application import application
from webapp import ledger
from webapp.database import unit_of_work

CHUNK = 500
MOST_CHUNKS = 200


def expire_due() -> None:
    """The accounts with something expired have it booked, in chunks; what is left over is for the next run."""
    with application().app_context():
        for _ in range(MOST_CHUNKS):
            if expire_chunk() == 0:
                return


def expire_chunk() -> int:
    """One chunk of accounts has booked what expired; returns how many accounts, 0 when there was nothing to do.

    A short unit of work of its own: its accounts are locked until it ends. Those that others hold are left to them.
    """
    with unit_of_work() as session:
        accounts, _entries = ledger.expire_due(session, limit=CHUNK)
    return accounts
