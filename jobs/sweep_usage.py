"""Making good what Redis or a worker lost of queued usage, and charging what can be paid by now."""

from jobs.application import application
from jobs.charge_usage import charge_waiting
from jobs.progress import count
from webapp.database import retried
from webapp.usage.retrying import retry_payable

CHUNK = 1_000
MOST_CHUNKS = 20


def sweep_usage() -> None:
    """Parked events whose account may have enough by now are pending again, and whatever is pending is charged."""
    with application().app_context():
        for _ in range(MOST_CHUNKS):
            again = retried(lambda session: retry_payable(session, limit=CHUNK))
            count(retried=again)
            if again < CHUNK:
                break
        charge_waiting()
