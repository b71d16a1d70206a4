"""Making good whatever Redis or a worker lost."""

from jobs.application import application
from jobs.progress import count
from webapp import outbox
from webapp.database import retried

CHUNK = 500
MOST_CHUNKS = 20


def sweep_outbox() -> None:
    """Every outbox row that is due and undone is handed to RQ again, in chunks, each a unit of work of its own."""
    with application().app_context():
        for _ in range(MOST_CHUNKS):
            done = retried(lambda session: outbox.sweep(session, limit=CHUNK))
            count(rows=done)
            if done < CHUNK:
                return
