"""Puts the sandbox together: one Flask application and its deliverer."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from webapp.stripe_sandbox.api import add_api
from webapp.stripe_sandbox.clock import Clock, read_clock
from webapp.stripe_sandbox.connections import Connections
from webapp.stripe_sandbox.dashboard import make_dashboard
from webapp.stripe_sandbox.delivery import Deliverer
from webapp.stripe_sandbox.operations_table import OPERATIONS
from webapp.stripe_sandbox.pay_page import make_pay_page
from webapp.stripe_sandbox.payer_pages import make_payer_pages
from webapp.stripe_sandbox.portal_page import make_portal_page
from webapp.stripe_sandbox.store import Cause, Store

LARGEST_BODY = 1_000_000


def create_sandbox(
    *,
    dsn: str,
    base_url: str,
    webhook_url: str | None,
    webhook_secret: str,
    api_key: str = "sk_test_sandbox",
    now: Clock | None = None,
    time_page: str | None = None,
    background: bool = True,
) -> Flask:
    """A Stripe double over the installed schema that `dsn` reaches.

    `base_url` is the sandbox's own address, of which pay pages are made; `webhook_url` gets the events,
    signed with `webhook_secret` (None: events are kept and not sent). `now` is the sandbox's clock;
    where it follows another one, `time_page` is the address at which people move that. With
    `background` a thread does what is due; without, `POST /_sandbox/run` and the Deliverer under
    `app.extensions["stripe_sandbox"]` do.
    """
    own_address = base_url.rstrip("/")
    connections = Connections(dsn)

    @contextmanager
    def open_store(cause: Cause) -> Iterator[Store]:
        with connections.one() as connection:
            moment = read_clock(connection, now)
            yield Store(connection, moment, base_url=own_address, endpoint=webhook_url, cause=cause)

    app = Flask("webapp.stripe_sandbox", static_url_path="/_static")
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    deliverer = Deliverer(
        open_store=lambda: open_store(Cause()), webhook_url=webhook_url, webhook_secret=webhook_secret
    )
    app.extensions["stripe_sandbox"] = deliverer
    add_api(app, operations=OPERATIONS, open_store=open_store, api_key=api_key, wake=deliverer.wake)
    for make_pages in (make_pay_page, make_payer_pages, make_portal_page):
        app.register_blueprint(make_pages(open_store=open_store, base_url=own_address, wake=deliverer.wake))
    app.register_blueprint(
        make_dashboard(open_store=open_store, base_url=own_address, deliverer=deliverer, clock=now, time_page=time_page)
    )
    if background:
        deliverer.start()
    return app
