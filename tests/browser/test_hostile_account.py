"""Names, texts and figures that are meant to break a page: they are only ever text, and no page grows too wide.

Pictures of what was looked at are in artifacts/hostile, for whoever wants to judge by eye.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.looking import WIDTHS, Window, findings_of, markup_of, overflow_of
from tests.browser.pages import Page, open_all, show_cost
from tests.browser.stage import Stage, cast_hostile

pytestmark = pytest.mark.browser

ARTIFACTS = Path(__file__).parents[2] / "artifacts" / "hostile"

PAGES = [
    Page(name="pricing", path="/pricing", who="hostile"),
    Page(name="credits", path="/credits", who="hostile", do=open_all),
    Page(name="history", path="/credits/history", who="hostile"),
    Page(name="why", path="/credits/entries/{entry}", who="hostile"),
    Page(name="usage", path="/credits/usage", who="hostile", do=open_all),
    Page(name="playground", path="/credits/playground", who="hostile", do=show_cost),
    Page(name="buy", path="/packages/starter/buy", who="hostile"),
    Page(name="buy-markup", path="/packages/standard/buy", who="hostile"),
    Page(name="subscribe", path="/plans/pro/subscribe", who="hostile"),
    Page(name="plan", path="/plan", who="hostile"),
    Page(name="settings", path="/settings", who="hostile"),
]

# What was written as text and became an element, and characters that turn the direction of what follows them.
_BROKEN_OUT = """
() => {
    const born = "script:not([src]), img[src='x'], [onerror]";
    const found = [...document.querySelectorAll(born)].map((one) => one.outerHTML);
    const apart = "bdi, option, textarea";
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (/[\\u202a-\\u202e\\u2066-\\u2069]/.test(node.data) && !node.parentElement.closest(apart)) {
            found.push(`turns what follows: ${node.parentElement.outerHTML.slice(0, 200)}`);
        }
        if (/\\b49\\b/.test(node.data) && node.data.includes("bold")) found.push(`worked out: ${node.data}`);
    }
    return found;
}
"""


@pytest.fixture(scope="module")
def hostile_stage(new_stage: Callable[..., Stage]) -> Stage:
    stage = new_stage()
    cast_hostile(stage)
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    return stage


@pytest.fixture(scope="module", params=["en", "ar"])
def window(request: pytest.FixtureRequest, browser: Browser, hostile_stage: Stage) -> Iterator[Window]:
    window = Window.open(browser, hostile_stage, who="hostile", tag=request.param)
    yield window
    window.context.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_hostile_words_stay_text_and_break_no_layout(window: Window, page: Page) -> None:
    alerts: list[str] = []
    window.tab.on("dialog", lambda dialog: alerts.append(dialog.message))
    tab = window.show(page)
    found = tab.evaluate(_BROKEN_OUT)
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 800})
        found += overflow_of(tab)
        picture = ARTIFACTS / f"{page.name}-{window.tag}-{width}.jpeg"
        tab.screenshot(path=picture, full_page=True, quality=50, type="jpeg", caret="initial")
    markup = markup_of(tab)
    assert (markup["headings"], markup["twice"], markup["styled"], markup["scripted"]) == (1, [], [], [])
    assert found + findings_of(tab) == []
    assert (alerts, window.complaints, window.elsewhere) == ([], [], [])
