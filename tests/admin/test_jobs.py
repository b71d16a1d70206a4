"""/admin/jobs: what works, waits and failed; trying again once, on record; and what is left when Redis is away."""

import secrets
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer
from sqlalchemy import select

from tests.credits.member import Member
from webapp import clock, outbox
from webapp.admin.audit import AuditLine
from webapp.admin.jobs_secrets import without_secrets
from webapp.database import unit_of_work
from webapp.job_runs import begin_run, end_run
from webapp.outbox import OutboxRow
from webapp.queue import queue

PATH = "/admin/jobs"


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


@pytest.fixture
def rq(shop: Flask) -> Iterator[Queue]:
    """The queue of this worker's Redis, empty before and after."""
    with shop.app_context():
        one = queue()
        one.empty()
        FailedJobRegistry(queue=one).cleanup()
        for job_id in FailedJobRegistry(queue=one).get_job_ids():
            FailedJobRegistry(queue=one).remove(job_id)
        yield one
        one.empty()


def fail(one: Queue, name: str = "expire_due", trace: str = "Traceback …\nRuntimeError: the disk is full") -> Job:
    """A periodic job that failed, as a worker leaves it."""
    job = one.enqueue("jobs.run_periodic.run_periodic", name, job_id=f"test-{secrets.token_hex(6)}")
    one.remove(job)
    with one.connection.pipeline() as pipe:
        FailedJobRegistry(queue=one).add(job, ttl=60, pipeline=pipe)
        Result.create_failure(job, ttl=60, exc_string=trace, pipeline=pipe)
        pipe.execute()
    return job


def put(app: Flask, *, parked: str = "", args: dict[str, Any] | None = None) -> int:
    """A row of the outbox, set aside when `parked` says why."""
    with app.app_context(), unit_of_work() as session:
        row_id = outbox.put(session, job="send_mail", key=f"test:{secrets.token_hex(6)}", args=args or {"mail": "none"})
        outbox.take_pending(session)
        if parked:
            outbox.park(session, row=session.get_one(OutboxRow, row_id), reason=parked)
    return row_id


def lines(app: Flask, *, subject: str) -> list[AuditLine]:
    with app.app_context(), unit_of_work() as session:
        found = list(session.scalars(select(AuditLine).where(AuditLine.subject == subject)))
        session.expunge_all()
    return found


def test_the_page_tells_of_jobs_outbox_and_schedule(shop: Flask, finance: Member, rq: Queue) -> None:
    rq.enqueue("jobs.send_mail.send_mail", 1)
    fail(rq)
    parked = put(shop, parked="SMTPServerDisconnected: <b>gone</b>")
    with shop.app_context(), unit_of_work() as session:
        run_id = begin_run(session, name="expire_due")
        end_run(session, run_id=run_id, counts={"accounts": 12})
    page = finance.get(PATH)
    assert page.status_code == 200
    assert 'data-figure="waiting">1<' in page.text
    assert "RuntimeError: the disk is full" in page.text
    assert f'data-parked="{parked}"' in page.text
    assert "&lt;b&gt;gone" in page.text
    assert 'data-periodic="verify_ledger"' in page.text
    assert "accounts 12" in page.text


def test_a_worker_and_its_job_are_seen(finance: Member, rq: Queue) -> None:
    from rq.registry import StartedJobRegistry
    from rq.utils import now, utcformat

    name = f"rq:worker:{secrets.token_hex(6)}"
    job = rq.enqueue("jobs.run_periodic.run_periodic", "grant_due", meta={"counts": {"periods": 40}})
    rq.remove(job)
    rq.connection.hset(
        name, mapping={"hostname": "box", "pid": 42, "state": "busy", "last_heartbeat": utcformat(now())}
    )
    rq.connection.sadd("rq:workers:default", name)
    rq.connection.zadd(StartedJobRegistry(queue=rq).key, {f"{job.id}:run": time.time() + 60})
    try:
        part = finance.get(f"{PATH}/now")
        assert 'data-figure="workers">1<' in part.text
        assert "box 42" in part.text
        assert "periods 40" in part.text
        assert "<html" not in part.text
    finally:
        rq.connection.srem("rq:workers:default", name)
        rq.connection.zrem(StartedJobRegistry(queue=rq).key, f"{job.id}:run")
        rq.connection.delete(name)


def test_a_failed_job_is_retried_once_and_on_record(shop: Flask, finance: Member, rq: Queue) -> None:
    job = fail(rq)
    assert "the disk is full" in finance.get(f"{PATH}/failed/{job.id}").text
    for _press in range(2):
        assert finance.post(f"{PATH}/failed/{job.id}/retry", form=PATH).status_code == 303
    assert rq.job_ids == [job.id]
    assert FailedJobRegistry(queue=rq).get_job_ids() == []
    (line,) = lines(shop, subject=f"job:{job.id}")
    assert (line.act, line.who) == ("job.retry", finance.email)
    assert finance.get(f"{PATH}/failed/{job.id}").status_code == 404


