"""GET /metrics: what happens here, for Prometheus.

Several web processes answer on one port, and a scrape reaches any of them. So their counters live in files of
PROMETHEUS_MULTIPROC_DIR, where each process writes its own and any process adds up all of them; without that
variable, a process tells of its own requests only. The folder is to be new at each start of the web server.
What the workers leave undone, and what is written to the ledger by whomever, is asked of PostgreSQL at each scrape.
"""

import hmac
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import structlog
from flask import Response, abort, current_app, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import Unauthorized

from webapp import clock
from webapp.application import Application
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.extensions import limiter
from webapp.job_runs import JobRun
from webapp.queue import queue
from webapp.usage.reading import Backlog as UsageBacklog
from webapp.usage.reading import backlog as usage_backlog

log = structlog.get_logger()

_OWN = CollectorRegistry()
REQUESTS = Counter("tallystick_http_requests", "Requests answered.", ["method", "route", "status"], registry=_OWN)
SECONDS = Histogram(
    "tallystick_http_request_duration_seconds",
    "From the beginning of the work to the answer; the time to stream a long one is not in it.",
    ["method", "route"],
    registry=_OWN,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_LAST_ENDED = text("SELECT max(id) FROM job_runs WHERE finished_at IS NOT NULL GROUP BY name ORDER BY name")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")


def register(app: Application) -> None:
    """Count every request, and serve /metrics to who may read it."""
    folder = _shared_folder()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    app.after_every_request(count)
    app.add_url_rule("/metrics", "metrics", limiter.exempt(show_metrics))


def count(response: Response) -> Response:
    """One more request of this route; addresses that nobody serves are one route, whatever a stranger tries."""
    route = request.url_rule.rule if request.url_rule is not None else "unknown"
    method = request.method if request.method in _METHODS else "other"
    REQUESTS.labels(method, route, str(response.status_code)).inc()
    began = g.get("request_began")
    if began is not None:
        SECONDS.labels(method, route).observe(time.perf_counter() - began)
    return response


def show_metrics() -> Response:
    """All figures as text; 401 or 404 to who may not read them."""
    settings: Settings = current_app.config["SETTINGS"]
    _admit(settings.metrics_token)
    registry = CollectorRegistry()
    if _shared_folder() is None:
        registry.register(_OWN)
    else:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(Backlog())
    response = Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    response.headers["Cache-Control"] = "no-store"
    return response


def _admit(token: str | None) -> None:
    """With METRICS_TOKEN, whoever sends it; without, only this machine itself and no proxy on it."""
    if token is not None:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), f"Bearer {token}".encode()):
            answer = Response("METRICS_TOKEN is expected as a bearer token.\n", 401, mimetype="text/plain")
            answer.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
            raise Unauthorized(response=answer)
    elif not _is_this_machine() or any(name in request.headers for name in _FORWARDED):
        abort(404)


def _is_this_machine() -> bool:
    try:
        return ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _shared_folder() -> Path | None:
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(folder) if folder else None


@dataclass(frozen=True, kw_only=True)
class _Undone:
    waiting: int
    parked: int
    events_parked: int
    oldest_seconds: float
    entries_written: int
    jobs: list[JobRun]
    usage: UsageBacklog
    usage_oldest_seconds: float


class Backlog(Collector):
    """What waits in the outbox and in RQ, and how much was written to the ledger, as of the scrape."""

    def collect(self) -> Iterator[Metric]:
        undone = _undone()
        yield GaugeMetricFamily(
            "tallystick_database_up", "Whether PostgreSQL answered this scrape.", value=float(undone is not None)
        )
        if undone is not None:
            rows = GaugeMetricFamily("tallystick_outbox_rows", "Rows of the outbox not done yet.", labels=["state"])
            rows.add_metric(["waiting"], undone.waiting)
            rows.add_metric(["parked"], undone.parked)
            yield rows
            yield GaugeMetricFamily(
                "tallystick_stripe_events_parked",
                "Events of Stripe's that wait for a person.",
                value=undone.events_parked,
            )
            yield GaugeMetricFamily(
                "tallystick_outbox_oldest_seconds",
                "Age of the oldest row that is neither done nor parked; 0 when there is none.",
                value=undone.oldest_seconds,
            )
            yield CounterMetricFamily(
                "tallystick_ledger_entries_written",
                "Entries written to the ledger by anybody, as PostgreSQL counts since its statistics were reset.",
                value=undone.entries_written,
            )
            yield from _of_jobs(undone.jobs)
            yield from _of_usage(undone)
        waiting = _jobs_waiting()
        if waiting is not None:
            yield GaugeMetricFamily("tallystick_jobs_waiting", "Jobs in RQ that no worker has taken.", value=waiting)


