"""Private servers for the tests that break them, and a works on them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.billing.shop import Shop
from tests.conftest import SERVER_SETTINGS, TestServers
from tests.forks import Forks
from tests.jobs.works import Gate, Works
from tests.stripe_sandbox.conftest import serve
from webapp import clock
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work
from webapp.embedded.servers import Servers, ensure_servers
from webapp.stripe_sandbox import create_sandbox


@pytest.fixture(scope="module")
def private_servers(grow: Callable[[Path], None]) -> Iterator[Servers]:
    """PostgreSQL and Redis that no other test uses."""
    folder = Path(tempfile.mkdtemp(prefix="tallystick-works-"))
    grow(folder)
    with ensure_servers(folder, settings=SERVER_SETTINGS) as servers:
        yield servers
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def works(private_servers: Servers, make_app: Callable[..., Flask], forks: Forks) -> Iterator[Works]:
    """A shop with processes on the private servers; Redis is empty at first, and all processes end with the test."""
    gate = Gate()

    def make(url: str) -> Gate:
        gate.application = create_sandbox(
            dsn=private_servers.database_url,
            base_url=url,
            webhook_url=None,
            webhook_secret="whsec_sandbox",
            background=False,
        )
        return gate

    with serve(make) as url:
        place = TestServers(
            private_servers.superuser_url, private_servers.redis_url, "tallystick", private_servers.data_dir
        )
        app = make_app(place, STRIPE_API_BASE=url)
        with app.app_context(), unit_of_work() as session:
            clock.follow(session, movable=True, at_once=True)  # an earlier test may have moved it
            install_shipped_catalog(session)
        log = private_servers.data_dir / "jobs.log"
        works = Works(private_servers, Shop(app=app, sandbox_url=url), gate, log, forks)
        works.redis.flushall()
        yield works
        works.stop_all()
    clock.forget()
