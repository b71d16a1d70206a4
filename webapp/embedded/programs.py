"""Which processes make up a running Tallystick, and in which order they end."""

import os
import sys
from collections.abc import Mapping

from webapp.config import Settings
from webapp.embedded.tree import Program

HOST = os.environ.get("HOST", "127.0.0.1")
METRICS = "metrics"  # in DATA_DIR: where the web processes add up their counters
WEB_WORKERS = 2
WEB_THREADS = 4
# An open tab keeps its connection, and granian begins no more than so many, whether or not they ask for anything.
WEB_CONNECTIONS = 4_096


def programs_of(settings: Settings, *, environment: Mapping[str, str]) -> list[Program]:
    """Web, worker, cron, and the Stripe sandbox unless another Stripe is named.

    Web and cron end first, so that nothing new comes in; then the worker, its job done; last the sandbox,
    which that job may still call.
    """
    web = ["-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(settings.port)]
    web += ["--workers", str(WEB_WORKERS), "--blocking-threads", str(WEB_THREADS)]
    web += ["--backlog", str(WEB_CONNECTIONS), "--backpressure", str(WEB_CONNECTIONS)]
    web += [
        "--respawn-failed-workers",
        "--workers-kill-timeout",
        "5",
        "--log-level",
        "warning",
        "webapp.wsgi:app",
    ]
    counting = {"PROMETHEUS_MULTIPROC_DIR": str(settings.data_dir / METRICS), **environment}
    programs = [
        Program(name="web", command=[sys.executable, *web], environment=counting),
        Program(name="cron", command=_module("jobs.cron"), environment=environment),
        Program(name="worker", command=_module("jobs.worker"), environment=environment, stop_rank=1),
    ]
    if runs_sandbox(settings):
        sandbox = _module("webapp.stripe_sandbox")
        programs.append(Program(name="sandbox", command=sandbox, environment=environment, stop_rank=2))
    return programs


def seed_program(settings: Settings, *, environment: Mapping[str, str]) -> Program:
    """`flask seed demo`, once, with the owner's rights. It finds out by itself what is there already."""
    with_owner = {**environment, "DATABASE_OWNER_URL": settings.database_owner_url or ""}
    command = [*_module("flask"), "--app", "webapp.wsgi", "seed", "demo"]
    return Program(name="seed", command=command, environment=with_owner, once=True)


def runs_sandbox(settings: Settings) -> bool:
    """Whether our own Stripe double serves: in sandbox mode, unless STRIPE_API_BASE names another one."""
    return settings.sandbox and settings.stripe_api_base == f"http://127.0.0.1:{settings.port + 1}"


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]
