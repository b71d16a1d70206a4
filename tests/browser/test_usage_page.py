"""The usage page as a person meets it: with and without scripts, narrow and wide, in both directions of writing."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import PASSWORD, be_ada

pytestmark = pytest.mark.browser


def log_in(page: Page, path: str) -> None:
    be_ada(page)
    page.goto(path)


def used(page: Page) -> int:
    return int(page.locator("#used").get_attribute("data-used") or "")


def test_ranges_and_filters_swap_the_part_and_stay_in_the_url(page: Page) -> None:
    log_in(page, "/credits/usage")
    page.evaluate("document.body.dataset.stays = 'yes'")
    month = used(page)
    assert month > 0

    page.get_by_role("link", name="90 days", exact=True).click()
    expect(page.locator("#range [aria-current]")).to_have_text("90 days")
    page.wait_for_url("**/credits/usage?range=90d")
    assert used(page) > month
    assert page.evaluate("document.activeElement.id") == "h-used"

    page.get_by_label("By", exact=True).select_option("week")
    page.get_by_label("Feature", exact=True).select_option("image")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#h-time")).to_have_text("By week")
    assert parse_qs(urlsplit(page.url).query) == {"range": ["90d"], "group": ["week"], "feature": ["image"]}
    assert page.evaluate("document.body.dataset.stays") == "yes", "the page was not loaded again"
    images = used(page)

    shared = page.context.new_page()
    shared.goto(page.url)
    assert used(shared) == images
    lines = shared.locator("#by-time tbody tr").evaluate_all("rows => rows.map(row => +row.dataset.used)")
    assert sum(lines) == images


def test_a_line_leads_to_its_spends(page: Page) -> None:
    log_in(page, "/credits/usage?range=90d")
    line = page.locator("#by-time tbody tr:has(a)").first
    spends = line.get_attribute("data-from") or ""
    line.locator("a").first.click()
    page.wait_for_url("**/credits/history?**")
    assert page.locator("tr[data-entry]").count() > 0
    assert spends in page.url


@pytest.mark.parametrize("locale", ["en-GB", "ar"])
def test_no_width_scrolls_sideways_and_narrow_ones_have_cards(
    new_context: Callable[..., BrowserContext], locale: str
) -> None:
    page = new_context(locale=locale).new_page()
    page.goto("/sign-up")
    page.locator("input[name=email]").fill(f"usage-{locale}@browser.example.com".lower())
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main form button").first.click()
    page.wait_for_url("**/credits")
    for feature in ("image", "export", "chat-message"):
        page.goto(f"/credits/playground?feature={feature}&quantity=1")
        page.locator("form[method=post][action='/credits/playground'] button").click()
        page.wait_for_load_state()
    for width in (320, 768, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto("/credits/usage?range=90d")
        assert page.locator("html").get_attribute("dir") == ("rtl" if locale == "ar" else "ltr")
        assert page.locator(".usage-chart rect[class^=u]").count() == 3
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        row = page.locator("#by-time tbody tr:has(a)").first
        assert row.evaluate("row => getComputedStyle(row).display") == ("grid" if width < 704 else "table-row")
        bar = page.locator(".usage-chart rect[class^=u]").first.bounding_box()
        assert bar
        middle = bar["x"] + bar["width"] / 2
        assert middle < width / 2 if locale == "ar" else middle > width / 2, "today is where the reading ends"


def test_without_javascript_links_and_form_do_the_same(new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(java_script_enabled=False).new_page()
    log_in(page, "/credits/usage")
    page.get_by_role("link", name="90 days", exact=True).click()
    page.get_by_label("By", exact=True).select_option("month")
    page.get_by_role("button", name="Show").click()
    assert page.locator("#h-time").inner_text() == "By month"
    assert page.locator("#range [aria-current]").inner_text() == "90 days"
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename.startswith("usage-")


def test_the_keyboard_reaches_links_and_never_the_bars(page: Page) -> None:
    log_in(page, "/credits/usage")
    assert page.locator(".hits a").count() > 0
    assert page.locator(".hits a:not([tabindex='-1'])").count() == 0
    assert page.locator("[role=img] a, [role=img] [tabindex]").count() == 0
    small = page.locator("#usage a:visible, #usage button:visible, #usage select:visible").evaluate_all(
        "all => all.filter(one => !one.closest('svg')).map(one => one.getBoundingClientRect())"
        ".filter(box => box.height < 24 || box.width < 24).length"
    )
    assert small == 0
