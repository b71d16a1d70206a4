"""Charging queued usage, in chunks, each a unit of work of its own."""

from time import monotonic

import structlog

from jobs.application import application
from jobs.progress import count
from webapp import outbox
from webapp.billing.plan_of_account import plans_of
from webapp.database import retried
from webapp.queue import begin_hinted
from webapp.usage.charging import MOST_EVENTS, ChargingFailed, charge_next, park_failed

log = structlog.get_logger()

# Then other jobs have their turn, and this one stands at the end of the queue again.
LONGEST_SECONDS = 20.0


def charge_usage() -> None:
    """What waits is charged, in order for each account; events that cannot be paid are parked.

    Killed at any point, it has charged whole chunks and nothing else; any number at once share the accounts.
    """
    with application().app_context():
        begin_hinted("charge_usage")
        charge_waiting()


def charge_waiting() -> None:
    """The same, within the application's context.

    A chunk that cannot be charged for a reason of its own is cut in halves until the event is found, which is parked.
    """
    began = monotonic()
    limit = MOST_EVENTS
    while monotonic() - began < LONGEST_SECONDS:
        try:
            done = retried(lambda session, limit=limit: charge_next(session, plans_of=plans_of, limit=limit))  # type: ignore[misc]
        except ChargingFailed as failed:
            limit = _look_closer(failed)
            continue
        if done is None:
            return
        count(**done)
        limit = min(MOST_EVENTS, 2 * limit)
    retried(lambda session: outbox.hint(session, job="charge_usage"))


def _look_closer(failed: ChargingFailed) -> int:
    """How many to try next; the event that failed alone is parked."""
    if len(failed.ids) == 1:
        cause = failed.__cause__
        log.error("usage_failed", usage_event=failed.ids[0], exc_info=cause)
        reason = f"{type(cause).__name__}: {cause}"
        retried(lambda session: park_failed(session, event_id=failed.ids[0], reason=reason))
        count(failed=1)
    return max(1, len(failed.ids) // 2)
