"""`python -m jobs.cron`: hands the periodic jobs to the workers. Any number of these may run beside each other."""

import random
import time

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.cron import CronJob, CronScheduler
from rq.exceptions import DuplicateJobError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import now

from jobs.application import application
from jobs.run_periodic import run_periodic
from jobs.schedule import SCHEDULE, Periodic
from webapp.queue import QUEUE

log = structlog.get_logger()

LONGEST_SLEEP_SECONDS = 5.0
WAIT_SECONDS = 1.0


class OncePerSlot(CronJob):
    """A periodic job that several schedulers enqueue once for each slot of its interval.

    Its id names the slot, so that whoever comes second is refused by Redis. A job that waited for longer than its
    interval is dropped from the queue: the next one does its work. RQ's own class would pickle it, too.
    """

    def __init__(self, periodic: Periodic) -> None:
        super().__init__(
            QUEUE,
            func=run_periodic,
            args=(periodic.name,),
            interval=periodic.every_seconds,
            job_timeout=periodic.timeout_seconds,
        )
        self.periodic = periodic

    def enqueue(self, connection: Redis) -> Job:
        slot = int(now().timestamp()) // self.periodic.every_seconds
        queue = Queue(QUEUE, connection=connection, serializer=JSONSerializer)
        job_id = f"periodic-{self.periodic.name}-{slot}"
        try:
            return queue.enqueue(
                run_periodic,
                self.periodic.name,
                job_id=job_id,
                unique=True,
                job_timeout=self.periodic.timeout_seconds,
                ttl=max(self.periodic.every_seconds, 30),
                result_ttl=max(self.periodic.every_seconds, 60),
                failure_ttl=3600,
            )
        except DuplicateJobError:
            return Job(id=job_id, connection=connection, serializer=JSONSerializer)


class Scheduler(CronScheduler):
    """RQ's scheduler over our table, which waits for Redis where RQ's would end."""

    def __init__(self, connection: Redis) -> None:
        super().__init__(connection=connection)
        self.serializer = JSONSerializer
        self._cron_jobs = [OncePerSlot(periodic) for periodic in SCHEDULE]

    def calculate_sleep_interval(self) -> float:
        """Never long, so that a signal or a changed clock is noticed."""
        return min(super().calculate_sleep_interval(), LONGEST_SLEEP_SECONDS)


def run() -> None:
    """Schedule until a signal says stop. Redis may restart meanwhile."""
    app = application()
    while True:
        try:
            Scheduler(app.extensions["redis"]).start()  # type: ignore[no-untyped-call]
            return
        except (RedisError, OSError) as error:
            log.warning("cron_waits_for_redis", error=str(error))
            try:
                time.sleep(WAIT_SECONDS + random.random())  # noqa: S311 - spreads schedulers, guards nothing
            except (KeyboardInterrupt, StopRequested):
                return


if __name__ == "__main__":
    run()
