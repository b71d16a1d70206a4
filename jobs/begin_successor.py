"""The plan that follows a subscription which was to end."""

from jobs.attempt import attempt
from webapp.billing.successor import begin_successor as begin


def begin_successor(row_id: int) -> None:
    """The plan that was chosen for afterwards has begun."""
    attempt(row_id, begin)
