"""The sandbox's page moves time: far more than a request may wait for, so a job does it."""

from datetime import datetime

from sqlalchemy.orm import Session

from jobs.advance_time import advance_time
from jobs.application import application
from webapp import ledger, outbox
from webapp.database import retried, unit_of_work


def move_time(row_id: int) -> None:
    """The clocks have come to the time that the outbox row names; begun anew, it goes on where it stopped."""
    with application().app_context():
        until = retried(lambda session: _begin(session, row_id))
        if until is None:
            return
        with unit_of_work() as session:
            left = until - ledger.now(session)
        for _moment in advance_time(by=left):
            pass
        with unit_of_work() as session:
            row = outbox.begin(session, row_id=row_id)
            if row is not None:
                outbox.done(session, row=row)


def _begin(session: Session, row_id: int) -> datetime | None:
    row = outbox.count(session, row_id=row_id)
    return None if row is None or row.parked_at is not None else datetime.fromisoformat(row.args["until"])
