"""`make run`: servers, migrations, demo data and every process of Tallystick in one tree."""

import http.client
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis
from dotenv import load_dotenv
from sqlalchemy.exc import SQLAlchemyError

from webapp.config import Settings, UnsafeSettings
from webapp.embedded import places, running
from webapp.embedded.banner import banner
from webapp.embedded.errors import CannotStart
from webapp.embedded.output import Output
from webapp.embedded.processes import end_with_parent
from webapp.embedded.programs import HOST, METRICS, programs_of, runs_sandbox, seed_program
from webapp.embedded.servers import Servers, ensure_servers
from webapp.embedded.tree import Program, Tree

# Python needs a second of a core for each process: what a visitor waits for goes first, the rest when it is ready.
FIRST = ("web", "sandbox")
FIRST_ALONE_SECONDS = 15.0
ROOT = Path(__file__).parents[2]


def main(arguments: list[str]) -> int:
    """Run until Ctrl-C or SIGTERM. Exit codes: 0 stopped, 1 cannot start or live, 2 unsafe settings."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # until the tree listens itself
    if "--end-with-parent" in arguments:
        end_with_parent()
    if not os.environ.get("FLASK_SKIP_DOTENV"):
        load_dotenv(ROOT / ".env")  # as `flask …` does; what the shell has set wins
    try:
        return _run()
    except UnsafeSettings as error:
        print(error, file=sys.stderr)
        return 2
    except CannotStart as error:
        print(f"Tallystick cannot start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run() -> int:
    output = Output()
    began = time.monotonic()
    settings = Settings.from_environment(os.environ)
    data_dir = places.prepare_data_dir(data_dir=settings.data_dir)
    with ExitStack() as stack:
        stack.enter_context(running.claim_data_dir(data_dir=data_dir))
        if left := running.end_leftovers(data_dir=data_dir):
            output.say(f"ended what a killed run had left: {', '.join(left)}")
        shutil.rmtree(data_dir / METRICS, ignore_errors=True)  # counters begin anew with their processes
        _refuse_used_ports(settings)
        settings = _with_secret_key(settings)
        servers = stack.enter_context(
            ensure_servers(data_dir, database=not settings.database_url, redis=not settings.redis_url)
        )
        settings = _with_servers(settings, servers)
        _bring_up_to_date(settings)
        code = Runner(settings=settings, servers=servers, output=output, began=began).run()
        output.say("stopped.")
        return code


class Runner:
    """Watches over the tree: servers alive, web ready, demo data seeded, banner shown."""

    def __init__(self, *, settings: Settings, servers: Servers, output: Output, began: float) -> None:
        self._settings = settings
        self._servers = servers
        self._output = output
        self._began = began
        self._ready = False
        self._environment = environment_of(settings)
        self._waiting = programs_of(settings, environment=self._environment)
        self._tree = Tree(cwd=ROOT, output=output, changed=self._record, others=servers.pids)

    def run(self) -> int:
        """Start everything, run it, end everything; the exit code."""
        try:
            self._start(lambda program: program.name in FIRST)
            return self._tree.run(tick=self._tick, ended=self._ended)
        finally:
            self._servers.stop()
            self._tree.end_strays()
            running.forget(data_dir=self._settings.data_dir)

    def _record(self, processes: dict[str, int]) -> None:
        owner = {"DATABASE_OWNER_URL": self._settings.database_owner_url or ""}
        environment = {**self._environment, **owner}
        names = ("PORT", "DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "BASE_URL", "SECRET_KEY")
        stripe = ("STRIPE_API_BASE", "STRIPE_WEBHOOK_SECRET")
        chosen = {name: environment[name] for name in (*names, *stripe) if environment.get(name)}
        running.record(data_dir=self._settings.data_dir, environment=chosen, processes=processes)

    def _tick(self) -> float:
        if not self._servers.alive():
            self._output.say("a server has died; starting it again.")
            self._servers.revive()
        if not self._ready and _answers_ready(self._settings):
            self._ready = True
            self._start(lambda _: True)
            if self._settings.sandbox:
                self._tree.start(seed_program(self._settings, environment=self._environment))
            else:
                self._show_banner()
        if time.monotonic() - self._began > FIRST_ALONE_SECONDS:
            self._start(lambda _: True)
        return 10.0 if self._ready else 0.1

    def _start(self, wanted: Callable[[Program], bool]) -> None:
        """Start those of the programs that are wanted and not started yet."""
        for program in [program for program in self._waiting if wanted(program)]:
            self._waiting.remove(program)
            self._tree.start(program)

    def _ended(self, program: Program, code: int) -> None:
        if code:
            self._output.say(f"{program.name} failed (exit code {code}); the demo logins may be missing.")
        self._show_banner()

    def _show_banner(self) -> None:
        seconds = time.monotonic() - self._began
        self._output.block(banner(self._settings, seconds=seconds))


def environment_of(settings: Settings) -> dict[str, str]:
    """What web, worker, cron and sandbox are given: this environment made complete, less the owner's URL."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_OWNER_URL"}
    environment |= {
        "PORT": str(settings.port),
        "DATA_DIR": str(settings.data_dir),
        "BASE_URL": settings.base_url,
        "DATABASE_URL": settings.database_url or "",
        "REDIS_URL": settings.redis_url or "",
        "SECRET_KEY": settings.secret_key,
        "STRIPE_WEBHOOK_SECRET": settings.stripe_webhook_secret,
        "PYTHONUNBUFFERED": "1",
    }
    if settings.stripe_api_base:
        environment["STRIPE_API_BASE"] = settings.stripe_api_base
    return environment


