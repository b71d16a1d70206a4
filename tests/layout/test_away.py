"""Pages while the database cannot be reached: an honest 503, in the look."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from tests.people.browser import Browser
from webapp import create_app
from webapp.extensions import db


@pytest.fixture(scope="module")
def orphan(settings: Any) -> Any:
    """An application whose database is not there."""
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1"
    app = create_app(replace(settings, database_url=nowhere, database_owner_url=nowhere))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("path", ["/pricing", "/credits", "/credits/balance", "/credits/history.csv"])
def test_without_a_database_pages_ask_to_come_again(orphan: Flask, path: str) -> None:
    browser = Browser(orphan)
    with browser.client.session_transaction() as cookie:
        cookie.update(_user_id="some-token", _fresh=True)
    response = browser.get(path, headers={"Accept-Language": "de"})
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "Gleich wieder da" in response.text


def test_without_a_database_static_files_and_the_log_in_page_are_there(orphan: Flask) -> None:
    browser = Browser(orphan)
    assert browser.get("/static/tallystick.css").status_code == 200
    assert browser.get("/log-in").status_code == 200
    assert browser.get("/nope").status_code == 404
