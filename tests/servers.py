"""The servers that the tests share: PostgreSQL and Redis, started once a run; its databases, copied from a template."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql

from webapp.embedded import servers as embedded

TEMPLATE = "tallystick_template"
# Tests kill processes, never the machine: what fsync protects from cannot happen to them.
SERVER_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "400", "max_wal_size": "512MB"}
# Where files cost least: several hundred databases are made, each of several hundred files.
MEMORY = Path("/dev/shm")
MEMORY_BYTES_NEEDED = 4 * 1024**3


_running: embedded.Servers | None = None


@dataclass(frozen=True)
class TestServers:
    """Where the servers of a test are."""

    __test__ = False

    superuser_url: str
    redis_url: str
    database: str
    data_dir: Path

    @property
    def owner_url(self) -> str:
        return self.url_of(embedded.OWNER_ROLE)

    @property
    def database_url(self) -> str:
        return self.url_of(embedded.APP_ROLE)

    def url_of(self, role: str) -> str:
        return _with_role(self.superuser_url, role)


def start_once() -> tuple[str, str, Path]:
    """Maintenance URL of a PostgreSQL with a migrated template, URL of a Redis, a folder; started once."""
    global _running
    given_database = os.environ.get("TEST_DATABASE_SUPERUSER_URL")
    given_redis = os.environ.get("TEST_REDIS_URL")
    if _running is None:
        _remove_leftovers()
        folder = _roots()[-1] / f"tallystick-test-{os.getpid()}"
        _running = embedded.ensure_servers(
            folder, database=not given_database, redis=not given_redis, settings=SERVER_SETTINGS
        )
        maintenance_url = given_database or _running.url_of(role="postgres", database="postgres")
        _make_template(maintenance_url)
    maintenance_url = given_database or _running.url_of(role="postgres", database="postgres")
    return maintenance_url, given_redis or _running.redis_url, _running.data_dir


def _roots() -> list[Path]:
    """Where folders of test runs are; the last one is where this run makes its own."""
    roots = [Path(tempfile.gettempdir())]
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_BYTES_NEEDED:
        roots.append(MEMORY)
    return roots


def _remove_leftovers() -> None:
    """Remove folders of test runs that were killed, ours alone."""
    for folder in (folder for root in _roots() for folder in root.glob("tallystick-test-*")):
        pid = folder.name.rpartition("-")[2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)) and folder.stat().st_uid == os.geteuid():
            shutil.rmtree(folder, ignore_errors=True)


def _make_template(maintenance_url: str) -> None:
    from webapp.database import upgrade

    drop_database(maintenance_url, TEMPLATE)
    embedded.create_roles_and_database(superuser_url=maintenance_url, database=TEMPLATE)
    in_template = with_database(maintenance_url, TEMPLATE)
    upgrade(
        owner_url=_with_role(in_template, embedded.OWNER_ROLE),
        database_url=_with_role(in_template, embedded.APP_ROLE),
        sandbox=True,
    )


def copy_template(maintenance_url: str, name: str) -> None:
    drop_database(maintenance_url, name)
    with psycopg.connect(maintenance_url, autocommit=True) as connection:
        connection.execute(
            # Copying files costs a third of what the default does, which writes each page into the log.
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy OWNER {}").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE), sql.Identifier(embedded.OWNER_ROLE)
            )
        )


def drop_database(maintenance_url: str, name: str) -> None:
    with psycopg.connect(maintenance_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def with_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _with_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=role + "@" + parts.netloc.rpartition("@")[2]))


def stop() -> None:
    """Nothing is left of what this process started."""
    global _running
    if _running is not None:
        _running.stop()
        shutil.rmtree(_running.data_dir, ignore_errors=True)
        _running = None


def grow_cluster(folder: Path) -> None:
    from webapp.database import upgrade
    from webapp.stripe_sandbox import install

    with embedded.ensure_servers(folder, redis=False, settings=SERVER_SETTINGS) as servers:
        upgrade(owner_url=servers.owner_url, database_url=servers.database_url, sandbox=True)
        install(servers.owner_url)
