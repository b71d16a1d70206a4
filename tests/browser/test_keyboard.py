"""Whoever has no mouse: every stop is seen, is reached in the order of reading, and does what a click would."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from tests.browser.looking import Window
from tests.browser.stage import Stage, new_subscriber

pytestmark = pytest.mark.browser

MOST_STOPS = 150

# Where the focus is: what it is called, its place in the document, and what of it could not be seen.
_STOP = """
() => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    const drawn = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    const shown = drawn(style) || (one.closest("label") && drawn(getComputedStyle(one.closest("label"))))
        || [...one.parentElement.children].some((near) => near !== one && drawn(getComputedStyle(near)));
    const hidden = box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth;
    return {
        name: `${one.localName}${one.id ? "#" + one.id : ""} ${(one.innerText || one.name || "").slice(0, 40)}`,
        place: [...document.querySelectorAll("*")].indexOf(one),
        trouble: [shown ? "" : "no outline", hidden ? "out of view" : "", one.tabIndex > 0 ? "tabindex" : ""].join(""),
    };
}
"""


@pytest.fixture
def subscriber(stage: Stage, browser: Browser) -> Iterator[Tab]:
    """The browser of somebody who has just got on a plan."""
    stage.cookies["subscriber"] = new_subscriber(stage)
    window = Window.open(browser, stage, who="subscriber", tag="en")
    stage.speak("en")
    yield window.tab
    assert window.complaints == []
    window.context.close()


def stops_of(tab: Tab) -> list[Any]:
    """Each place where the focus stops, from the top of the page to its end."""
    found: list[Any] = []
    for _ in range(MOST_STOPS):
        tab.keyboard.press("Tab")
        stop = tab.evaluate(_STOP)
        if stop is None or (found and stop["place"] == found[0]["place"]):
            break
        if not found or stop["place"] != found[-1]["place"]:  # a date has stops of the browser's own inside
            found.append(stop)
    return found


def tab_to(tab: Tab, selector: str) -> None:
    """Press Tab until that is focused, as somebody does who knows where they want to go."""
    for _ in range(MOST_STOPS):
        tab.keyboard.press("Tab")
        if tab.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab never comes to {selector} on {tab.url}")


def focused(tab: Tab) -> str:
    found: str = tab.evaluate("document.activeElement.id || document.activeElement.localName")
    return found


@pytest.mark.parametrize(
    ("who", "path"),
    [
        ("", "/log-in"),
        ("", "/pricing"),
        ("ada", "/credits"),
        ("ada", "/credits/history?kind=grant"),
        ("ada", "/credits/playground?feature=image&quantity=1"),
        ("ada", "/plan"),
        ("ada", "/settings/security"),
    ],
)
def test_every_stop_is_seen_and_in_the_order_of_reading(
    stage: Stage, window_of: Callable[..., Window], who: str, path: str
) -> None:
    stage.speak("en")
    tab = window_of(who, "en").tab
    tab.set_viewport_size({"width": 1280, "height": 800})
    tab.goto(path)
    tab.evaluate("document.activeElement.blur()")
    stops = stops_of(tab)
    assert stops[0]["name"].endswith("Skip to content")
    assert [stop for stop in stops if stop["trouble"]] == []
    places = [stop["place"] for stop in stops]
    assert places == sorted(places)
    reachable = tab.locator("main :is(a[href], button, select, summary):visible:not([tabindex='-1'])").count()
    assert len(stops) >= reachable


def test_the_skip_link_leads_past_the_header(stage: Stage, window_of: Callable[..., Window]) -> None:
    tab = window_of("ada", "en").tab
    tab.goto("/credits")
    tab.keyboard.press("Tab")
    assert tab.locator(".skip").bounding_box()["height"] > 20  # type: ignore[index]
    tab.keyboard.press("Enter")
    assert focused(tab) == "main"
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.closest('main') !== null")


def test_a_menu_opens_by_enter_and_closes_by_escape(stage: Stage, window_of: Callable[..., Window]) -> None:
    tab = window_of("ada", "en").tab
    tab.goto("/credits")
    tab_to(tab, "details.me summary")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("link", name="Password and sessions").first).to_be_visible()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Escape")
    expect(tab.locator("details.me")).not_to_have_attribute("open", "")
    assert tab.evaluate("document.activeElement.matches('details.me summary')")


def test_credits_are_bought(subscriber: Tab) -> None:
    subscriber.goto("/pricing")
    tab_to(subscriber, "a[href*='/packages/standard/buy']")
    subscriber.keyboard.press("Enter")
    subscriber.wait_for_url("**/packages/standard/buy**")
    tab_to(subscriber, "form[action$='/buy'] button")
    subscriber.keyboard.press("Enter")
    subscriber.wait_for_url("**/c/pay/**")
    tab_to(subscriber, "button[value=pay]")
    subscriber.keyboard.press("Enter")
    subscriber.wait_for_url("**/checkout/return**")
    expect(subscriber.locator("[data-outcome=success]")).to_be_visible()
    tab_to(subscriber, "main a[href='/credits']")
    subscriber.keyboard.press("Enter")
    subscriber.wait_for_url("**/credits")


def test_the_history_is_filtered_and_the_focus_goes_to_what_is_new(
    stage: Stage, window_of: Callable[..., Window]
) -> None:
    tab = window_of("ada", "en").tab
    stage.speak("en")
    tab.goto("/credits/history")
    tab_to(tab, "#kind")
    tab.keyboard.type("Ret")  # as one chooses from a list
    tab_to(tab, ".filters button")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**kind=refund**")
    expect(tab.locator("#entries")).to_be_focused()
    assert set(tab.locator("tr[data-entry]").evaluate_all("rows => rows.map(row => row.dataset.kind)")) == {"refund"}
    tab_to(tab, "a.chip")
    tab.keyboard.press("Enter")
    tab.wait_for_url(lambda url: "kind" not in parse_qs(urlsplit(url).query))
    tab.goto("/credits/history?from=2026-02-01")
    tab_to(tab, "#to")
    tab.keyboard.type("01012020")
    tab_to(tab, ".filters button")
    tab.keyboard.press("Enter")
    expect(tab.locator(".alert")).to_be_focused()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert focused(tab) == "to"


def test_a_plan_is_changed_after_its_preview(subscriber: Tab) -> None:
    subscriber.goto("/plan")
    tab_to(subscriber, "tr[data-option=pro-yearly] a")
    subscriber.keyboard.press("Enter")
    subscriber.wait_for_url("**/plan/change/pro-yearly")
    tab_to(subscriber, "main form button")
    subscriber.keyboard.press("Enter")
    subscriber.wait_for_url("**/plan")
    expect(subscriber.locator("#changes, #plan[data-plan=pro-yearly]").first).to_be_visible()


def test_settings_are_saved_and_errors_lead_to_their_fields(subscriber: Tab) -> None:
    subscriber.goto("/settings")
    tab_to(subscriber, "#name")
    subscriber.keyboard.press("Control+a")
    subscriber.keyboard.type("Key Board")
    tab_to(subscriber, "#credit_mails")
    subscriber.keyboard.press("Space")
    tab_to(subscriber, "form.settings button")
    subscriber.keyboard.press("Enter")
    expect(subscriber.locator("details.me summary")).to_have_text("Key Board")
    expect(subscriber.locator("#credit_mails")).not_to_be_checked()
    subscriber.goto("/settings/security")
    tab_to(subscriber, "#current_password")
    subscriber.keyboard.type("not this one")
    subscriber.keyboard.press("Tab")
    subscriber.keyboard.type("a new one that is long enough")
    subscriber.keyboard.press("Enter")
    expect(subscriber.locator(".alert")).to_be_focused()
    subscriber.keyboard.press("Tab")
    subscriber.keyboard.press("Enter")
    assert focused(subscriber) == "current_password"