def _with_secret_key(settings: Settings) -> Settings:
    """In sandbox mode without a SECRET_KEY: this data directory's own, made once, readable by us alone."""
    if not settings.sandbox or os.environ.get("SECRET_KEY", "").strip():
        return settings
    path = settings.data_dir / "secret-key"
    if not path.exists() or not path.read_text().strip():
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    return replace(settings, secret_key=path.read_text().strip())


def _with_servers(settings: Settings, servers: Servers) -> Settings:
    """`settings` with every URL filled in; raises CannotStart when a server of the caller's is away."""
    _check_given_servers(settings)
    embedded = not settings.database_url
    owner_url = servers.owner_url if embedded else settings.database_owner_url or settings.database_url
    return replace(
        settings,
        database_url=servers.database_url if embedded else settings.database_url,
        database_owner_url=owner_url,
        redis_url=settings.redis_url or servers.redis_url,
    )


def _check_given_servers(settings: Settings) -> None:
    for name in ("database_url", "database_owner_url"):
        if url := getattr(settings, name):
            try:
                psycopg.connect(url, connect_timeout=5).close()
            except psycopg.Error as error:
                raise CannotStart(f"{name.upper()} does not lead to a PostgreSQL: {error}") from error
    if settings.redis_url:
        try:
            with redis.Redis.from_url(settings.redis_url, socket_connect_timeout=5) as client:
                client.ping()
        except (redis.RedisError, ValueError) as error:
            raise CannotStart(f"REDIS_URL does not lead to a Redis: {error}") from error


def _bring_up_to_date(settings: Settings) -> None:
    """Migrate, and install the sandbox's tables where it runs."""
    from webapp.database import upgrade  # the servers come first: they start while nothing big is imported

    owner_url = settings.database_owner_url or ""
    try:
        upgrade(owner_url=owner_url, database_url=settings.database_url, sandbox=settings.sandbox)
        if runs_sandbox(settings):
            from webapp.stripe_sandbox.install import install

            install(owner_url)
    except (SQLAlchemyError, psycopg.Error) as error:
        raise CannotStart(f"The database could not be brought up to date: {error}") from error


def _refuse_used_ports(settings: Settings) -> None:
    """Raises CannotStart, naming the variable to change, when somebody listens where we want to."""
    for port in (settings.port, *([settings.port + 1] if runs_sandbox(settings) else [])):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections don't count
            try:
                probe.bind((HOST, port))
            except OSError as error:
                which = "PORT" if port == settings.port else "PORT + 1, the Stripe sandbox's,"
                raise CannotStart(
                    f"{which} {port} cannot be used: {os.strerror(error.errno or 0)}. "
                    f"Choose another one: make run PORT={_suggest(settings.port)}"
                ) from error


def _suggest(port: int) -> int:
    return port + 100 if port < 65_000 else 8000


def _answers_ready(settings: Settings) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=2)
    try:
        # The host of BASE_URL is trusted; 127.0.0.1 need not be.
        connection.request("GET", "/readyz", headers={"Host": urlsplit(settings.base_url).netloc})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
