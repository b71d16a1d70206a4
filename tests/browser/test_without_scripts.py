"""Every form of the site does its work in a browser that runs no script."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask, Response, request, request_finished
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from tests.browser.conftest import PASSWORD, available
from tests.browser.stage import Stage, mailed_links

pytestmark = pytest.mark.browser

NEW_PASSWORD = "another password, as long"
EMAIL = "no-scripts@browser.example.com"
# Forms that another test sends without scripts (those of admins all do: Flask's client runs none), and what is no form.
ELSEWHERE = re.compile(r"cards\.|webhook\.|admin\w*\.|people\.(open_portal|end_portal_session)")


@pytest.fixture
def done(stage: Stage) -> Iterator[set[str]]:
    """The endpoints that forms were sent to and that did as they were told."""
    sent: set[str] = set()

    def note(_app: Flask, response: Response, **_extra: Any) -> None:
        if request.method == "POST" and response.status_code < 400:
            sent.add(request.endpoint or "")

    with request_finished.connected_to(note, stage.app):
        yield sent


@pytest.fixture
def new_tab(browser: Browser, stage: Stage) -> Iterator[Callable[[], Tab]]:
    opened = []

    def new_tab() -> Tab:
        opened.append(browser.new_context(base_url=stage.base_url, locale="en-GB", java_script_enabled=False))
        return opened[-1].new_page()

    yield new_tab
    for context in opened:
        context.close()


def test_every_form_of_the_site_works_without_scripts(stage: Stage, done: set[str], new_tab: Callable[[], Tab]) -> None:
    stage.speak("en")
    tab = new_tab()
    sign_up(tab)
    choose_looks(tab)
    use_credits(tab)
    buy(tab)
    have_plans(tab)
    move_time(tab, stage)
    set_up(tab)
    keep_out_others(tab, new_tab)
    follow_links(tab, stage)
    leave(tab)
    writing = {
        rule.endpoint
        for rule in stage.app.url_map.iter_rules()
        if "POST" in (rule.methods or set()) and not rule.rule.startswith("/api/")
    }
    assert {endpoint for endpoint in writing - done if not ELSEWHERE.match(endpoint)} == set()


def sign_up(tab: Tab) -> None:
    tab.goto("/sign-up")
    press(tab, "Create an account")
    tab.get_by_label("Email").fill(EMAIL)
    tab.get_by_label("Password").fill(PASSWORD)
    press(tab, "Create an account")
    assert available(tab) == 100


def choose_looks(tab: Tab) -> None:
    tab.goto("/credits/history")
    tab.locator("details.lang summary").click()
    tab.get_by_role("button", name="العربية").first.click()
    assert tab.locator("html").get_attribute("dir") == "rtl"
    tab.locator("details.lang summary").click()
    tab.get_by_role("button", name="English").first.click()
    press(tab, "Dark theme")
    assert tab.locator("html").get_attribute("data-theme") == "dark"
    assert tab.url.endswith("/credits/history")


def use_credits(tab: Tab) -> None:
    tab.goto("/credits/playground")
    tab.locator("input[name=feature][value=image]").check(force=True)
    tab.get_by_label("How many").fill("2")
    press(tab, "Show the cost")
    press(tab, "Spend 16 credits")
    assert available(tab) == 84
    tab.goto("/credits")
    press(tab, "Unlock for 4 credits")
    assert available(tab) == 80
    tab.goto("/credits/history")
    tab.get_by_label("Kind").select_option("grant")
    press(tab, "Show")
    assert tab.locator("tr[data-entry]").count() == 1
    tab.get_by_label("From").fill("2999-01-01")
    press(tab, "Show")
    assert tab.get_by_role("heading", name="Nothing matches").is_visible()


def buy(tab: Tab) -> None:
    tab.goto("/pricing")
    tab.locator("a[href*='/packages/starter/buy']").first.click()
    press(tab, "Pay €9.00")
    pay(tab)
    assert tab.locator("#purchase").get_attribute("data-outcome") == "success"
    assert available(tab) == 580


def have_plans(tab: Tab) -> None:
    tab.goto("/plans/pro/subscribe")
    tab.locator("main form button").click()
    pay(tab)
    assert tab.locator("#order").get_attribute("data-outcome") == "success"
    tab.goto("/plan")
    press(tab, "Cancel at the end of the period")
    press(tab, "Keep Pro")
    assert tab.locator("#changes").count() == 0
    tab.locator("tr[data-option=pro-yearly] a").click()
    tab.locator("form[action^='/plan/change/'] button").click()
    tab.wait_for_url("**/plan")
    press(tab, "Invoices and payment method")
    assert "127.0.0.1" in tab.url
    assert "/plan" not in tab.url


def pay(tab: Tab) -> None:
    """On the page of Stripe's double."""
    tab.wait_for_url("**/c/pay/**")
    tab.locator("button[name=action][value=pay]").click()
    tab.wait_for_url("**/checkout/return**")


