"""Installing, and running from the environment alone."""

import os
import signal
import socket
import subprocess
import sys
from typing import Any

import psycopg
import pytest
import requests

from tests.stripe_sandbox.conftest import in_database
from webapp.stripe_sandbox import install
from webapp.stripe_sandbox.environment import BadEnvironment, plain_dsn, read_environment
from webapp.stripe_sandbox.install import wants_installing

WAIT_SECONDS = 60


def test_installing_again_keeps_everything(servers: Any, database: str) -> None:
    owner = in_database(servers.owner_url, database)
    with psycopg.connect(owner) as connection:
        connection.execute("UPDATE stripe_sandbox.settings SET faults = '{\"lose\": 1}'")
    install(owner)
    with psycopg.connect(owner) as connection:
        kept = connection.execute("SELECT faults FROM stripe_sandbox.settings").fetchall()
    assert kept == [({"lose": 1},)]


def test_installing_needs_no_role_of_ours(servers: Any, own_database: str) -> None:
    owner = in_database(servers.owner_url, own_database)
    install(owner, app_role=None)
    install(owner, app_role="nobody_of_this_name")


def test_serving_role_may_not_change_the_schema(servers: Any, database: str) -> None:
    with psycopg.connect(in_database(servers.database_url, database)) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE stripe_sandbox.objects")


def test_only_who_can_install_does(servers: Any, own_database: str) -> None:
    owner, serving = (in_database(url, own_database) for url in (servers.owner_url, servers.database_url))
    assert wants_installing(owner)
    assert not wants_installing(serving)
    with psycopg.connect(owner) as connection:
        connection.execute("DROP SCHEMA stripe_sandbox CASCADE")
    assert wants_installing(serving)


def test_sandbox_stands_beside_the_web_by_default() -> None:
    environment = read_environment({"DATABASE_URL": "postgresql+psycopg://a@/b", "PORT": "9000"})
    assert environment.port == 9001
    assert environment.base_url == "http://localhost:9001"
    assert environment.webhook_url == "http://localhost:9000/stripe/webhook"
    assert environment.dsn == environment.owner_dsn == "postgresql://a@/b"
    assert plain_dsn("postgresql://a@/b") == "postgresql://a@/b"


def test_addresses_follow_the_webs() -> None:
    given = {"DATABASE_URL": "postgresql:///b", "PORT": "80", "BASE_URL": "https://shop.example"}
    assert read_environment(given).base_url == "http://shop.example:81"
    assert read_environment(given | {"STRIPE_API_BASE": "http://a:1"}).base_url == "http://a:1"
    assert read_environment(given | {"SANDBOX_BASE_URL": "http://b:2"}).base_url == "http://b:2"


@pytest.mark.parametrize("environ", [{}, {"DATABASE_URL": "x", "PORT": "65535"}, {"DATABASE_URL": "x", "PORT": "web"}])
def test_bad_environment_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(BadEnvironment):
        read_environment(environ)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_command_serves_until_it_is_told_to_stop(servers: Any, database: str) -> None:
    port = free_port()
    environ = os.environ | {
        "DATABASE_URL": in_database(servers.database_url, database),
        "DATABASE_OWNER_URL": in_database(servers.owner_url, database),
        "PORT": str(port - 1),
    }
    command = [sys.executable, "-m", "webapp.stripe_sandbox"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert f"http://localhost:{port}" in process.stdout.readline()
            assert requests.get(f"http://127.0.0.1:{port}/_sandbox/", timeout=10).status_code == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT_SECONDS) == 0
        finally:
            process.kill()


def test_command_without_a_database_says_what_to_set() -> None:
    environ = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "webapp.stripe_sandbox"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert "Set DATABASE_URL" in done.stderr
