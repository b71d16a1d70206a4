"""Every page in every look: readable by everybody, no wider than its window, and asking nobody else for anything."""

import gzip
import re
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle

import pytest
from playwright.sync_api import Page as Tab
from werkzeug.exceptions import NotFound

from tests.browser.looking import Look, Window, findings_of, in_looks, markup_of, overflow_of
from tests.browser.pages import ADMIN_PAGES, FILES, NO_PAGES, PAGES, Page
from tests.browser.stage import Stage

pytestmark = pytest.mark.browser

DIRECTIONS = {"en": "ltr", "ar": "rtl"}
# By day axe sees a page in one of them and in one direction; the nightly run sees all of them in both.
LOOKS = {"en": [Look(1280, "light"), Look(320, "dark")], "ar": [Look(1280, "dark"), Look(320, "light")]}
OTHERS = {"en": LOOKS["ar"], "ar": LOOKS["en"]}
# Those of admins are many and made of the same parts: each is seen in one look, the next one in another.
ONE_WAY = {page.name: tag for page, tag in zip(ADMIN_PAGES, cycle(DIRECTIONS), strict=False)}
# Those of one person in one language come one after the other, in the same window.
SEEN_AT_NIGHT = sorted(((page, tag) for page in PAGES for tag in DIRECTIONS), key=lambda seen: (seen[1], seen[0].who))
SEEN = [(page, tag) for page, tag in SEEN_AT_NIGHT if ONE_WAY.get(page.name, tag) == tag]


def looks_of(page: Page, tag: str) -> list[Look]:
    """In what axe sees it by day in that language: one page light, the next one dark, every second on a phone."""
    if page.name in ONE_WAY:
        return LOOKS[tag][ADMIN_PAGES.index(page) // 2 % 2 :][:1]
    place = PAGES.index(page)
    return LOOKS[tag][place // 2 % 2 :][:1] if list(DIRECTIONS)[place % 2] == tag else []


def name_of(part: object) -> str:
    return part.name if isinstance(part, Page) else str(part)


@pytest.mark.parametrize(("page", "tag"), SEEN, ids=name_of)
def test_a_page_is_accessible_and_stays_at_home(window_of: Callable[..., Window], page: Page, tag: str) -> None:
    look_at(window_of(page.who, tag), page, looks_of(page, tag))


@pytest.mark.nightly
@pytest.mark.parametrize(("page", "tag"), SEEN_AT_NIGHT, ids=name_of)
def test_a_page_is_accessible_in_the_other_looks_too(window_of: Callable[..., Window], page: Page, tag: str) -> None:
    seen = looks_of(page, tag) if (page, tag) in SEEN else []
    look_at(window_of(page.who, tag), page, [look for look in [*LOOKS[tag], *OTHERS[tag]] if look not in seen])


def look_at(window: Window, page: Page, looks: list[Look]) -> None:
    first = looks[0] if looks else Look(1280, "light")
    tab = window.show(page, width=first.width, scheme=first.scheme)
    assert markup_of(tab) == {
        "lang": window.tag,
        "dir": DIRECTIONS[window.tag],
        "headings": page.headings,
        "twice": [],
        "styled": [],
        "scripted": [],
        "leadingNowhere": [],
    }
    assert in_looks(tab, looks, lambda tab: findings_in(tab, page)) == {}
    last = looks[-1] if looks else first
    widths = [Look(width, last.scheme) for width in sorted((320, 768, 1280), reverse=last.width == 1280)]
    assert in_looks(tab, widths, overflow_of) == {}
    assert (window.complaints, window.elsewhere) == ([], [])


def findings_in(tab: Tab, page: Page) -> list[str]:
    """What is in a frame of somebody else's page has no heading of its own."""
    return [one for one in findings_of(tab) if page.headings or not one.startswith("page-has-heading-one ")]


def test_every_page_that_there_is_was_looked_at(stage: Stage) -> None:
    adapter = stage.app.url_map.bind("localhost")
    seen = set()
    for page in PAGES:
        with suppress(NotFound):
            seen.add(adapter.match(re.split(r"[?#]", stage.path(page.path))[0])[0])
    there = {
        rule.endpoint
        for rule in stage.app.url_map.iter_rules()
        if "GET" in (rule.methods or set()) and not rule.rule.startswith("/api/v1/") and not FILES.search(rule.rule)
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
