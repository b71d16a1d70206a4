"""Refusals as pages, as fragments, and never below /api."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort
from sqlalchemy.exc import OperationalError

from tests.people.browser import Browser

STATUSES = (400, 403, 404, 405, 413, 429, 500, 503)


@pytest.fixture(scope="module")
def faulty(make_app: Callable[..., Flask], servers: Any) -> Flask:
    """An application with routes that fail."""
    app = make_app(servers)
    app.testing = False

    @app.get("/fail/<int:status>")
    def fail(status: int) -> str:
        abort(status)

    @app.get("/crash")
    def crash() -> str:
        raise RuntimeError("a secret detail")

    @app.get("/away")
    def away() -> str:
        raise OperationalError("SELECT secret", {}, Exception("connection refused"))

    return app


@pytest.mark.parametrize("status", STATUSES)
def test_every_refusal_is_a_page_with_the_requests_number(faulty: Flask, status: int) -> None:
    response = Browser(faulty).get(f"/fail/{status}", headers={"Accept-Language": "de"})
    assert response.status_code == status
    assert '<html lang="de"' in response.text
    assert response.headers["X-Request-Id"] in response.text
    assert f">{status}<" in response.text


@pytest.mark.parametrize("status", STATUSES)
def test_htmx_gets_a_toast_and_no_page(faulty: Flask, status: int) -> None:
    response = Browser(faulty).get(f"/fail/{status}", headers={"HX-Request": "true"})
    assert response.status_code == status
    assert response.text.startswith('<div class="toast bad" role="alert">')
    assert response.headers["X-Request-Id"] in response.text


def test_what_broke_is_not_told(faulty: Flask) -> None:
    response = Browser(faulty).get("/crash")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "Your credits are safe" in response.text


def test_a_missing_database_is_503_with_a_time_to_come_back(faulty: Flask) -> None:
    response = Browser(faulty).get("/away")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "secret" not in response.text


def test_unknown_paths_and_methods_are_refused_in_the_look(app: Flask) -> None:
    browser = Browser(app)
    for path in ("/nope", "/credits/nope", "/%00", "/%ff", "/credits/entries/abc", "/a" * 2000):
        response = browser.get(path)
        assert response.status_code == 404, path
        assert "There is no such page" in response.text
    response = browser.client.put("/log-in")
    assert (response.status_code, response.headers["Allow"] != "") == (405, True)


def test_api_paths_answer_problems_not_pages(app: Flask) -> None:
    response = Browser(app).get("/api/v1/nope")
    assert response.status_code == 404
    assert "<html" not in response.text
