"""How far the running job has come: counted in its process, told in the metadata of its RQ job."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog
from redis.exceptions import RedisError
from rq import get_current_job

log = structlog.get_logger()

_counts: ContextVar[Counter[str] | None] = ContextVar("counts", default=None)


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """What `count` is told within goes into the counter."""
    counts: Counter[str] = Counter()
    token = _counts.set(counts)
    try:
        yield counts
    finally:
        _counts.reset(token)


def count(**numbers: int) -> None:
    """So much more is done; to be called after each chunk's commit. Zeros are not worth a word."""
    counts = _counts.get()
    if counts is None:
        return
    counts.update({word: number for word, number in numbers.items() if number})
    job = get_current_job()
    if job is None:
        return
    job.meta["counts"] = dict(counts)
    try:
        job.save_meta()  # type: ignore[no-untyped-call]
    except RedisError as error:  # a matter of show: the work goes on
        log.debug("progress_not_told", error=str(error))
