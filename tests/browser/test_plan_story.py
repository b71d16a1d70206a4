"""Being on a plan, as a person does it: choose, pay, see what comes next, let a month pass, change, cancel, undo."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PASSWORD
from tests.instance import ROOT, Instance

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def own(new_instance: Callable[..., Instance]) -> Instance:
    """One whose clock may be moved."""
    instance = new_instance()
    instance.start_and_wait()
    instance.wait_for_banner()
    return instance


@pytest.fixture
def reader(own: Instance, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(base_url=own.base_url, locale="en-GB")
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


def advance(instance: Instance, duration: str) -> None:
    environment = {
        **os.environ,
        "DATA_DIR": str(instance.data_dir),
        "PORT": str(instance.port),
        "FLASK_SKIP_DOTENV": "1",
        "FLASK_APP": "webapp.wsgi",
    }
    subprocess.run(
        [sys.executable, "-m", "flask", "sandbox", "advance", duration],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=120,
    )


def sign_up(page: Page, email: str) -> None:
    page.goto("/sign-up")
    page.get_by_label("Email").fill(email)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main form").get_by_role("button").first.click()
    page.wait_for_url("**/credits")


def pay(page: Page) -> None:
    page.locator("form[action$='/subscribe'] button").click()
    page.wait_for_url("**/c/pay/**")
    page.locator("button[name=action][value=pay]").first.click()
    page.wait_for_url("**/checkout/return**")
    expect(page.locator("#order[data-outcome=success]")).to_be_visible()


def eventually(page: Page, path: str, locator: str) -> None:
    """The page says so, at the latest when the events of that month have come."""
    for _ in range(40):
        page.goto(path)
        if page.locator(locator).count():
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"{locator} never came up on {path}")


def test_from_choosing_a_plan_to_the_renewal_and_a_change(own: Instance, reader: Page) -> None:
    page = reader
    sign_up(page, "planner@browser.example.com")
    page.goto("/plan")
    expect(page.locator("h2").first).to_have_text("You are on no plan")
    page.goto("/pricing")
    page.get_by_role("link", name="Choose Pro").click()
    pay(page)
    expect(page.locator("#balance")).to_have_attribute("data-available", "1100")

    page.get_by_role("link", name="Your plan").first.click()
    expect(page.locator("#plan[data-plan=pro][data-status=active]")).to_be_visible()
    expect(page.locator("#next-grant")).to_contain_text("1,000 credits on")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

    advance(own, "32d")
    eventually(page, "/credits", "tr[data-entry] >> text=Carried over")
    expect(page.locator("#balance")).to_have_attribute("data-available", "2000")

    page.goto("/plan/change/pro-yearly")
    expect(page.locator("#change[data-way=now]")).to_be_visible()
    page.get_by_role("button", name="and change").click()
    page.wait_for_url("**/plan")
    expect(page.locator("#plan[data-plan=pro-yearly]")).to_be_visible()

    page.get_by_role("button", name="Cancel at the end of the period").click()
    expect(page.locator("#changes")).to_contain_text("ends on")
    page.get_by_role("button", name="Keep").click()
    expect(page.locator("#changes")).to_have_count(0)


def test_the_pages_of_plans_fit_320_pixels_in_arabic(own: Instance, browser: Browser) -> None:
    context = browser.new_context(base_url=own.base_url, locale="ar", viewport={"width": 320, "height": 700})
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto("/sign-up")
    page.locator("input[name=email]").fill("arabic@browser.example.com")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main form").get_by_role("button").first.click()
    page.wait_for_url("**/credits")
    page.goto("/plans/free/subscribe")
    page.locator("form[action$='/subscribe'] button").click()
    page.wait_for_url("**/plan")
    assert page.locator("html").get_attribute("dir") == "rtl"
    expect(page.locator("#plan[data-plan=free]")).to_be_visible()
    for path in ("/plan", "/plans/pro/subscribe", "/pricing"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
    context.close()
