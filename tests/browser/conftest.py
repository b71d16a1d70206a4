"""A real Chromium against a whole running Tallystick."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.looking import Window
from tests.browser.stage import Stage, cast_demo, open_stage
from tests.conftest import _new_database as new_database
from tests.instance import Instance

PASSWORD = "a long enough password"
_people = count(1)

expect.set_options(timeout=15_000)

ARGUMENTS = [
    "--no-sandbox",  # for root in a container
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_context(browser: Browser, instance: Instance) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts; fails the test for whatever they complain about: scripts, policy, missing files."""
    made: list[BrowserContext] = []
    complaints: list[str] = []

    def complain(text: str) -> None:
        # 402 is how a declined card is told; htmx reports the requests that a newer one replaced.
        if "status of 402" not in text and not text.startswith(("htmx:afterRequest", "htmx:sendAbort")):
            complaints.append(text)

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(base_url=instance.base_url, **{"locale": "en-GB", **options})
        context.set_default_timeout(15_000)
        context.on("console", lambda message: complain(message.text) if message.type == "error" else None)
        context.on("weberror", lambda error: complain(str(error.error)))
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()
    assert complaints == []


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    return new_context().new_page()


@pytest.fixture(scope="session")
def new_stage(server_addresses: Any) -> Iterator[Callable[[], Stage]]:
    """Makes shops that this process serves, each with a database of its own and nobody in it."""
    with ExitStack() as opened:

        def make() -> Stage:
            servers = new_database(server_addresses)
            return opened.enter_context(
                open_stage(
                    database_url=servers.database_url,
                    owner_url=servers.owner_url,
                    redis_url=servers.redis_url,
                    data_dir=str(servers.data_dir),
                )
            )

        yield make


@pytest.fixture(scope="session")
def stage(new_stage: Callable[[], Stage]) -> Stage:
    """One with the demo's people and more: .base_url, .cookies, .places (tests/browser/stage.py)."""
    stage = new_stage()
    cast_demo(stage)
    return stage


@pytest.fixture(scope="session")
def windows(browser: Browser, stage: Stage) -> Iterator[dict[tuple[str, str], Window]]:
    opened: dict[tuple[str, str], Window] = {}
    yield opened
    for window in opened.values():
        window.context.close()


@pytest.fixture
def window_of(browser: Browser, stage: Stage, windows: dict[tuple[str, str], Window]) -> Callable[[str, str], Window]:
    """Somebody's browser in a language, kept for the next page; only the one asked for last shows anything."""

    def window_of(who: str, tag: str) -> Window:
        if (who, tag) not in windows:
            windows[who, tag] = Window.open(browser, stage, who=who, tag=tag)
        for window in windows.values():
            if window is not windows[who, tag]:
                window.put_away()
        return windows[who, tag]

    return window_of


_cookies_of_ada: dict[str, Any] = {}


def be_ada(page: Page) -> None:
    """The page is Ada's, who has months of history. She logs in once an instance: how often one may is limited."""
    page.goto("/log-in")
    place = urlsplit(page.url).netloc
    if place not in _cookies_of_ada:
        page.locator("input[name=email]").fill("ada@example.com")
        page.locator("input[name=password]").fill("tallystick-demo")
        page.locator("main form button").first.click()
        page.wait_for_url("**/credits")
        _cookies_of_ada[place] = [one for one in page.context.cookies() if one.get("name") == "tallystick"]
    page.context.add_cookies(_cookies_of_ada[place])


def sign_up(page: Page) -> str:
    """A new person signs up, as a person would; returns the address."""
    email = f"person-{next(_people)}@browser.example.com"
    page.goto("/sign-up")
    page.get_by_label("Email").fill(email)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main form").get_by_role("button").first.click()
    page.wait_for_url("**/credits")
    return email


def available(page: Page) -> int:
    """The balance that the navigation shows now."""
    return int(page.locator("#balance").get_attribute("data-available") or "")


def pay(page: Page, *, package: str, action: str = "pay") -> None:
    """Choose a package on the pricing page, buy it, and press `action` on the sandbox's pay page."""
    page.goto("/pricing")
    page.locator(f"a[href*='/packages/{package}/buy']").first.click()
    page.locator("form[action$='/buy'] button").click()
    page.wait_for_url("**/c/pay/**")
    page.locator(f"button[name=action][value={action}]").click()
