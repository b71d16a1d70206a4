"""Calls of the ledger go past SQLAlchemy, and nobody outside can tell."""

import os
import socket
import uuid

from flask import Flask

from tests.api.conftest import Caller, assert_problem, statements_of
from webapp.api.direct import Direct


def cut(direct: Direct) -> int:
    """All idle connections are dead, and nobody knows yet; returns how many."""
    for connection in direct._idle:
        with socket.socket(fileno=os.dup(connection.fileno())) as doomed:
            doomed.shutdown(socket.SHUT_RDWR)
    return len(direct._idle)


def test_a_spend_is_charged_once_though_the_kept_connections_have_died(app: Flask, caller: Caller) -> None:
    name = caller.new_account(credits=10)
    direct: Direct = app.extensions["api_direct"]
    assert caller.spend(name, 1).status_code == 201
    assert cut(direct) > 0
    assert caller.spend(name, 2).status_code == 201
    assert caller.balance(name) == 7
    assert caller.spend(name, 3).status_code == 201
    assert (caller.balance(name), len(direct._idle)) == (4, 1)


def test_a_refused_spend_keeps_its_connection_and_is_asked_once(app: Flask, caller: Caller) -> None:
    name = caller.new_account(credits=10)
    caller.spend(name, 1)
    with statements_of(app) as sent:
        refused = caller.spend(name, 100)
    assert_problem(refused, 402, "insufficient_credits")
    assert sum("ledger.spend(" in statement for statement in sent) == 1
    assert len(app.extensions["api_direct"]._idle) > 0


def test_the_api_has_no_use_for_cookies(app: Flask, caller: Caller) -> None:
    name = caller.new_account(credits=10)
    key = uuid.uuid4().hex
    answer = caller.post(
        "/spends",
        {"account": name, "amount": 1, "description": "x"},
        headers={"Cookie": "tallystick=anything", "Idempotency-Key": key},
    )
    assert answer.status_code == 201
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Request-Id"]
