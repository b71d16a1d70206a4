"""GET /metrics: who may read it, and that it tells the truth."""

import re
import uuid
from collections.abc import Callable

import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from tests.conftest import TestServers
from tests.instance import Instance
from webapp import ledger, outbox
from webapp.database import unit_of_work
from webapp.usage.accepting import accept_usage

TOKEN = "a-token-of-some-length"
STRANGER = {"REMOTE_ADDR": "203.0.113.9"}


def figure(body: str, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", body, re.M)
    return float(found[1]) if found else 0.0


def test_every_request_is_counted_under_its_route(client: FlaskClient) -> None:
    sample = 'tallystick_http_requests_total{method="GET",route="/<tag>/pricing",status="200"}'
    before = figure(client.get("/metrics").text, sample)
    for _ in range(3):
        client.get("/de/pricing")
    body = client.get("/metrics").text
    assert figure(body, sample) == before + 3
    assert 'tallystick_http_request_duration_seconds_bucket{le="0.1",method="GET",route="/<tag>/pricing"}' in body


def test_addresses_and_methods_that_strangers_invent_make_no_new_series(client: FlaskClient) -> None:
    for path in ("/" + uuid.uuid4().hex, "/%00", '/"}'):
        client.open(path, method="BREW")
    invented = [line for line in client.get("/metrics").text.splitlines() if 'route="unknown"' in line]
    assert any('method="other"' in line for line in invented)
    assert "BREW" not in "".join(invented)


def test_only_this_machine_reads_it_without_a_token(client: FlaskClient) -> None:
    assert client.get("/metrics", environ_overrides={"REMOTE_ADDR": "::1"}).status_code == 200
    assert client.get("/metrics", environ_overrides=STRANGER).status_code == 404
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        assert client.get("/metrics", headers={header: "127.0.0.1"}).status_code == 404, header


def test_with_a_token_only_who_sends_it_reads_it(make_app: Callable[..., Flask], servers: TestServers) -> None:
    client = make_app(servers, METRICS_TOKEN=TOKEN).test_client()
    for given in ("", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer é"):
        answer = client.get("/metrics", headers={"Authorization": given})
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/metrics", headers=headers, environ_overrides=STRANGER).status_code == 200


def test_it_tells_what_is_undone_and_for_how_long(fresh_app: Flask) -> None:
    client = fresh_app.test_client()
    assert figure(client.get("/metrics").text, 'tallystick_outbox_rows{state="waiting"}') == 0
    with fresh_app.app_context(), unit_of_work() as session:
        for key in ("one", "two", "three"):
            outbox.put(session, job="send_mail", key=key, args={})
        outbox.take_pending(session)
        session.execute(text("UPDATE outbox SET created_at = created_at - interval '90 s' WHERE key = 'one'"))
        session.execute(text("UPDATE outbox SET parked_at = created_at WHERE key = 'three'"))
    body = client.get("/metrics").text
    assert figure(body, 'tallystick_outbox_rows{state="waiting"}') == 2
    assert figure(body, 'tallystick_outbox_rows{state="parked"}') == 1
    assert 89 < figure(body, "tallystick_outbox_oldest_seconds") < 150
    assert figure(body, "tallystick_database_up") == 1
    assert "tallystick_ledger_entries_written_total" in body


def test_it_tells_what_of_queued_usage_is_not_charged(fresh_app: Flask) -> None:
    client = fresh_app.test_client()
    with fresh_app.app_context(), unit_of_work() as session:
        account = ledger.open_account(session, external_id="u")[0].account_id
        spends = [ledger.SpendItem(account_id=account, amount=1, idempotency_key=key, actor="t") for key in "abc"]
        accept_usage(session, events=spends)
        outbox.take_pending(session)
        session.execute(text("UPDATE usage_events SET since = since - interval '90 s' WHERE idempotency_key = 'a'"))
        session.execute(text("UPDATE usage_events SET state = 'parked' WHERE idempotency_key = 'c'"))
    body = client.get("/metrics").text
    assert figure(body, 'tallystick_usage_events{state="pending"}') == 2
    assert figure(body, 'tallystick_usage_events{state="parked"}') == 1
    assert 89 < figure(body, "tallystick_usage_oldest_seconds") < 150


def test_without_the_database_the_rest_is_still_told(make_app: Callable[..., Flask], servers: TestServers) -> None:
    client = make_app(servers, DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing").test_client()
    client.get("/healthz")
    body = client.get("/metrics").text
    assert figure(body, "tallystick_database_up") == 0
    assert "tallystick_http_requests_total" in body
    assert "tallystick_outbox_rows" not in body


def test_it_adds_up_all_web_processes(instance: Instance) -> None:
    sample = 'tallystick_http_requests_total{method="GET",route="/healthz",status="200"}'
    before = figure(requests.get(f"{instance.base_url}/metrics", timeout=10).text, sample)
    for _ in range(20):
        requests.get(f"{instance.base_url}/healthz", timeout=10)
    for _ in range(10):  # whichever process answers
        assert figure(requests.get(f"{instance.base_url}/metrics", timeout=10).text, sample) >= before + 20
