"""Not only our own: Debian's PostgreSQL 15 and redis-server, as an operator would name them by URL."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis as redis_py

from tests.instance import ROOT, Instance
from webapp.embedded.servers import Servers, ensure_servers

pytestmark = pytest.mark.external_servers

DEBIANS = Path("/usr/lib/postgresql")
# What must hold on any server; the whole suite would hold, too, and take its whole time again.
SUBSET = ("tests/embedded/test_conftest.py", "tests/ledger/test_spending.py", "tests/ledger/test_roles.py")


def programs_of_debian() -> list[Path]:
    """The folders of PostgreSQL's programs, the oldest first; none where there is no Redis beside them."""
    found = sorted(DEBIANS.glob("*/bin/initdb"), key=lambda program: int(program.parts[-3]))
    return [program.parent for program in found] if shutil.which("redis-server") else []


@pytest.fixture(scope="module")
def debians() -> Iterator[Servers]:
    """A cluster of Debian's oldest PostgreSQL here, and the redis-server on the PATH."""
    found = programs_of_debian()
    if not found:
        reason = "Debian's postgresql and redis-server are not installed"
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="tallystick-external-", ignore_cleanup_errors=True) as folder:
        with ensure_servers(Path(folder), programs=found[0], settings={"fsync": "off"}) as servers:
            yield servers


def test_the_servers_are_not_the_embedded_ones(debians):
    with psycopg.connect(debians.database_url) as connection:
        assert connection.info.server_version < 180_000
    assert debians.redis is not None
    assert debians.redis.program.name == "redis-server"
    assert "site-packages" not in str(debians.redis.program)


def test_the_ledgers_rules_hold_there(debians):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {
        "TEST_DATABASE_SUPERUSER_URL": debians.url_of(role="postgres", database="postgres"),
        "TEST_REDIS_URL": debians.redis_url,
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *SUBSET],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def test_given_servers_are_used_and_none_is_started(request, new_instance):
    """Debian's where they are installed, for all of Tallystick to be seen there, too."""
    given = request.getfixturevalue("debians" if programs_of_debian() else "fresh_database")
    instance: Instance = new_instance(
        DATABASE_URL=given.database_url, DATABASE_OWNER_URL=given.owner_url, REDIS_URL=given.redis_url
    )
    instance.start_and_wait()
    assert instance.find("postgres") is None
    assert instance.find("redis-server") is None
    assert not (instance.data_dir / "postgres").exists()
    with redis_py.Redis.from_url(given.redis_url) as client:
        instance.wait_until(lambda: client.smembers("rq:workers"))
    assert instance.stop(signal.SIGTERM) == 0
