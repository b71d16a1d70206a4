"""The table of periodic jobs, and two schedulers beside each other."""

import json
from contextlib import suppress
from datetime import timedelta

from flask import Flask

from jobs.cron import OncePerSlot, Scheduler
from jobs.schedule import SCHEDULE
from webapp.billing.stripe_api import PaymentsUnavailable
from webapp.database import unit_of_work
from webapp.queue import redis_connection


def test_each_periodic_job_runs_twice_without_harm(app: Flask) -> None:
    with app.app_context():
        for periodic in (*SCHEDULE, *SCHEDULE):
            with suppress(PaymentsUnavailable):  # nobody plays Stripe here
                periodic.job()
            with unit_of_work() as session:
                assert session.connection().exec_driver_sql("SELECT * FROM ledger.violations_v").all() == []


def test_two_schedulers_enqueue_a_job_once_a_slot_in_json(app: Flask) -> None:
    with app.app_context():
        redis = redis_connection()
        for key in redis.scan_iter("rq:*"):
            redis.delete(key)
        for _ in range(2):
            for periodic in SCHEDULE:
                OncePerSlot(periodic).enqueue(redis)
        queued = [name.decode() for name in redis.lrange("rq:queue:default", 0, -1)]
        # the clock may have entered the next slot of the shortest interval in between
        shortest = min(periodic.every_seconds for periodic in SCHEDULE)
        twice = sum(periodic.every_seconds == shortest for periodic in SCHEDULE)
        assert len(SCHEDULE) <= len(queued) <= len(SCHEDULE) + twice
        for name in queued:
            data = json.loads(__import__("zlib").decompress(redis.hget(f"rq:job:{name}", "data")))
            assert data[0].startswith("jobs.")
            assert redis.ttl(f"rq:job:{name}") > 0


def test_the_sweeper_comes_often_enough_for_the_promise_of_a_minute() -> None:
    from webapp.outbox import RETRY_AFTER

    sweep = next(periodic for periodic in SCHEDULE if periodic.name == "sweep_outbox")
    assert RETRY_AFTER + timedelta(seconds=2 * sweep.every_seconds) < timedelta(seconds=60)


def test_a_scheduler_never_sleeps_for_long(app: Flask) -> None:
    assert Scheduler(app.extensions["redis"]).calculate_sleep_interval() <= 5
