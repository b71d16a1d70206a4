"""How often one may try."""

import pytest
from flask import Flask

from tests.people.browser import PASSWORD, Browser, unique_email
from webapp.extensions import limiter
from webapp.people.views import limits


def network_of(app: Flask, ip: str) -> str:
    with app.test_request_context("/", environ_base={"REMOTE_ADDR": ip}):
        return limits.network()


def fail(browser: Browser, email: str, times: int) -> list[int]:
    token = browser.token("/log-in")
    fields = {"email": email, "password": "", "csrf_token": token}
    return [browser.post_raw("/log-in", fields).status_code for _ in range(times)]


def test_ten_tries_a_minute_for_one_address_then_wait(app: Flask) -> None:
    browser, email = Browser(app), unique_email()
    assert fail(browser, email, 12) == [422] * 10 + [429] * 2
    answer = browser.post("/log-in", {"email": f" {email.upper()}", "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["X-Request-Id"]


def test_others_are_not_kept_out_by_somebody_elses_tries(app: Flask, ada: Browser) -> None:
    assert 429 in fail(Browser(app), ada.email, 11)
    assert Browser(app).log_in(ada.email).status_code == 303


def test_a_network_that_tries_many_addresses_must_wait_too(app: Flask) -> None:
    browser = Browser(app)
    statuses = [status for number in range(7) for status in fail(browser, unique_email(f"n{number}"), 10)]
    assert statuses == [422] * 60 + [429] * 10


def test_the_page_itself_is_never_limited(app: Flask) -> None:
    browser = Browser(app)
    fail(browser, unique_email(), 11)
    assert browser.get("/log-in").status_code == 200


def test_five_taken_addresses_an_hour_are_told_and_no_more(app: Flask, ada: Browser) -> None:
    eve = Browser(app)
    statuses = [eve.sign_up(ada.email, "a wrong password").status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]
    assert Browser(app).sign_up().status_code == 303


def test_links_for_one_address_are_few(app: Flask) -> None:
    email = unique_email()
    statuses = [Browser(app).post("/forgot-password", {"email": email}).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]


def test_a_household_with_ipv6_is_one_network(app: Flask) -> None:
    assert network_of(app, "2001:db8:1:2:3::4") == network_of(app, "2001:db8:1:2:ffff::9") == "2001:db8:1:2::"
    assert network_of(app, "2001:db8:1:3::1") != network_of(app, "2001:db8:1:2::1")
    assert network_of(app, "fe80::1%eth0") == "fe80::"
    assert network_of(app, "192.0.2.7") == "192.0.2.7"
    assert network_of(app, "garbage") == "unknown"


def test_without_redis_nobody_logs_in_and_everybody_reads(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from limits.storage import storage_from_string
    from limits.strategies import MovingWindowRateLimiter

    browser = Browser(app)
    token = browser.token("/log-in")
    away = storage_from_string("redis+unix:///nonexistent/redis.sock", socket_connect_timeout=1)
    monkeypatch.setattr(limiter, "_limiter", MovingWindowRateLimiter(away))  # what Flask-Limiter asks
    for path in ("/log-in", "/sign-up", "/forgot-password"):
        fields = {"email": unique_email(), "password": PASSWORD, "csrf_token": token}
        answer = browser.post_raw(path, fields)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert browser.get(path).status_code == 200
