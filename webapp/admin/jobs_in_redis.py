"""What RQ knows of jobs: waiting, running and failed ones, and which processes are alive. All of it is read only.

Times of Redis are real ones, also where a sandbox's clock was moved.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.exceptions import RedisError
from rq import Queue
from rq.cron_scheduler_registry import get_registry_key
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.utils import utcparse
from rq.worker_registration import get_keys

from webapp.admin.jobs_secrets import without_secrets
from webapp.queue import queue, redis_connection

MOST_SHOWN = 25
MOST_WORKERS = 100
# A cron says every few seconds that it is there.
CRON_ALIVE_FOR = timedelta(minutes=2)


@dataclass(frozen=True, kw_only=True)
class KnownJob:
    """One job of RQ's. `about` is the periodic job's name or the number of its row in the outbox."""

    id: str
    name: str
    about: str
    enqueued_at: datetime | None
    began_at: datetime | None
    ended_at: datetime | None
    counts: Mapping[str, int]
    error: str = ""
    trace: str = ""

    @property
    def outbox_row(self) -> int | None:
        return int(self.about) if self.about.isdecimal() else None


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A process that works. `job` is what it does now."""

    name: str
    host: str
    pid: str
    busy: bool
    heard_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Now:
    """What goes on at this moment. With `away`, Redis did not answer and nothing of it is known."""

    away: bool = False
    waiting: int = 0
    waiting_since: datetime | None = None
    waiting_by_name: Mapping[str, int] = field(default_factory=dict)
    running: Sequence[KnownJob] = ()
    workers: Sequence[Worker] = ()
    cron_heard_at: datetime | None = None

    @property
    def cron_is_alive(self) -> bool:
        return self.cron_heard_at is not None and datetime.now(UTC) - self.cron_heard_at < CRON_ALIVE_FOR


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The newest jobs that failed, and how many there are."""

    away: bool = False
    count: int = 0
    jobs: Sequence[KnownJob] = ()


def read_now() -> Now:
    """What goes on now. When Redis is away that is known after the first question: a second or two."""
    try:
        return _read_now()
    except RedisError:
        return Now(away=True)


def _read_now() -> Now:
    one = queue()
    waiting = one.count
    ahead = _jobs(one, one.get_job_ids(0, MOST_SHOWN)) if waiting else []
    running = StartedJobRegistry(queue=one).get_job_ids(0, MOST_SHOWN, cleanup=False)
    return Now(
        waiting=waiting,
        waiting_since=min((job.enqueued_at for job in ahead if job.enqueued_at), default=None),
        waiting_by_name=Counter(_known(job).name for job in ahead),
        running=[_known(job) for job in _jobs(one, list(dict.fromkeys(running)))],
        workers=_workers(one),
        cron_heard_at=_cron_heard_at(),
    )


def read_failed() -> Failed:
    """The jobs that failed within the last day or so; RQ forgets them after that."""
    try:
        one = queue()
        registry = FailedJobRegistry(queue=one)
        ids = registry.get_job_ids(0, MOST_SHOWN - 1, desc=True, cleanup=False)
        count: int = redis_connection().zcard(registry.key)
        return Failed(count=count, jobs=[_failed(job) for job in _jobs(one, ids)])
    except RedisError:
        return Failed(away=True)


def read_failed_job(job_id: str) -> KnownJob | None:
    """One that failed, with its whole trace; None when there is none such any more. Raises RedisError."""
    one = queue()
    if job_id not in FailedJobRegistry(queue=one):
        return None
    try:
        return _failed(Job.fetch(job_id, connection=one.connection, serializer=JSONSerializer))
    except NoSuchJobError:
        return None


def _jobs(one: Queue, ids: Sequence[str]) -> list[Job]:
    found = Job.fetch_many(ids, connection=one.connection, serializer=JSONSerializer) if ids else []
    return [job for job in found if job is not None]


def _known(job: Job, *, error: str = "", trace: str = "") -> KnownJob:
    name = (job.func_name or "").rsplit(".", 1)[-1]
    about = str(job.args[0]) if job.args else ""
    if name == "run_periodic":
        name, about = about, ""
    counts: Any = job.meta.get("counts")
    return KnownJob(
        id=job.id,
        name=name,
        about=about,
        enqueued_at=_utc(job.enqueued_at),
        began_at=_utc(job.started_at),
        ended_at=_utc(job.ended_at),
        counts=counts if isinstance(counts, dict) else {},
        error=error,
        trace=trace,
    )


def _failed(job: Job) -> KnownJob:
    result = job.latest_result()
    trace = without_secrets((result.exc_string if result is not None else None) or "")
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    return _known(job, error=lines[-1][:500] if lines else "", trace=trace)


def _workers(one: Queue) -> list[Worker]:
    """Asked of Redis as it is: RQ's own objects would change the timeouts of the connection."""
    keys = sorted(get_keys(queue=one))[:MOST_WORKERS]
    with redis_connection().pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hgetall(key)
        told = pipe.execute()
    workers = []
    for key, raw in zip(keys, told, strict=True):
        one_told = {_text(name): _text(value) for name, value in raw.items()}
        if not one_told or "death" in one_told:
            continue
        heard = one_told.get("last_heartbeat")
        workers.append(
            Worker(
                name=_text(key).rsplit(":", 1)[-1],
                host=one_told.get("hostname", ""),
                pid=one_told.get("pid", ""),
                busy=one_told.get("state") == "busy",
                heard_at=_utc(utcparse(heard)) if heard else None,
            )
        )
    return workers


def _cron_heard_at() -> datetime | None:
    newest: Any = redis_connection().zrange(get_registry_key(), 0, 0, desc=True, withscores=True)
    return datetime.fromtimestamp(newest[0][1], tz=UTC) if newest else None


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
