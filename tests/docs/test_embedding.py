"""What docs/embedding.md shows works, and is charged as it says."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

import webapp
from tests.api.conftest import Caller, make_secret
from tests.docs.pages import ROOT, blocks_of
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work

PAGE = ROOT / "docs/embedding.md"


def test_the_views_of_the_page_charge_what_they_come_to(
    make_app: Callable[..., Flask], servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(servers)
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    monkeypatch.setattr(webapp, "create_app", lambda: app)
    code = "\n".join(block.code for block in blocks_of(PAGE) if block.language == "python")
    exec(compile(code, str(PAGE), "exec"), {})
    app.config["WTF_CSRF_ENABLED"] = False
    caller = Caller(app.test_client(), make_secret(app))
    team = caller.new_account(credits=60)
    visitor = app.test_client()
    assert 'data-left="28"' in visitor.get(f"/teams/{team}/posters/new").text
    for _ in range(2):
        assert visitor.post(f"/teams/{team}/posters/1").get_json() == ["a fox", "two foxes", "three foxes"]
        assert caller.balance(team) == 60 - 24
    assert visitor.post(f"/teams/{team}/exports/may").text == "may, made just now"
    assert visitor.post(f"/teams/{team}/exports/may").text == "may, made before"
    assert caller.balance(team) == 60 - 24 - 12
    assert visitor.post(f"/teams/{team}/answers/1").text == "Foxes are red."
    assert caller.balance(team) == 60 - 24 - 12 - 3
    assert visitor.post(f"/teams/{team}/posters/2").status_code == 402
    page = visitor.get(f"/teams/{team}/posters/new").text
    assert 'data-missing="11"' in page
    assert f"/pricing?next=%2Fteams%2F{team}%2Fposters%2Fnew%3Fquantity%3D4" in page
    assert caller.balance(team) == 60 - 24 - 12 - 3
