"""Fixtures of the ledger's tests: a database whose clock a test holds; accounts in it and in the model."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, create_engine

from tests.conftest import TestServers, _new_database
from tests.ledger import model
from tests.ledger.asking import T0
from tests.ledger.database_account import DatabaseAccount
from webapp.database import sqlalchemy_url

# Tests time their steps themselves; a slow machine is no reason to fail.
common = settings(deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("test", common, max_examples=50, stateful_step_count=25)
settings.register_profile("nightly", common, max_examples=2_000, stateful_step_count=50)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


@pytest.fixture(scope="session")
def clocked_servers(server_addresses: Any) -> TestServers:
    """A database whose `ledger.now()` is what the setting `test.now` says: to the microsecond."""
    return new_clocked_database(server_addresses)


def new_clocked_database(server_addresses: Any) -> TestServers:
    servers = _new_database(server_addresses)
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        connection.execute("ALTER FUNCTION ledger.now() RENAME TO real_now")
        connection.execute(
            "CREATE FUNCTION ledger.now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT"
            " coalesce(nullif(current_setting('test.now', true), '')::timestamptz, ledger.real_now()) $$"
        )
        connection.execute("ALTER FUNCTION ledger.now() OWNER TO tallystick_owner")
        connection.execute("GRANT EXECUTE ON FUNCTION ledger.now() TO tallystick_app")
    return servers


@pytest.fixture(scope="session")
def clocked_engine(clocked_servers: TestServers) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(clocked_servers.database_url))
    yield engine
    engine.dispose()


@pytest.fixture(params=["model", "postgresql"])
def open_account(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Opens accounts a day before T0, in the model or in PostgreSQL."""
    if request.param == "model":
        return model.Account
    engine = request.getfixturevalue("clocked_engine")

    def open_(**attributes: Any) -> DatabaseAccount:
        return DatabaseAccount(engine, now=T0 - timedelta(days=1), **attributes)

    return open_


@pytest.fixture
def account(open_account: Callable[..., Any]) -> Any:
    return open_account()
