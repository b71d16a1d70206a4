"""Both embedded servers as one thing: `with ensure_servers(data_dir) as servers: …`."""

import atexit
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from webapp.embedded import places
from webapp.embedded import postgres as postgres_server
from webapp.embedded import redis as redis_server

DATABASE = "tallystick"
OWNER_ROLE = "tallystick_owner"
APP_ROLE = "tallystick_app"


@dataclass(kw_only=True)
class Servers:
    """The servers of one data directory that run now, and which of them this process started."""

    data_dir: Path
    postgres: postgres_server.Postgres | None
    redis: redis_server.Redis | None
    settings: Mapping[str, str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    @property
    def owner_url(self) -> str:
        """For migrations: the role that owns the database."""
        return self.url_of(role=OWNER_ROLE)

    @property
    def database_url(self) -> str:
        """For the application: the role that may do nothing but what it was granted."""
        return self.url_of(role=APP_ROLE)

    @property
    def superuser_url(self) -> str:
        """For whoever tests what even a superuser's meddling must not hide."""
        return self.url_of(role=postgres_server.SUPERUSER)

    @property
    def redis_url(self) -> str:
        """Empty when the caller brought a Redis of its own."""
        return self.redis.url if self.redis is not None else ""

    def url_of(self, *, role: str, database: str = DATABASE) -> str:
        """The URL of one role; empty when the caller brought a PostgreSQL of its own."""
        return self.postgres.url(role=role, database=database) if self.postgres is not None else ""

    def revive(self) -> None:
        """Start again whichever server has died, under the same URLs; those alive are left as they are."""
        with _one_at_a_time(self.data_dir):
            self._run()

    def alive(self) -> bool:
        """Whether the process of every server exists."""
        return all(server.alive() for server in (self.postgres, self.redis) if server is not None)

    def pids(self) -> set[int]:
        """The processes that this process started and waits for."""
        running = (server.process for server in (self.postgres, self.redis) if server is not None)
        return {process.pid for process in running if process is not None}

    def stop(self) -> None:
        """End the servers that this process started, Redis first. Adopted ones keep running. Repeatable."""
        if not self.data_dir.exists():
            return
        with _one_at_a_time(self.data_dir):
            if self.redis is not None:
                self.redis.stop()
            if self.postgres is not None:
                self.postgres.stop()
            if "postgres" in self.started and "redis" in self.started:
                with suppress(OSError):  # not empty: something of somebody else's is in it
                    places.socket_dir(data_dir=self.data_dir).rmdir()
            self.started.clear()

    def _run(self) -> None:
        if self.postgres is not None and self.postgres.ensure_running(settings=self.settings):
            self._note("postgres")
        if self.postgres is not None:
            maintenance = self.url_of(role=postgres_server.SUPERUSER, database="postgres")
            create_roles_and_database(superuser_url=maintenance)
        if self.redis is not None and self.redis.ensure_running():
            self._note("redis")

    def _note(self, name: str) -> None:
        if name not in self.started:
            self.started.append(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def ensure_servers(
    data_dir: Path,
    *,
    database: bool = True,
    redis: bool = True,
    programs: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Servers:
    """Make PostgreSQL and Redis of `data_dir` answer, with the database and the two roles in place.

    Adopts servers that run already; recovers from what a kill left behind. They end with this process: by
    `Servers.stop()` or at its exit, and on Linux also when it is killed. `programs` is the folder of another
    PostgreSQL's programs, `settings` go into its configuration. Two callers wait for each other.

    Raises CannotStart, with nothing started left running.
    """
    data_dir = places.prepare_data_dir(data_dir=data_dir)
    user = places.choose_server_user()
    sockets = places.prepare_socket_dir(data_dir=data_dir, user=user)
    logs = data_dir / "log"
    logs.mkdir(exist_ok=True)
    servers = Servers(data_dir=data_dir, postgres=None, redis=None, settings=settings or {})
    if database:
        servers.postgres = postgres_server.Postgres(
            data_dir=data_dir / "postgres",
            socket_dir=sockets,
            programs=programs or postgres_server.find_programs(),
            user=user,
            log=logs / "postgres.log",
        )
    if redis:
        servers.redis = redis_server.Redis(
            data_dir=data_dir / "redis",
            socket_dir=sockets,
            program=redis_server.find_program(),
            user=user,
            log=logs / "redis.log",
        )
    try:
        servers.revive()
    except BaseException:
        servers.stop()
        raise
    atexit.register(_stop_at_exit, servers, started_by=os.getpid())
    return servers


def create_roles_and_database(*, superuser_url: str, database: str = DATABASE) -> None:
    """Make both roles and `database`, owned by the owner's; the application's may connect. Repeatable."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        for role in (OWNER_ROLE, APP_ROLE):
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(OWNER_ROLE))
            )


def _stop_at_exit(servers: Servers, *, started_by: int) -> None:
    if os.getpid() == started_by:  # a fork that exits must not end its parent's servers
        servers.stop()


@contextmanager
def _one_at_a_time(data_dir: Path) -> Iterator[None]:
    with (data_dir / "servers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
