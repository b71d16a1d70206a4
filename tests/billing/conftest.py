"""A shop with Stripe behind it: the real SDK over HTTP against the sandbox, whose events a test delivers itself.

The sandbox sends nothing by itself here: `shop.deliver(event)` posts an event to the webhook as Stripe would, in
whatever order and as often as the test likes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask

from tests.billing.entitled import offer_all
from tests.billing.plans import Member, make_member
from tests.billing.shop import Buyer, Shop
from tests.conftest import TestServers
from tests.conftest import _new_database as new_database
from tests.servers import drop_database
from tests.stripe_sandbox.conftest import serve
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work
from webapp.stripe_sandbox import create_sandbox, install


@contextmanager
def open_shop(servers: Any, make_app: Callable[..., Flask]) -> Iterator[Shop]:
    """A shop in that database, with the shipped catalog."""
    install(servers.owner_url)

    def make(url: str) -> Flask:
        return create_sandbox(
            dsn=servers.database_url, base_url=url, webhook_url=None, webhook_secret="whsec_sandbox", background=False
        )

    with serve(make) as url:
        app = make_app(servers, STRIPE_API_BASE=url)
        with app.app_context(), unit_of_work() as session:
            install_shipped_catalog(session)
        yield Shop(app=app, sandbox_url=url)


@pytest.fixture(scope="module")
def shop(servers: Any, make_app: Callable[..., Flask]) -> Iterator[Shop]:
    with open_shop(servers, make_app) as shop:
        yield shop


@pytest.fixture
def buyer(shop: Shop) -> Buyer:
    """Somebody who has just signed up."""
    return shop.new_buyer()


@pytest.fixture(scope="module")
def servers_of_doubles(server_addresses: Any) -> Iterator[TestServers]:
    """A database in which prices of Stripe's are made up: the sandbox, which others share, would not know them."""
    servers = new_database(server_addresses)
    yield servers
    drop_database(server_addresses[0], servers.database)


@pytest.fixture(scope="module")
def plans(servers_of_doubles: TestServers, make_app: Callable[..., Flask]) -> Flask:
    """An application with the shipped plans and bigger ones, whose Stripe is what a test says it is."""
    return offer_all(make_app(servers_of_doubles))


@pytest.fixture
def alone(fresh_app: Flask) -> Flask:
    """One whose clock may be moved: nobody else is in its database."""
    return offer_all(fresh_app)


@pytest.fixture
def member(plans: Flask) -> Member:
    return make_member(plans)
