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
            with unit_of_work() as session:
                accounts, _entries = ledger.expire_due(session, limit=CHUNK)
            if accounts == 0:
                return
