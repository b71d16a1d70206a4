"""Fixtures of the API's tests: a caller with a key, and accounts with credits."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.priced_features import MakeFeature, features_of_a_test
from tests.statements import sent_through
from webapp import clock, ledger
from webapp.api.keys import SCOPES, create_key
from webapp.catalog.install import install_shipped_catalog
from webapp.database import AUTOCOMMIT, unit_of_work

_numbers = count(1)


def new_name(kind: str = "user") -> str:
    return f"{kind}-{next(_numbers)}-{uuid4().hex[:8]}"


class Caller:
    """Calls the API with one key; each write gets an idempotency key of its own unless one is given."""

    def __init__(self, client: FlaskClient, secret: str | None) -> None:
        self.client = client
        self.secret = secret

    def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, headers: Any = None, **more: Any
    ) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
        if method != "GET":
            sent["Idempotency-Key"] = key or uuid4().hex
        sent.update(headers or {})
        sent = {name: value for name, value in sent.items() if value is not None}
        if body is not None:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            more = {"data": raw, "content_type": "application/json", **more}
        return self.client.open(f"/api/v1{path}", method=method, headers=sent, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.call("GET", path, **more)

    def put(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.call("PUT", path, body, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.call("POST", path, body, **more)

    def spend(self, account: str, amount: int, *, key: str | None = None, **more: Any) -> TestResponse:
        return self.post("/spends", {"account": account, "amount": amount, "description": "Test", **more}, key=key)

    def hold(self, account: str, amount: int, *, key: str | None = None, **more: Any) -> TestResponse:
        return self.post("/holds", {"account": account, "amount": amount, **more}, key=key)

    def new_account(self, *, credits: int = 0) -> str:
        name = new_name()
        assert self.put(f"/accounts/{name}", {}).status_code == 201
        if credits:
            granted = self.post("/grants", {"account": name, "amount": credits, "reason": "Test"})
            assert granted.status_code == 201, granted.text
        return name

    def balance(self, account: str) -> int:
        balance: int = self.get(f"/accounts/{account}").get_json()["balance"]
        return balance


def make_secret(app: Flask, **attributes: Any) -> str:
    with app.app_context(), unit_of_work() as session:
        chosen = {"name": "Test", "scopes": SCOPES, "sandbox": True, **attributes}
        _key, secret = create_key(session, **chosen)
    return secret


def pass_time(app: Flask, seconds: float) -> None:
    """Every clock is later by that."""
    with app.app_context(), unit_of_work() as session:
        ledger.advance_clock(session, by=timedelta(seconds=seconds))
        clock.follow(session, movable=True, at_once=True)


@contextmanager
def statements_of(app: Flask) -> Iterator[list[str]]:
    """What the API sends to PostgreSQL meanwhile, but for the look at the clock, once a second in sandbox mode only."""
    with sent_through(app.extensions["engines"][AUTOCOMMIT]) as seen:
        yield seen


@pytest.fixture
def make_feature(secret: str, superuser_connection: psycopg.Connection) -> Iterator[MakeFeature]:
    """Features with terms and ceilings of the test's own."""
    with features_of_a_test(superuser_connection) as make:
        yield make


@pytest.fixture(scope="module")
def secret(app: Flask) -> str:
    """A key with every scope, in a database with the shipped catalog."""
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    return make_secret(app)


@pytest.fixture
def caller(app: Flask, secret: str) -> Caller:
    return Caller(app.test_client(), secret)


@pytest.fixture
def caller_with(app: Flask) -> Callable[..., Caller]:
    """Makes callers whose key has these attributes."""
    return lambda **attributes: Caller(app.test_client(), make_secret(app, **attributes))


def assert_problem(response: TestResponse, status: int, code: str, **members: Any) -> dict[str, Any]:
    """The response is that problem, whole."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    body: dict[str, Any] = response.get_json()
    assert body["status"] == status
    assert body["code"] == code
    assert {"type", "title", "status", "detail", "code", "request_id"} <= body.keys()
    assert all(isinstance(body[name], str) and body[name] for name in ("type", "title", "detail", "request_id"))
    for name, value in members.items():
        assert body[name] == value, (name, body)
    return body
