"""`python -m jobs.worker`: runs what is in the queue, a forked process for each job."""

import gc
import pkgutil
import signal
import time
from importlib import import_module
from types import FrameType
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Worker
from rq.serializers import JSONSerializer
from sqlalchemy.orm import configure_mappers

import jobs
from jobs.application import application
from webapp.config import Settings
from webapp.queue import QUEUE

log = structlog.get_logger()

WAIT_SECONDS = 1.0
PROGRAMS = ("jobs.worker", "jobs.cron")


class StoppableWorker(Worker):
    """RQ's worker, which also knows whether it ended because it was told to."""

    told_to_stop = False

    def request_stop(self, signum: int, frame: FrameType | None) -> Any:
        self.told_to_stop = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


def run() -> None:
    """Work until a signal says stop.

    When Redis goes away the worker begins anew: whatever Redis forgot, the sweeper hands out again.
    """
    settings: Settings = application().config["SETTINGS"]
    assert settings.redis_url is not None
    _prepare_forks()
    while True:
        # a connection of its own: RQ waits on it for minutes, and changes its timeouts
        connection = Redis.from_url(settings.redis_url, socket_connect_timeout=2)
        worker = None
        try:
            worker = StoppableWorker([QUEUE], connection=connection, serializer=JSONSerializer)
            worker.work(logging_level="WARNING")
        except (RedisError, OSError) as error:
            log.warning("worker_waits_for_redis", error=str(error))
        if worker is not None and worker.told_to_stop:
            return
        # the ended worker's handlers would ask Redis what they are doing
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave)
        time.sleep(WAIT_SECONDS)


def _prepare_forks() -> None:
    """What every job would do first is done once: a fork of this process is given it."""
    for module in pkgutil.iter_modules(jobs.__path__, "jobs."):
        if module.name not in PROGRAMS:
            import_module(module.name)
    configure_mappers()
    gc.collect()
    gc.freeze()  # a fork that looked through all of it for garbage would also have a copy made of it


def _leave(_signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    run()