def test_all_failed_jobs_are_retried(finance: Member, rq: Queue) -> None:
    failed = {fail(rq).id for _each in range(3)}
    assert finance.post(f"{PATH}/failed/retry", form=PATH).status_code == 303
    assert set(rq.job_ids) == failed


def test_a_periodic_job_is_run_by_hand_once_for_two_presses(shop: Flask, finance: Member, rq: Queue) -> None:
    before = len(lines(shop, subject="job:tidy_outbox"))
    for _press in range(2):
        assert finance.post(f"{PATH}/periodic/tidy_outbox/run", form=PATH).status_code == 303
    jobs = [Job.fetch(job_id, connection=rq.connection, serializer=JSONSerializer) for job_id in rq.job_ids]
    assert {tuple(job.args) for job in jobs} == {("tidy_outbox",)}
    assert len(jobs) == len(lines(shop, subject="job:tidy_outbox")) - before
    assert len(jobs) in (1, 2)  # two when a slot of seconds ended between the presses
    assert finance.post(f"{PATH}/periodic/no_such_job/run", form=PATH).status_code == 404


def test_what_was_set_aside_is_put_to_work_again(shop: Flask, finance: Member, rq: Queue) -> None:
    row_id = put(shop, parked="ConnectionError: refused")
    assert "ConnectionError: refused" in finance.get(f"{PATH}/outbox/{row_id}").text
    for _press in range(2):
        assert finance.post(f"{PATH}/outbox/{row_id}/replay", form=PATH).status_code == 303
    with shop.app_context(), unit_of_work() as session:
        row = session.get_one(OutboxRow, row_id)
        assert (row.parked_at, row.attempts) == (None, 0)
    (line,) = lines(shop, subject=f"outbox:{row_id}")
    assert (line.act, line.before["error"]) == ("outbox.replay", "ConnectionError: refused")
    assert len(rq.job_ids) == 1


def test_all_that_was_set_aside_is_due_at_once(shop: Flask, finance: Member, rq: Queue) -> None:
    rows = [put(shop, parked="refused") for _each in range(2)]
    assert finance.post(f"{PATH}/outbox/replay", form=PATH).status_code == 303
    with shop.app_context(), unit_of_work() as session:
        for row_id in rows:
            row = session.get_one(OutboxRow, row_id)
            assert row.parked_at is None
            assert row.due_at <= clock.now() + timedelta(seconds=1)


def test_the_lists_are_filtered_and_downloaded(shop: Flask, finance: Member) -> None:
    row_id = put(shop, parked="=HYPERLINK()")
    waiting = put(shop)
    page = finance.get(f"{PATH}/outbox?state=parked").text
    assert f'data-id="{row_id}"' in page
    assert f'data-id="{waiting}"' not in page
    assert "'=HYPERLINK()" in finance.download(f"{PATH}/outbox.csv?state=parked").text
    assert finance.get(f"{PATH}/runs?outcome=failed&name=expire_due").status_code == 200
    assert finance.download(f"{PATH}/runs.csv").status_code == 200


def test_without_redis_the_page_says_so_and_shows_what_postgresql_knows(
    shop: Flask, finance: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    row_id = put(shop, parked="refused")
    before = finance.token(PATH)
    away = Redis(port=1, socket_connect_timeout=1, socket_timeout=1, retry=Retry(NoBackoff(), 1))
    monkeypatch.setitem(shop.extensions, "redis", away)
    page = finance.get(PATH)
    assert page.status_code == 200
    assert 'data-redis="away"' in page.text
    assert f'data-parked="{row_id}"' in page.text
    assert 'data-periodic="expire_due"' in page.text
    for path in ("failed/x/retry", "failed/retry", "periodic/expire_due/run", f"outbox/{row_id}/replay"):
        answer = finance.post_raw(f"{PATH}/{path}", {"csrf_token": before})
        assert answer.status_code == 303, path
    assert finance.get(f"{PATH}/now").status_code == 200
    assert lines(shop, subject="job:x") == []
    assert len(lines(shop, subject=f"outbox:{row_id}")) == 1  # PostgreSQL alone had to know of it


@pytest.mark.parametrize("role", [None, "support", "translator"])
def test_who_lacks_the_role_finds_nothing(person: Callable[..., Member], role: str | None) -> None:
    one = person(role)
    for path in ("", "/now", "/outbox", "/outbox.csv", "/runs", "/outbox/1", "/failed/x"):
        assert one.get(PATH + path).status_code == 404, path


@pytest.mark.parametrize(
    ("told", "secret"),
    [
        ("could not connect to postgresql://app:hunter22@db:5432/t", "hunter22"),
        ("InvalidRequestError: No such key sk_live_51Habcdefgh", "51Habcdefgh"),
        ("headers = {'Authorization': 'Bearer abcdefgh12345678'}", "abcdefgh12345678"),
        ("connect(password='open sesame')", "open"),
        ("KeyError: tsk_live_abcdef123456", "abcdef123456"),
    ],
)
def test_traces_are_shown_without_secrets(shop: Flask, told: str, secret: str) -> None:
    with shop.app_context():
        assert secret not in without_secrets(told)
