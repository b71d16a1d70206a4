"""Pages for people with a role."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.conftest import TestServers
from tests.people.browser import PASSWORD, Browser, unique_email
from webapp.people.roles import require_role
from webapp.people.sign_up import sign_up


@pytest.fixture(scope="module")
def guarded(make_app: Callable[..., Flask], servers: TestServers) -> Flask:
    """An application with one page for finance."""
    app = make_app(servers)
    app.add_url_rule("/books", view_func=require_role("finance")(lambda: "the books"))
    return app


def status_for(guarded: Flask, session: Session, role: str | None) -> int:
    email = unique_email(role or "nobody")
    sign_up(session, email=email, password=PASSWORD, role=role)
    session.commit()
    browser = Browser(guarded)
    browser.log_in(email)
    return browser.get("/books").status_code


def test_a_page_for_a_role_is_for_that_role_and_owners(guarded: Flask, session: Session) -> None:
    roles = ("finance", "owner", "support", "translator", None)
    assert [status_for(guarded, session, role) for role in roles] == [200, 200, 404, 404, 404]


def test_nobody_signed_in_is_asked_to_log_in(guarded: Flask) -> None:
    assert Browser(guarded).get("/books").location == "/log-in?next=/books"
