"""The endpoint that spends are compared with does what such endpoints do."""

import psycopg
import pytest

from bench import plain
from tests.conftest import TestServers


def test_the_plain_endpoint_takes_from_the_balance_and_writes_a_line(
    fresh_database: TestServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", fresh_database.database_url)
    with psycopg.connect(fresh_database.superuser_url) as connection:
        connection.execute(plain.TABLES.format(prefix="p-", accounts=2).encode())
    app = plain.create_app()
    client = app.test_client()
    headers = {"Authorization": f"Bearer {plain.SECRET}"}
    body = {"account": "p-2", "amount": 7, "description": "x"}
    assert client.post("/api/v1/spends", json=body).status_code == 401
    assert client.post("/api/v1/spends", json={**body, "amount": 10**9}, headers=headers).status_code == 402
    answer = client.post("/api/v1/spends", json=body, headers=headers)
    assert (answer.status_code, answer.json["balance_after"]) == (201, 999_993)
    with psycopg.connect(fresh_database.superuser_url) as connection:
        rows = connection.execute("SELECT amount, balance_after FROM plain.entries").fetchall()
    assert rows == [(-7, 999_993)]
    with app.app_context():
        plain.db.engine.dispose()
