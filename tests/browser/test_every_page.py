"""Every page in every look: readable by everybody, no wider than its window, and asking nobody else for anything."""

import gzip
import re
from collections.abc import Callable
from contextlib import suppress

import pytest
from werkzeug.exceptions import NotFound

from tests.browser.looking import Look, Window, findings_of, in_looks, markup_of, overflow_of
from tests.browser.pages import NO_PAGES, PAGES, Page
from tests.browser.stage import Stage

pytestmark = pytest.mark.browser

DIRECTIONS = {"en": "ltr", "ar": "rtl"}
# Both directions together see each page in all of them; the nightly run sees all of them in both.
LOOKS = {"en": [Look(1280, "light"), Look(320, "dark")], "ar": [Look(1280, "dark"), Look(320, "light")]}


@pytest.mark.parametrize("tag", DIRECTIONS)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_accessible_and_stays_at_home(window_of: Callable[..., Window], page: Page, tag: str) -> None:
    look_at(window_of(page.who, tag), page, LOOKS[tag])


@pytest.mark.nightly
@pytest.mark.parametrize("tag", DIRECTIONS)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_accessible_in_the_other_looks_too(window_of: Callable[..., Window], page: Page, tag: str) -> None:
    look_at(window_of(page.who, tag), page, [look for other in LOOKS if other != tag for look in LOOKS[other]])


def look_at(window: Window, page: Page, looks: list[Look]) -> None:
    tab = window.show(page)
    assert markup_of(tab) == {
        "lang": window.tag,
        "dir": DIRECTIONS[window.tag],
        "headings": 1,
        "twice": [],
        "styled": [],
        "scripted": [],
        "leadingNowhere": [],
    }
    assert in_looks(tab, looks, lambda tab: findings_of(tab) + overflow_of(tab)) == {}
    assert (window.complaints, window.elsewhere) == ([], [])


def test_every_page_that_there_is_was_looked_at(stage: Stage) -> None:
    adapter = stage.app.url_map.bind("localhost")
    seen = set()
    for page in PAGES:
        with suppress(NotFound):
            seen.add(adapter.match(re.split(r"[?#]", stage.path(page.path))[0])[0])
    there = {
        rule.endpoint
        for rule in stage.app.url_map.iter_rules()
        if "GET" in (rule.methods or set()) and not rule.rule.startswith("/api/v1/")
    }
    assert there - NO_PAGES - seen - {"pricing.pricing_in"} == set()


def test_every_page_is_light_kept_nowhere_and_strict(stage: Stage) -> None:
    """Compressed, as a proxy in front sends it: the application compresses no pages (docs/decisions)."""
    files: dict[str, int] = {}
    stage.speak("en")
    for page in PAGES:
        client = stage.app.test_client()
        if page.who:
            client.set_cookie("tallystick", stage.cookies[page.who])
        answer = client.get(stage.path(page.path))
        assert answer.headers["Cache-Control"] == "no-store", page.name
        assert "unsafe" not in answer.headers["Content-Security-Policy"], page.name
        loaded = re.findall(r'<(?:link|script|img)[^>]+(?:href|src)="(/static/[^"]+)"', answer.text)
        for url in set(loaded) - set(files):
            file = client.get(url, headers={"Accept-Encoding": "gzip"})
            assert "immutable" in file.headers["Cache-Control"], url
            files[url] = len(file.data)
        weight = len(gzip.compress(answer.data)) + sum(files[url] for url in set(loaded))
        assert weight <= 60 * 1024, (page.name, weight)
