"""While maintenance is on, everybody gets 503 in their own language, and nothing else happens."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from tests.people.browser import Browser
from webapp import maintenance
from webapp.queue import redis_connection


@pytest.fixture(scope="module")
def place(make_app: Callable[..., Flask], servers: Any) -> Flask:
    """An application that asks Redis at every request, and not once a second."""
    return make_app(servers)


@pytest.fixture
def closed(place: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setattr(maintenance, "REMEMBERED_SECONDS", 0.0)
    result = place.test_cli_runner().invoke(args=["maintenance", "on", "--minutes", "30"])
    assert result.exit_code == 0, result.output
    yield place
    with place.app_context():
        redis_connection().delete(maintenance.KEY)


def switch(place: Flask, *words: str) -> str:
    result = place.test_cli_runner().invoke(args=["maintenance", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_pages_say_so_in_the_readers_language(closed: Flask) -> None:
    for path in ("/", "/pricing", "/log-in", "/credits", "/nowhere"):
        answer = Browser(closed).get(path, headers={"Accept-Language": "ar"})
        assert answer.status_code == 503, path
        assert '<html lang="ar" dir="rtl"' in answer.text
        assert answer.headers["X-Request-Id"] in answer.text
        assert 1700 < int(answer.headers["Retry-After"]) <= 1800
        assert answer.headers["Cache-Control"] == "no-store"
    assert "We are at work here" in Browser(closed).get("/").text


def test_the_api_answers_a_problem(closed: Flask) -> None:
    answer = Browser(closed).get("/api/v1/packages")
    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    assert answer.json["code"] == "unavailable"
    assert int(answer.headers["Retry-After"]) > 1700


def test_stripe_is_told_to_come_again(closed: Flask) -> None:
    answer = Browser(closed).post_raw("/stripe/webhook")
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)


def test_htmx_gets_a_toast(closed: Flask) -> None:
    answer = Browser(closed).get("/credits", headers={"HX-Request": "true"})
    assert answer.status_code == 503
    assert answer.text.startswith('<div class="toast bad" role="alert">')


def test_health_metrics_and_static_files_answer_as_ever(closed: Flask) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/static/tallystick.css", "/static/img/favicon.svg"):
        assert Browser(closed, ip="127.0.0.1").get(path).status_code == 200, path


def test_it_ends_when_it_is_switched_off(closed: Flask) -> None:
    assert "Maintenance is on until about" in switch(closed, "status")
    assert switch(closed, "off").strip() == "Maintenance is off."
    assert Browser(closed).get("/pricing").status_code == 200
    assert switch(closed, "status").strip() == "Maintenance is off."
    assert "already" in switch(closed, "off")


def test_nobody_is_logged_out_by_it(place: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "REMEMBERED_SECONDS", 0.0)
    browser = Browser(place)
    browser.sign_up()
    switch(place, "on")
    assert browser.get("/credits").headers["Retry-After"] == "60"
    switch(place, "off")
    assert browser.get("/credits").status_code == 200


def test_the_environment_closes_one_process(make_app: Callable[..., Flask], servers: Any) -> None:
    app = make_app(servers, MAINTENANCE="1")
    assert Browser(app).get("/pricing").status_code == 503
    assert "MAINTENANCE is set" in switch(app, "off")
    assert Browser(app).get("/pricing").status_code == 503


def test_without_redis_what_it_said_last_holds(place: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "REMEMBERED_SECONDS", 0.0)
    gone = Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=1)
    monkeypatch.setitem(place.extensions, "redis", gone)
    assert Browser(place).get("/healthz").status_code == 200
    assert Browser(place).get("/pricing").status_code == 200
    result = place.test_cli_runner().invoke(args=["maintenance", "on"])
    assert result.exit_code == 1
    assert "Redis cannot be reached" in result.output
