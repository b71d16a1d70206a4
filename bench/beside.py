"""A job's chunks as it works through them, with its rests, and what spends of other accounts lose beside it."""

import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from multiprocessing.pool import Pool, ThreadPool

import psutil
from flask import Flask

from bench.clients import SPEND, sql_client
from bench.measure import Round, run_round
from bench.servers import Servers, environment_of
from jobs.pace import paced
from webapp import create_app
from webapp.config import Settings

BYSTANDERS = 2


@dataclass
class Run:
    """A job's chunks, in milliseconds; how long all of it took, and by how many MB its memory grew after the fifth."""

    chunks: "array[float]" = field(default_factory=lambda: array("d"))
    seconds: float = 0.0
    grown_mb: float = 0.0

    @property
    def worked(self) -> float:
        """Seconds without the rests."""
        return sum(self.chunks) / 1000


def application_on(servers: Servers) -> Flask:
    return create_app(Settings.from_environment(environment_of(servers, port=8000)))


def run_paced(application: Flask, chunk: Callable[[], object], *, longest_seconds: float = inf) -> Run:
    """`chunk` is done as a job does it, with its rests."""
    run, first_mb = Run(), 0.0

    def timed() -> object:
        began = time.time()
        done = chunk()
        if done:
            run.chunks.append((time.time() - began) * 1000)
        return done

    with application.app_context():
        began = time.time()
        for _done in paced(timed, longest_seconds=longest_seconds):
            if len(run.chunks) == 5:
                first_mb = _resident_mb()
        run.seconds = time.time() - began
    run.grown_mb = _resident_mb() - first_mb if first_mb else 0.0
    return run


def _resident_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


def beside_job(
    pool: Pool, servers: Servers, many: tuple[int, int], *, job: Callable[..., Run], seconds: float
) -> tuple[Round, Round, float]:
    """Spends by themselves, spends while `job` runs, and what share of that time its chunks took."""
    application = application_on(servers)
    clients = [(servers.database_url, SPEND, *many)] * BYSTANDERS
    quiet = run_round(pool, sql_client, clients, seconds=seconds)
    with ThreadPool(1) as threads:
        running = threads.apply_async(job, (application,), {"longest_seconds": seconds + 1.5})
        beside = run_round(pool, sql_client, clients, seconds=seconds)
        run = running.get()
    return quiet, beside, run.worked / run.seconds
