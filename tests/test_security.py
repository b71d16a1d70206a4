"""What every answer carries and every request must pass."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from structlog.testing import capture_logs

from tests.conftest import TestServers, settings_for
from tests.people.browser import PASSWORD, Browser, unique_email
from webapp.security import content_security_policy, sandbox_origins

# Who proves by other means that a request is meant: a signature of Stripe's, a key of the operator's.
WITHOUT_FORM_TOKEN = ("/stripe/webhook", "/api/")


def writing_routes(app: Flask) -> list[tuple[str, str]]:
    """(method, path) of every route that changes something and is reached by browsers."""
    found = []
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "1", re.sub(r"<stripe:[^>]+>", "evt_1", rule.rule))
        if not path.startswith(WITHOUT_FORM_TOKEN):
            found += [(method, path) for method in sorted((rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"})]
    return found


def test_every_form_is_refused_without_its_token(app: Flask) -> None:
    browser = Browser(app)
    browser.sign_up()
    routes = writing_routes(app)
    assert ("POST", "/log-out") in routes
    for method, path in routes:
        answer = browser.client.open(path, method=method, data={"email": "x", "password": "y"})
        assert answer.status_code == 400, (method, path)
    assert browser.signed_in


def test_a_token_of_somebody_else_is_refused_and_the_page_says_what_to_do(app: Flask) -> None:
    ada, eve = Browser(app), Browser(app)
    ada.sign_up()
    eve.sign_up()
    answer = ada.post_raw("/settings", {"csrf_token": eve.token("/settings"), "name": "Eve"})
    assert answer.status_code == 400
    assert "This form has gone stale" in answer.text
    assert 'href="/settings"' in answer.text
    assert answer.headers["X-Request-Id"] in answer.text


@pytest.mark.parametrize(
    "path", ["/log-in", "/settings", "/settings/security", "/no-such-page", "/healthz", "/log-out"]
)
def test_every_answer_carries_the_security_headers(app: Flask, path: str) -> None:
    browser = Browser(app)
    browser.sign_up()
    headers = browser.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Strict-Transport-Security" not in headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_forms_may_lead_to_stripe_and_to_the_sandbox_and_nowhere_else(app: Flask) -> None:
    policy = content_security_policy(app.config["SETTINGS"])
    [form_action] = re.findall(r"form-action ([^;]+)", policy)
    assert form_action.split() == [
        "'self'",
        "https://checkout.stripe.com",
        "https://billing.stripe.com",
        "http://127.0.0.1:8001",
        "http://localhost:8001",
    ]


def test_a_live_site_speaks_https_only_and_knows_no_sandbox(servers: TestServers) -> None:
    live = settings_for(
        servers,
        STRIPE_SECRET_KEY="sk_live_" + "x" * 24,
        STRIPE_WEBHOOK_SECRET="whsec_" + "x" * 24,
        SECRET_KEY="s" * 40,
        LEDGER_SEAL_KEY="l" * 40,
        BASE_URL="https://credits.example.com",
    )
    assert sandbox_origins(live) == []
    assert "127.0.0.1" not in content_security_policy(live)


def test_https_is_insisted_on_where_the_site_has_it(make_app: Callable[..., Flask], servers: TestServers) -> None:
    app = make_app(servers, BASE_URL="https://credits.example.com")
    answer = app.test_client().get("/log-in", base_url="https://credits.example.com")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Secure" in answer.headers["Set-Cookie"]


def test_pages_of_a_person_are_kept_in_no_cache(app: Flask) -> None:
    browser = Browser(app)
    assert browser.get("/log-in").headers["Cache-Control"] == "no-store"  # its form holds a token
    browser.sign_up()
    for path in ("/settings", "/settings/security", "/no-such-page"):
        assert browser.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost:8000@evil.example", "", "a b", "x" * 300]
)
def test_another_host_is_refused(app: Flask, host: str) -> None:
    answer = app.test_client().get("/log-in", headers={"Host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.text
    assert "Location" not in answer.headers


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000"])
def test_our_own_hosts_are_answered(app: Flask, host: str) -> None:
    assert app.test_client().get("/log-in", headers={"Host": host}).status_code == 200


def test_links_in_answers_come_from_settings_and_not_from_the_request(app: Flask) -> None:
    answer = app.test_client().get(
        "/log-in", headers={"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    )
    assert answer.status_code == 200
    assert "evil.example" not in answer.text


def test_a_request_id_is_of_our_own_making(app: Flask) -> None:
    first = app.test_client().get("/log-in", headers={"X-Request-Id": "from-outside"}).headers["X-Request-Id"]
    second = app.test_client().get("/log-in").headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{16}", first)
    assert first != second


def test_each_request_is_one_line_in_the_log_without_secrets(app: Flask) -> None:
    browser = Browser(app)
    with capture_logs() as events:
        browser.get("/log-in?next=/credits&token=hush-hush")
        browser.sign_up(password=PASSWORD)
        browser.get("/reset-password/a-secret-token")
        browser.get("/a%0Aforged=line")
    lines = [event for event in events if event["event"] == "request"]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("GET", "/log-in", 200),
        ("GET", "/sign-up", 200),
        ("POST", "/sign-up", 303),
        ("GET", "/reset-password/<token>", 410),
        ("GET", "/a?forged=line", 404),
    ]
    assert lines[2]["user"] is not None
    assert all(line["ms"] >= 0 for line in lines)
    for secret in ("hush-hush", "a-secret-token", PASSWORD):
        assert secret not in repr(events)


HOSTILE: list[dict[str, Any]] = [
    {},
    {"email": "\x00", "password": "\x00"},
    {"email": "\ud7ff\uffff@\u202e", "password": "\u0000" * 20},
    {"email": "a@" + "b." * 120 + "example", "password": "x" * 100_000},
    {"email": "%s%n%(x)s@example.com", "password": "%s%n%(x)s%s%n"},
    {"email": "'; DROP TABLE users; --@example.com", "password": "' OR 1=1 --"},
    {"email": "a@[127.0.0.1]", "password": "long enough, this"},
    {"email": "a@xn--ls8h.example", "password": "long enough, this"},
    {"email": '"a b"@example.com', "password": "long enough, this"},
    {"email": "a@\u2024\u2024", "password": "long enough, this"},
    {"email": ["a@example.com", "b@example.com"], "password": ["long enough, this", "x"]},
    {"email": b"\xff\xfe@example.com", "password": b"\xff\xfe\x00\x80 long enough"},
    {"email": "ß" * 300, "password": "\U0001f4a9" * 10, "name": "\ud7ff" * 3},
    {"email": "a@example.com", "password": "long enough, this", "name": "\u0000"},
    {"email": "a@example.com", "password": "long enough, this", "stay": "\u0000", "next": "\u0000"},
    {"email[]": "a", "password[a]": "b", "time_zone": "/etc/passwd", "csrf_token2": "x"},
]


@pytest.mark.parametrize("path", ["/sign-up", "/log-in", "/forgot-password"])
@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_no_input_of_a_stranger_is_an_error_of_ours(app: Flask, path: str, number: int) -> None:
    answer = Browser(app).post(path, HOSTILE[number])
    assert answer.status_code in {200, 303, 422}
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/log-in?next=%00",
        "/log-in?next=%ff",
        "/log-in?lang=xx",
        "/log-in?lang=%00&x[]=1",
        "/%00",
        "/%ff",
        "/..%2f..%2fetc/passwd",
    ],
)
def test_no_address_of_a_stranger_is_an_error_of_ours(app: Flask, path: str) -> None:
    assert Browser(app).get(path).status_code in {200, 404}


def test_too_large_or_garbled_a_body_is_refused_as_such(app: Flask) -> None:
    browser = Browser(app)
    browser.token("/log-in")
    assert browser.post_raw("/log-in", {"email": "x" * 2_000_000}).status_code == 413
    garbled = browser.client.post("/log-in", data=b"--x\r\n\xff", content_type="multipart/form-data; boundary=x")
    assert garbled.status_code == 400
    as_json = browser.client.post("/log-in", json={"email": unique_email()})
    assert as_json.status_code == 400
