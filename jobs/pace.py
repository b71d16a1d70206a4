"""Leaving room for others: a job of many chunks rests after each, so that spends keep their rate beside it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

# Of the time that a chunk took. On two cores a sweep without rests took spends beside it a quarter of their rate.
REST = 0.5
LONGEST_SECONDS = 2.0


@contextmanager
def paced() -> Iterator[None]:
    """What happens within is followed by a rest of half as long."""
    began = time.monotonic()
    yield
    time.sleep(min(REST * (time.monotonic() - began), LONGEST_SECONDS))
