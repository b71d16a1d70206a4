"""Some lines of a file that gives or takes credits; what is left is the next row of the outbox."""

from time import monotonic

from jobs.application import application
from jobs.attempt import attempt
from jobs.pace import rest_after
from webapp.admin.bulk_booking import apply_chunk


def bulk_apply(row_id: int) -> None:
    """The lines that the row names are booked, and the row after it is there."""
    with application().app_context():
        began = monotonic()
        attempt(row_id, apply_chunk)
        rest_after(monotonic() - began)
