"""Not only our own: Debian's PostgreSQL 15 and redis-server, as an operator would name them by URL."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.instance import ROOT, Instance
from webapp.embedded.servers import Servers, ensure_servers

pytestmark = pytest.mark.external_servers

DEBIANS = Path("/usr/lib/postgresql")
# What must hold on any server; the whole suite would hold, too, and take its whole time again.
SUBSET = ("tests/embedded/test_conftest.py", "tests/ledger/test_rules.py", "tests/ledger/test_roles.py")


@pytest.fixture(scope="module")
def debians() -> Iterator[Servers]:
    """A cluster of Debian's oldest PostgreSQL here, and the redis-server on the PATH."""
    found = sorted(DEBIANS.glob("*/bin/initdb"), key=lambda program: int(program.parts[-3]))
    if not found or shutil.which("redis-server") is None:
        reason = "Debian's postgresql and redis-server are not installed"
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="tallystick-external-", ignore_cleanup_errors=True) as folder:
        with ensure_servers(Path(folder), programs=found[0].parent, settings={"fsync": "off"}) as servers:
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
        [sys.executable, "-m", "pytest", "-q", *[path for path in SUBSET if (ROOT / path).exists()]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def test_all_of_tallystick_runs_there(debians, new_instance):
    instance: Instance = new_instance(
        DATABASE_URL=debians.database_url,
        DATABASE_OWNER_URL=debians.owner_url,
        REDIS_URL=debians.redis_url,
    )
    instance.start_and_wait()
    assert instance.find("postgres") is None
    assert instance.find("redis-server") is None
    assert instance.stop() == 0
