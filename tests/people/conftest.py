"""Browsers for the tests of this folder."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.people.browser import Browser


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def new_browser(app: Flask) -> Callable[[], Browser]:
    return lambda: Browser(app)


@pytest.fixture
def ada(app: Flask) -> Browser:
    """Somebody who has just signed up."""
    browser = Browser(app)
    assert browser.sign_up(name="Ada").status_code == 303
    return browser
