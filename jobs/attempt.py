"""How every job of the outbox runs: counted before it, its effect and its "done" in one database transaction."""

from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy.orm import Session

from jobs.application import application
from webapp import outbox
from webapp.database import retried

log = structlog.get_logger()

Effect = Callable[..., Any]


def attempt(row_id: int, effect: Effect, give_up: Effect | None = None) -> None:
    """Try what the outbox row asks for: `effect(session, **args)`, and with it the row is done.

    Does nothing when the row is done, parked, or being tried by somebody else. A deadlock or the like is no failure
    yet: all of it is tried again at once, a few times. When the effect fails, nothing of it is written, the failure
    is logged once, and the row is due again later; after the last attempt it is parked, and
    `give_up(session, reason=…, **args)` runs with that. An attempt is counted before it begins, so one whose process
    is killed each time is parked some day, too.
    """
    with application().app_context():
        structlog.contextvars.bind_contextvars(outbox_row=row_id)
        try:
            if retried(lambda session: _may_begin(session, row_id, give_up)):
                retried(lambda session: _try(session, row_id, effect))
        except Exception as error:
            log.exception("job_failed", job=effect.__name__)
            reason = f"{type(error).__name__}: {error}"
            retried(lambda session: _note_failure(session, row_id, reason, give_up))
        finally:
            structlog.contextvars.unbind_contextvars("outbox_row")


def _may_begin(session: Session, row_id: int, give_up: Effect | None) -> bool:
    row = outbox.count(session, row_id=row_id)
    if row is not None and row.parked_at is not None:
        _tell_of_the_end(session, row, give_up)
    return row is not None and row.parked_at is None


def _try(session: Session, row_id: int, effect: Effect) -> None:
    row = outbox.begin(session, row_id=row_id)
    if row is not None:
        effect(session, **row.args)
        outbox.done(session, row=row)


def _note_failure(session: Session, row_id: int, reason: str, give_up: Effect | None) -> None:
    row = outbox.failed(session, row_id=row_id, error=reason)
    if row is not None and row.parked_at is not None:
        _tell_of_the_end(session, row, give_up)


def _tell_of_the_end(session: Session, row: outbox.OutboxRow, give_up: Effect | None) -> None:
    reason = row.last_error or ""
    log.error("job_parked", job=row.job, attempts=row.attempts, reason=reason)
    if give_up is not None:
        give_up(session, reason=reason, **row.args)
