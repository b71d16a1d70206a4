"""Components that a browser makes whole: a dialog, copying, paper; and pages in a browser that is some years old."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import be_ada

# What came to all browsers after spring 2022, as declarations that an older one drops.
NEWER = re.compile(
    r"(?<=[;{])\s*(?:[\w-]+:[^;{}]*(?:subgrid|dvh)[^;{}]*|(?:text-wrap|rotate|scale|translate|scrollbar-width):[^;{}]*)"
)
NEWER_RULES = re.compile(r"[^{};]*(?::has|:dir)\([^{}]*\{[^{}]*\}")
DARK_TEXT_ON = """() => [...document.querySelectorAll("main h1, main p, main td, main .btn")]
    .filter((one) => one.checkVisibility?.() && one.textContent.trim())
    .map((one) => [getComputedStyle(one).color, one.textContent.trim().slice(0, 40)])"""


def test_a_question_opens_above_the_page_and_closes_where_one_was(page: Page) -> None:
    page.goto("/styleguide")
    opener = page.locator("#dialog-example a.btn")
    opener.click()
    dialog = page.locator("dialog#dialog")
    expect(dialog).to_have_attribute("open", "")
    expect(page.get_by_role("dialog", name="Take 900 credits back?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).not_to_have_attribute("open", "")
    expect(opener).to_be_focused()
    opener.click()
    dialog.get_by_role("link", name="Not now").click()
    expect(dialog).not_to_have_attribute("open", "")
    assert page.url.endswith("/styleguide")


def test_without_a_script_the_question_is_a_page_and_nothing_offers_to_copy(
    new_context: Callable[..., BrowserContext],
) -> None:
    page = new_context(java_script_enabled=False).new_page()
    page.goto("/styleguide")
    expect(page.locator("#copy-example .copyable button")).to_be_hidden()
    page.locator("#dialog-example a.btn").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Take 900 credits back?")
    page.get_by_role("link", name="Not now").click()
    expect(page).to_have_url(re.compile(r"/styleguide#dialog-example$"))


def test_what_is_copied_is_in_the_clipboard(new_context: Callable[..., BrowserContext]) -> None:
    context = new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto("/styleguide")
    page.locator("#copy-example .copyable button").click()
    expect(page.locator("#announce")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "tsk_sandbox_demo"


def test_a_charge_is_printed_on_one_sheet_in_ink_on_white(new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(color_scheme="dark").new_page()
    be_ada(page)
    page.goto("/credits/history?kind=spend")
    page.locator("td.why a").first.click()
    page.wait_for_url("**/credits/entries/*")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.documentElement).color") == "rgb(11, 13, 14)"
    for away in (".top nav", ".top .tools", ".foot", "#toasts .toast"):
        assert page.locator(f"{away}:visible").count() == 0, away
    sheets = len(re.findall(rb"/Type\s*/Page\b(?!s)", page.pdf(format="A4")))
    assert sheets == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_older_browser_shows_pages_that_can_be_read(new_context: Callable[..., BrowserContext], theme: str) -> None:
    """The served stylesheet without what it would drop: colours, cards and columns are still there."""

    def as_older(route: Route) -> None:
        answer = route.fetch()
        css = NEWER_RULES.sub("", NEWER.sub("", answer.text()))
        assert "subgrid" not in css
        route.fulfill(response=answer, body=css)

    page = new_context(color_scheme=theme).new_page()
    page.route("**/static/tallystick.css*", as_older)
    paper = {"light": "rgb(255, 255, 255)", "dark": "rgb(12, 14, 15)"}[theme]
    be_ada(page)
    for path in ("/pricing", "/credits", "/credits/history"):
        for width in (1280, 320):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(path)
            assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == paper
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
            for colour, text in page.evaluate(DARK_TEXT_ON):
                assert colour != paper or text in button_words(page), (path, text)
    page.goto("/pricing")
    boxes = page.locator(".voucher").evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().height)")
    assert min(boxes) > 100


def button_words(page: Page) -> set[str]:
    """What stands on a filled button is in the paper's colour."""
    return {text.strip()[:40] for text in page.locator("main .btn").all_text_contents()}