def _undone() -> _Undone | None:
    """None when the database is away: the rest is still told."""
    try:
        with unit_of_work() as session:
            row = session.execute(
                text(
                    "SELECT count(*) AS waiting, min(created_at) AS oldest,"
                    " (SELECT count(*) FROM outbox WHERE done_at IS NULL AND parked_at IS NOT NULL) AS parked,"
                    " (SELECT count(*) FROM stripe_events WHERE state = 'parked') AS events_parked,"
                    " (SELECT n_tup_ins FROM pg_stat_all_tables"
                    "   WHERE schemaname = 'ledger' AND relname = 'entries') AS entries_written"
                    " FROM outbox WHERE done_at IS NULL AND parked_at IS NULL"
                )
            ).one()
            jobs = [session.get_one(JobRun, run_id) for run_id in session.execute(_LAST_ENDED).scalars()]
            session.expunge_all()
            usage = usage_backlog(session)
    except SQLAlchemyError as error:
        log.warning("metrics_without_database", error=type(error).__name__)
        return None
    return _Undone(
        waiting=row.waiting,
        parked=row.parked,
        events_parked=row.events_parked,
        oldest_seconds=_age(row.oldest),
        entries_written=row.entries_written or 0,
        jobs=jobs,
        usage=usage,
        usage_oldest_seconds=_age(usage.pending_since),
    )


def _age(moment: datetime | None) -> float:
    return max((clock.now() - moment).total_seconds(), 0.0) if moment else 0.0


def _of_usage(undone: _Undone) -> Iterator[Metric]:
    """Queued usage that is not charged: what waits for a worker, and what could not be paid."""
    events = GaugeMetricFamily("tallystick_usage_events", "Queued usage that is not charged.", labels=["state"])
    events.add_metric(["pending"], undone.usage.pending)
    events.add_metric(["parked"], undone.usage.parked)
    yield events
    yield GaugeMetricFamily(
        "tallystick_usage_oldest_seconds",
        "For how long the oldest pending usage event has waited; 0 when there is none.",
        value=undone.usage_oldest_seconds,
    )


def _of_jobs(runs: list[JobRun]) -> Iterator[Metric]:
    """The last run of each periodic job that came to an end, and what the proof of the ledger found."""
    ended = GaugeMetricFamily("tallystick_job_ended_seconds", "When the job's last run ended.", labels=["job"])
    took = GaugeMetricFamily("tallystick_job_took_seconds", "How long the job's last run took.", labels=["job"])
    failed = GaugeMetricFamily("tallystick_job_failed", "Whether the job's last run failed.", labels=["job"])
    for run in runs:
        if run.finished_at is None or run.took is None:
            continue
        ended.add_metric([run.name], run.finished_at.timestamp())
        took.add_metric([run.name], run.took.total_seconds())
        failed.add_metric([run.name], float(run.outcome == "failed"))
        if run.name == "verify_ledger" and run.outcome == "done":
            yield GaugeMetricFamily(
                "tallystick_ledger_findings",
                "Lies that the last proof of the ledger found; none, unless the ledger was tampered with.",
                value=run.counts.get("findings", 0),
            )
    yield from (ended, took, failed)


def _jobs_waiting() -> int | None:
    try:
        return queue().count
    except RedisError as error:
        log.warning("metrics_without_redis", error=type(error).__name__)
        return None
