"""Private servers for one run: PostgreSQL and Redis in a temporary folder, and the web as production runs it."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from webapp.config import Settings
from webapp.database import upgrade
from webapp.embedded.programs import WEB_CONNECTIONS, WEB_THREADS, WEB_WORKERS
from webapp.embedded.servers import Servers, ensure_servers

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# As a machine of this size would be set up; durability stays on: fsync and synchronous_commit are not touched.
POSTGRESQL = {"shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}


@contextmanager
def private_servers() -> Iterator[Servers]:
    """Migrated servers, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tallystick-bench-"))
    servers = ensure_servers(folder, settings=POSTGRESQL)
    try:
        upgrade(owner_url=servers.owner_url, database_url=servers.database_url, sandbox=True)
        yield servers
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


def environment_of(servers: Servers, *, port: int) -> dict[str, str]:
    return {
        "DATABASE_URL": servers.database_url,
        "DATABASE_OWNER_URL": servers.owner_url,
        "REDIS_URL": servers.redis_url,
        "DATA_DIR": str(servers.data_dir),
        "PORT": str(port),
    }


def make_key(servers: Servers) -> str:
    """An API key whose limit no benchmark reaches, and a rate card to charge by."""
    from webapp import create_app
    from webapp.api.keys import create_key
    from webapp.catalog.install import install_shipped_catalog
    from webapp.database import unit_of_work

    app = create_app(Settings.from_environment(environment_of(servers, port=8000)))
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
        _key, secret = create_key(
            session, name="bench", scopes=["credits:spend"], sandbox=True, rate_per_minute=10_000_000
        )
    return secret


@contextmanager
def web(servers: Servers, *, app: Sequence[str] = ("webapp.wsgi:app",)) -> Iterator[int]:
    """granian as `make run` starts it; yields its port. `app` is what it serves, with granian's options for that."""
    port = _free_port()
    command = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
        "--workers", str(WEB_WORKERS), "--blocking-threads", str(WEB_THREADS), "--log-level", "warning",
        "--backlog", str(WEB_CONNECTIONS), "--backpressure", str(WEB_CONNECTIONS),
        *app,
    ]  # fmt: skip
    counters = {METRICS_FOLDER: str(servers.data_dir / f"metrics-{port}")}
    environment = {**os.environ, **environment_of(servers, port=port), **counters}
    with (servers.data_dir / f"web-{port}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(f"http://127.0.0.1:{port}/healthz", process)
            yield port
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Its workers end with it, and whatever hangs is killed: nothing may outlive a benchmark."""
    workers = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            worker.kill()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180  # a busy machine imports slowly
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{url} did not answer")
