"""Every page in every language that is shipped: in that language, and no wider than a small telephone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from tests.browser.looking import overflow_of
from tests.browser.page import Page
from tests.browser.pages import ADMIN_PAGES, PAGES
from tests.browser.stage import Stage

pytestmark = pytest.mark.browser

TAGS = ("de", "fr", "es", "pt-BR", "ja")
SEEN_AS_WELL = ("en", "ar")  # people's pages, at this width, too, by test_every_page


@pytest.fixture(scope="module")
def tab(browser: Browser, stage: Stage) -> Iterator[Tab]:
    size = {"width": 320, "height": 640}
    context = browser.new_context(base_url=stage.base_url, viewport=size, java_script_enabled=False)
    context.set_default_timeout(20_000)
    tab = context.new_page()
    tab.goto(stage.path(PAGES[0].path))
    yield tab
    context.close()


@pytest.mark.parametrize("tag", TAGS)
def test_no_page_is_wider_than_a_small_telephone(stage: Stage, tab: Tab, tag: str) -> None:
    assert troubles(stage, tab, tag, [page for page in PAGES if page not in ADMIN_PAGES]) == {}


@pytest.mark.parametrize("tag", [*TAGS, *SEEN_AS_WELL])
def test_no_page_of_admins_is_either(stage: Stage, tab: Tab, tag: str) -> None:
    assert troubles(stage, tab, tag, list(ADMIN_PAGES)) == {}


def test_no_language_was_forgotten(stage: Stage) -> None:
    assert {*TAGS, *SEEN_AS_WELL} == set(stage.app.config["SETTINGS"].locales)


def troubles(stage: Stage, tab: Tab, tag: str, pages: list[Page]) -> dict[str, list[str]]:
    """What is wrong with each of the pages."""
    stage.speak(tag)
    return {
        page.name: wrong for page in pages if page.do is None and (wrong := trouble_of(stage, tab, page, tag)) != []
    }


def trouble_of(stage: Stage, tab: Tab, page: Page, tag: str) -> list[str]:
    """The answer is put into the tab, all but what would ask for it again: to go there costs four times as much."""
    client = stage.app.test_client()
    if page.who:
        client.set_cookie("tallystick", stage.cookies[page.who])
    answer = client.get(stage.path(page.path), headers={"Accept-Language": tag}, follow_redirects=True)
    tab.set_content(answer.text.replace('http-equiv="refresh"', ""))
    spoken = tab.locator("html").get_attribute("lang")
    return [*overflow_of(tab), *([f"speaks {spoken}"] if spoken != tag else [])] + (
        [f"answered {answer.status_code}"] if answer.status_code != page.status else []
    )