def move_time(tab: Tab, stage: Stage) -> None:
    tab.goto("/sandbox")
    press(tab, "1 day on")
    assert tab.get_by_role("status").first.is_visible()
    with psycopg.connect(stage.owner_url) as connection:  # no worker is here to do it, and others want to see the page
        connection.execute("DELETE FROM outbox WHERE job = 'move_time'")


def set_up(tab: Tab) -> None:
    tab.goto("/settings")
    press(tab, "Send the mail")
    tab.get_by_label("Name").fill("No Scripts")
    press(tab, "Save")
    assert tab.locator(".me summary").inner_text().strip() == "No Scripts"
    tab.goto("/settings/security")
    tab.get_by_label("Present password").fill("wrong")
    tab.get_by_label("New password").fill(NEW_PASSWORD)
    press(tab, "Change the password")
    assert tab.get_by_role("alert").is_visible()
    tab.get_by_label("Present password").fill(PASSWORD)
    tab.get_by_label("New password").fill(NEW_PASSWORD)
    press(tab, "Change the password")
    assert "Your password is changed" in tab.locator("#toasts").inner_text()


def keep_out_others(tab: Tab, new_tab: Callable[[], Tab]) -> None:
    for button in ("Log out", "Log out everywhere else"):
        other = new_tab()
        log_in(other, NEW_PASSWORD)
        tab.goto("/settings/security")
        sessions = tab.locator("[data-session]")
        assert sessions.count() == 2
        place = sessions.filter(has_not_text="this browser") if button == "Log out" else tab.locator("main")
        place.get_by_role("button", name=button).last.click()
        other.goto("/credits")
        assert "/log-in" in other.url


def follow_links(tab: Tab, stage: Stage) -> None:
    """What mails lead to, and the way out and in again."""
    links = mailed_links(stage.app, EMAIL)
    tab.goto(f"/confirm-address/{links['confirm']}")
    press(tab, "Yes, it is mine")
    tab.goto(f"/no-credit-mails/{links['unsubscribe']}")
    press(tab, "No more of these mails")
    tab.goto("/credits")
    tab.locator("details.me summary").click()
    press(tab, "Log out")
    log_in(tab, NEW_PASSWORD)
    tab.locator("details.me summary").click()
    press(tab, "Log out")
    tab.goto("/forgot-password")
    tab.get_by_label("Email").fill(EMAIL)
    tab.locator("main form button").first.click()
    tab.goto(f"/reset-password/{mailed_links(stage.app, EMAIL)['reset']}")
    tab.get_by_label("New password").fill(PASSWORD)
    press(tab, "Change the password")
    assert "/reset-password" not in tab.url


def leave(tab: Tab) -> None:
    log_in(tab, PASSWORD)
    tab.goto("/settings/delete")
    tab.get_by_label("Present password").fill("wrong")
    press(tab, "Delete my account for good")
    assert tab.get_by_role("alert").is_visible()
    tab.get_by_label("Present password").fill(PASSWORD)
    press(tab, "Delete my account for good")
    assert "Your account is deleted" in tab.locator("#toasts").inner_text()


def log_in(tab: Tab, password: str) -> None:
    tab.goto("/log-in")
    tab.get_by_label("Email").fill(EMAIL)
    tab.get_by_label("Password").fill(password)
    press(tab, "Log in")
    assert tab.url.endswith("/credits")


def press(tab: Tab, name: str) -> None:
    """The first button of that name."""
    tab.get_by_role("button", name=name, exact=True).first.click()
