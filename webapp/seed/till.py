"""Where the demo's people paid in the past: the Stripe sandbox of this database, as of the time that it is there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread

from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session
from werkzeug.serving import WSGIRequestHandler, make_server

from webapp import clock
from webapp.billing import stripe_api
from webapp.config import Settings
from webapp.stripe_sandbox import payments
from webapp.stripe_sandbox.api import add_api
from webapp.stripe_sandbox.buyers import Buyer
from webapp.stripe_sandbox.due import do_now, find_next
from webapp.stripe_sandbox.one_transaction import OneTransaction
from webapp.stripe_sandbox.operations_table import OPERATIONS
from webapp.stripe_sandbox.store import Cause, Store


class Till:
    """The sandbox without its pages. What happens at it is told to nobody: whoever pays looks for the outcome.

    The sandbox that runs beside it sees nothing before the end, and so does not renew what is still being made up.
    """

    def __init__(self, connection: OneTransaction, *, base_url: str) -> None:
        self._connection = connection
        self._base_url = base_url

    @contextmanager
    def open_store(self, cause: Cause) -> Iterator[Store]:
        yield Store(self._connection, clock.now(), base_url=self._base_url, endpoint=None, cause=cause)

    def pay(self, session_id: str) -> None:
        """The Checkout Session is paid with a card that is good, and saved where the session saves one."""
        with self.open_store(Cause()) as store:
            payments.pay(store, store.require("checkout.session", session_id), buyer=Buyer(email=None))

    def let_time_act(self) -> None:
        """What is due by now is done, each thing as of its own time: subscriptions renew."""
        with self.open_store(Cause()) as store:
            due = find_next(store)
        while due is not None:
            with self.open_store(Cause()) as store:
                do_now(store, due)
                due = find_next(store)


@contextmanager
def open_till(app: Flask, session: Session) -> Iterator[Till | None]:
    """The till, to which `app` goes as to Stripe meanwhile; None where this database has no sandbox in it.

    What happened at it is committed at the end, and not at all after an error.
    """
    settings: Settings = app.config["SETTINGS"]
    if session.execute(text("SELECT to_regclass('stripe_sandbox.objects')")).scalar_one() is None:
        yield None
        return
    assert settings.database_url is not None
    connection = OneTransaction.connect(settings.database_url)
    try:
        till = Till(connection, base_url=settings.stripe_api_base or "")
        with _serving(till, api_key=settings.stripe_secret_key) as address:
            stripe_api.configure(app, replace(settings, stripe_api_base=address))
            try:
                yield till
            finally:
                stripe_api.configure(app, settings)
        connection.commit_all()
    finally:
        connection.close()


@contextmanager
def _serving(till: Till, *, api_key: str) -> Iterator[str]:
    """The till's API at an address of its own, for the SDK speaks HTTP only."""
    app = Flask("webapp.stripe_sandbox")
    add_api(app, operations=OPERATIONS, open_store=till.open_store, api_key=api_key, wake=lambda: None)
    server = make_server("127.0.0.1", 0, app, request_handler=_Silent)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Silent(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass
