"""A works of its own: private PostgreSQL and Redis, a shop with a Stripe that can be made to hang, worker processes.

For tests that kill, flush and restart what others must not lose.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis as redis_py

from tests.billing.shop import Shop
from tests.forks import Forked, Forks
from webapp.embedded.servers import Servers

PATIENCE_SECONDS = 60.0


@dataclass
class Gate:
    """In front of the sandbox: while it is shut, questions about Checkout Sessions wait."""

    application: Any = None
    opened: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        self.opened.set()

    def __call__(self, environ: Any, start: Any) -> Any:
        asks = environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].startswith("/v1/checkout/sessions/")
        if asks and not self.opened.is_set():
            self.waiting.release()
            self.opened.wait(PATIENCE_SECONDS)
        return self.application(environ, start)


@dataclass
class Works:
    servers: Servers
    shop: Shop
    gate: Gate
    log: Path
    forks: Forks
    processes: list[Forked] = field(default_factory=list)

    @property
    def redis(self) -> Any:
        return redis_py.Redis.from_url(self.servers.redis_url)

    def start(self, module: str) -> psutil.Process:
        """A worker or a scheduler in a process of its own."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "DATABASE_URL": self.servers.database_url,
            "REDIS_URL": self.servers.redis_url,
            "DATA_DIR": str(self.servers.data_dir),
            "STRIPE_API_BASE": self.shop.sandbox_url,
        }
        process = self.forks.start(module, environment=environment, output=self.log)
        self.processes.append(process)
        return psutil.Process(process.pid)

    def stop_all(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                with suppress(psutil.NoSuchProcess):  # gone meanwhile, which is what we want
                    for child in psutil.Process(process.pid).children(recursive=True):
                        with suppress(psutil.NoSuchProcess):
                            child.kill()
                with suppress(ProcessLookupError):
                    process.kill()
            process.wait(30)
        self.processes.clear()

    def pass_time(self, by: timedelta) -> None:
        """Every clock is later by that, in every process within a second."""
        with psycopg.connect(self.servers.owner_url) as connection:
            connection.execute("SELECT ledger.advance_clock(%s)", [by])
        from webapp import clock
        from webapp.extensions import db

        with self.shop.app.app_context():
            clock.follow(db.session(), movable=True, at_once=True)
            db.session.rollback()

    def wait_until(self, happened: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, f"not within {seconds} s:\n{self.output}"
            time.sleep(0.05)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")[-8000:]

    @contextmanager
    def shut_gate(self) -> Iterator[Gate]:
        self.gate.opened.clear()
        try:
            yield self.gate
        finally:
            self.gate.opened.set()


def horses(worker: psutil.Process) -> list[psutil.Process]:
    """The processes that a worker forked to do its jobs."""
    found = []
    for child in worker.children():
        with suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found
