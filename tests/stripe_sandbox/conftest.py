"""A sandbox of its own for each test: its tables empty, a clock that is moved by hand, a
receiver of webhooks, and the real SDK over HTTP.

The background thread is off unless a test starts it: `sandbox.run_due()` does what is due, once, now.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import requests
import stripe
from flask import Flask
from psycopg import sql
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from webapp.stripe_sandbox import create_sandbox, install

SECRET = "whsec_of_the_tests"
KEY = "sk_test_sandbox"
START = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)

_numbers = count(1)


@dataclass
class MovableClock:
    moment: datetime = START

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **by: float) -> None:
        self.moment += timedelta(**by)


class SilentHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        return


@contextmanager
def serve(make_application: Callable[[str], Any]) -> Iterator[str]:
    """The application is reachable at the yielded address, which it was made for."""
    made: list[Any] = []
    server = make_server(
        "127.0.0.1",
        0,
        lambda environ, start: made[0](environ, start),
        threaded=True,
        request_handler=SilentHandler,
    )
    url = f"http://127.0.0.1:{server.server_port}"
    made.append(make_application(url))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Receiver:
    """Takes webhooks, answers each with the next of `statuses` (then 200), and keeps what it took."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    taken: list[tuple[bytes, str]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)

    def __call__(self, environ: Any, start: Any) -> Any:
        request = Request(environ)
        status = self.statuses.pop(0) if self.statuses else 200
        self.taken.append((request.get_data(), request.headers["Stripe-Signature"]))
        self.came.set()
        return Response("", status=status, headers={"Location": "/elsewhere"})(environ, start)

    @property
    def events(self) -> list[stripe.Event]:
        """Everything taken, each verified by the SDK."""
        return [stripe.Webhook.construct_event(body, sent, SECRET) for body, sent in self.taken]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]


@dataclass
class Sandbox:
    url: str
    owner_dsn: str
    dsn: str
    clock: MovableClock
    receiver: Receiver
    app: Flask
    client: stripe.StripeClient

    @property
    def api(self) -> Any:
        return self.client.v1

    @property
    def deliverer(self) -> Any:
        return self.app.extensions["stripe_sandbox"]

    def run_due(self) -> int:
        sent: int = self.deliverer.run_due()
        return sent

    def set_faults(self, **faults: Any) -> requests.Response:
        return requests.post(f"{self.url}/_sandbox/settings", json=faults, timeout=10)

    def open_session(self, **more: Any) -> Any:
        params: dict[str, Any] = {
            "mode": "payment",
            "success_url": "http://shop.test/return?session_id={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://shop.test/cancelled",
            "line_items": [starter()],
        }
        return self.api.checkout.sessions.create(params | more)

    def press(self, session: Any, action: str, **fields: str) -> requests.Response:
        """A button of the pay page, as a browser sends it; redirects are not followed."""
        url = f"{self.url}/c/pay/{session.id}"
        return requests.post(url, data={"action": action, **fields}, allow_redirects=False, timeout=10)

    def paid_charge(self, **more: Any) -> Any:
        session = self.open_session(**more)
        assert self.press(session, "pay").status_code == 303
        session = self.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})
        return session.payment_intent.latest_charge

    def event_types(self) -> list[str]:
        """Every event so far, oldest first."""
        return [event.type for event in self.api.events.list({"limit": 100}).data][::-1]


def starter(*, amount: int = 900, currency: str = "eur", quantity: int = 1) -> dict[str, Any]:
    data = {"currency": currency, "unit_amount": amount, "product_data": {"name": "Starter"}}
    return {"price_data": data, "quantity": quantity}


def in_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@pytest.fixture(scope="module")
def shared_database(servers: Any) -> Iterator[str]:
    """A database with the sandbox's schema and nothing else."""
    name = f"{urlsplit(servers.owner_url).path[1:]}_stripe"
    drop(servers, name)
    make_database(servers, name)
    install(in_database(servers.owner_url, name))
    yield name
    drop(servers, name)


@pytest.fixture
def database(servers: Any, shared_database: str) -> str:
    """The sandbox's database, emptied: it is of these tests alone, and emptying is faster than copying."""
    with psycopg.connect(in_database(servers.owner_url, shared_database)) as connection:
        connection.execute("TRUNCATE stripe_sandbox.objects, stripe_sandbox.deliveries, stripe_sandbox.idempotency")
        connection.execute("UPDATE stripe_sandbox.settings SET faults = '{}', advanced_by = '0 s'")
    return shared_database


@pytest.fixture
def own_database(servers: Any) -> Iterator[str]:
    """A database of this one test, which may change the schema."""
    name = f"{urlsplit(servers.owner_url).path[1:]}_stripe_{next(_numbers)}"
    make_database(servers, name)
    install(in_database(servers.owner_url, name))
    yield name
    drop(servers, name)


def make_database(servers: Any, name: str) -> None:
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        owner = sql.Identifier(urlsplit(servers.owner_url).username or "")
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), owner))


def drop(servers: Any, name: str) -> None:
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    taking = Receiver()
    with serve(lambda _url: taking) as url:
        taking.url = f"{url}/stripe/webhook"
        yield taking


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def start_sandbox(servers: Any, database: str, receiver: Receiver, clock: MovableClock) -> Callable[..., Any]:
    """`with start_sandbox() as sandbox`: another process's worth of sandbox on the same database."""

    @contextmanager
    def start(*, in_: str = database, **options: Any) -> Iterator[Sandbox]:
        dsn = in_database(servers.database_url, in_)
        settings = {"webhook_url": receiver.url, "background": False, "now": clock, **options}
        made: list[Flask] = []

        def make(url: str) -> Flask:
            made.append(create_sandbox(dsn=dsn, base_url=url, webhook_secret=SECRET, api_key=KEY, **settings))
            return made[0]

        with serve(make) as url:
            client = stripe.StripeClient(KEY, base_addresses={"api": url}, max_network_retries=0)
            yield Sandbox(
                url=url,
                owner_dsn=in_database(servers.owner_url, in_),
                dsn=dsn,
                clock=clock,
                receiver=receiver,
                app=made[0],
                client=client,
            )
        made[0].extensions["stripe_sandbox"].stop()

    return start


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Any]) -> Iterator[Sandbox]:
    with start_sandbox() as started:
        yield started
