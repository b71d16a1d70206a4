"""Members: people who are signed in, with an account of their own."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from tests.people.browser import Browser, unique_email
from tests.statements import sent_through
from webapp import clock, ledger
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work
from webapp.extensions import db
from webapp.people import sessions
from webapp.people.sign_up import new_external_id
from webapp.people.user import User


class Member(Browser):
    """A signed-in person, and the ledger's account behind them."""

    def __init__(self, app: Flask, *, locale: str = "en", time_zone: str = "UTC") -> None:
        super().__init__(app)
        self.app = app
        self.email = unique_email()
        moment = clock.now()
        with app.app_context(), unit_of_work() as session:
            account, _ = ledger.open_account(session, external_id=new_external_id())
            user = User(
                email=self.email,
                email_key=self.email,
                password_hash="of nothing: nobody logs in with it",
                name="Mem Ber",
                locale=locale,
                time_zone=time_zone,
                account_id=account.account_id,
                external_id=account.external_id,
                created_at=moment,
                password_changed_at=moment,
            )
            session.add(user)
            session.flush()
            token = sessions.start(session, user_id=user.id, stay=False, ip="", user_agent="")
        self.account_id, self.external_id = account.account_id, account.external_id
        with self.client.session_transaction() as cookie:
            cookie.update(_user_id=token, _fresh=True)

    def grant(self, amount: int, description: str = "Gift", **kwargs: Any) -> ledger.Entry:
        kwargs = {"source": "admin", "actor": "admin", **kwargs}
        return self.write(ledger.grant, amount=amount, description=description, **kwargs).entry

    def spend(self, amount: int, **kwargs: Any) -> ledger.Entry:
        kwargs = {"idempotency_key": secrets.token_hex(8), "actor": "api:test", **kwargs}
        return self.write(ledger.spend, amount=amount, **kwargs).entry

    def write(self, function: Callable[..., Any], **kwargs: Any) -> Any:
        with self.app.app_context(), unit_of_work() as session:
            return function(session, account_id=self.account_id, **kwargs)

    def balance(self) -> int:
        with self.app.app_context():
            return ledger.balance(db.session(), account_id=self.account_id).balance

    def download(self, path: str) -> Any:
        """The whole of a streamed answer."""
        return self.get(path, buffered=True)

    def fragment(self, path: str, target: str) -> Any:
        return self.get(path, headers={"HX-Request": "true", "HX-Target": target})


@pytest.fixture(scope="module")
def shop(make_app: Callable[..., Flask], servers: Any) -> Flask:
    """The application with the shipped catalog, and nothing granted at sign-up."""
    app = make_app(servers, SIGN_UP_CREDITS="0")
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    return app


@pytest.fixture
def member(shop: Flask) -> Member:
    return Member(shop)


@pytest.fixture
def new_member(shop: Flask) -> Callable[..., Member]:
    return lambda **kwargs: Member(shop, **kwargs)


@pytest.fixture
def statements(shop: Flask) -> Iterator[list[str]]:
    """Every SQL statement that the application sends from now on."""
    with shop.app_context():
        engine = db.engine
    with sent_through(engine) as sent:
        yield sent
