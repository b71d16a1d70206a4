"""Adding up what long histories spent, so that the page of usage reads hours and not entries."""

import time

from jobs.application import application
from jobs.progress import count
from webapp import ledger
from webapp.database import retried

LEAST = 10_000
ACCOUNTS = 20
ENTRIES = 100_000
MOST_CHUNKS = 500
PAUSE_SECONDS = 0.05


def sum_usage() -> None:
    """Of accounts with many entries all but the newest few thousand are in the sums."""
    with application().app_context():
        for _ in range(MOST_CHUNKS):
            summed = retried(lambda session: ledger.sum_usage(session, least=LEAST, accounts=ACCOUNTS, entries=ENTRIES))
            if not summed.accounts:
                return
            count(accounts=summed.accounts, entries=summed.entries)
            time.sleep(PAUSE_SECONDS)  # others want the disk, too
