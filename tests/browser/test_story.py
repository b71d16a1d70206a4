"""The main job, as a person does it: sign up, buy, watch the balance, spend, ask why."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import available, pay, sign_up

pytestmark = pytest.mark.browser


def test_a_newcomer_buys_sees_the_balance_change_spends_and_reads_why(page: Page) -> None:
    sign_up(page)
    welcome = available(page)
    assert welcome == 100

    other_tab = page.context.new_page()
    other_tab.goto("/credits")
    expect(other_tab.locator("#credits-now")).to_have_text("100")

    pay(page, package="starter")
    page.wait_for_url("**/checkout/return**")
    expect(page.locator("#purchase[data-outcome=success]")).to_be_visible()
    assert "500" in page.locator("h1").inner_text()
    # The other tab was not touched: its balance has changed by itself.
    expect(other_tab.locator("#balance")).to_have_attribute("data-available", "600")
    expect(other_tab.locator("#credits-now")).to_have_text("600")

    page.goto("/credits/playground")
    page.locator("input[name=feature][value=image]").check(force=True)
    page.get_by_label("How many").fill("3")
    page.get_by_role("button", name="Show the cost").click()
    expect(page.locator("[data-cost='24']")).to_be_visible()
    expect(page.locator("[data-left='576']")).to_be_visible()
    page.get_by_role("button", name="Spend 24 credits").click()
    expect(page.locator("#balance")).to_have_attribute("data-available", "576")
    expect(other_tab.locator("#credits-now")).to_have_text("576")

    page.get_by_role("link", name="Why was I charged?").click()
    expect(page.locator("h1")).to_contain_text("Why was I charged 24")
    record = page.locator("main").inner_text()
    assert "Image" in record
    assert "Welcome credits" in record  # they expire first, so they paid

    page.goto("/credits/history")
    kinds = page.locator("tr[data-entry]").evaluate_all("rows => rows.map(row => row.dataset.kind)")
    assert kinds == ["spend", "purchase", "grant"]
    amounts = page.locator("tr[data-entry]").evaluate_all("rows => rows.map(row => row.dataset.amount)")
    assert amounts == ["-24", "500", "100"]


@pytest.mark.parametrize(
    ("locale", "direction", "starter", "why"),
    [("de", "ltr", "Einstieg", "Warum"), ("ar", "rtl", "المبتدئة", "لماذا")],
)
def test_the_same_story_reads_in_german_and_arabic(
    new_context: Callable[..., BrowserContext], locale: str, direction: str, starter: str, why: str
) -> None:
    page = new_context(locale=locale).new_page()
    page.goto("/sign-up")
    page.locator("input[name=email]").fill(f"story-{locale}@browser.example.com")
    page.locator("input[name=password]").fill("a long enough password")
    page.locator("main form button").first.click()
    page.wait_for_url("**/credits")
    assert page.locator("html").get_attribute("lang") == locale
    assert page.locator("html").get_attribute("dir") == direction

    page.goto(f"/{locale}/pricing")
    expect(page.get_by_role("heading", name=starter).first).to_be_visible()
    page.locator("a[href*='/packages/starter/buy']").first.click()
    page.locator("form[action$='/buy'] button").click()
    page.wait_for_url("**/c/pay/**")
    page.locator("button[name=action][value=pay]").click()
    page.wait_for_url("**/checkout/return**")
    expect(page.locator("#purchase[data-outcome=success]")).to_be_visible()
    expect(page.locator("#balance")).to_have_attribute("data-available", "600")

    page.goto("/credits/playground?feature=export&quantity=2")
    page.locator("form[method=post][action='/credits/playground'] button").click()
    expect(page.locator("#balance")).to_have_attribute("data-available", "576")
    page.goto("/credits/history")
    expect(page.locator("tr[data-kind=purchase]")).to_contain_text(starter)
    page.locator("tr[data-kind=spend] a").first.click()
    expect(page.locator("h1")).to_contain_text(why)


def test_the_whole_story_works_without_javascript(new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(java_script_enabled=False).new_page()
    sign_up(page)
    pay(page, package="starter")
    page.wait_for_url("**/checkout/return**")
    assert page.locator("#purchase").get_attribute("data-outcome") == "success"
    page.goto("/credits/playground?feature=image&quantity=1")
    page.get_by_role("button", name="Spend 8 credits").click()
    assert available(page) == 592
    page.get_by_role("link", name="Why was I charged?").click()
    assert "Why was I charged 8" in page.locator("h1").inner_text()
    page.goto("/credits/history?kind=spend")
    assert page.locator("tr[data-entry]").count() == 1


def test_a_declined_card_changes_nothing_and_can_be_tried_again(page: Page) -> None:
    sign_up(page)
    pay(page, package="starter", action="decline")
    expect(page.locator("body")).to_contain_text("declined")
    page.locator("button[name=action][value=pay]").click()
    page.wait_for_url("**/checkout/return**")
    expect(page.locator("#balance")).to_have_attribute("data-available", "600")


def test_leaving_the_pay_page_is_said_plainly(page: Page) -> None:
    sign_up(page)
    pay(page, package="starter", action="cancel")
    page.wait_for_url("**/checkout/return**")
    expect(page.locator("h1")).to_have_text("Not paid")
    assert available(page) == 100


def test_a_delayed_payment_turns_to_credited_by_itself(page: Page) -> None:
    sign_up(page)
    pay(page, package="starter", action="delay")
    page.wait_for_url("**/checkout/return**")
    expect(page.locator("#purchase[data-outcome=pending]")).to_be_visible()
    expect(page.locator("#purchase[data-outcome=success]")).to_be_visible(timeout=30_000)
    expect(page.locator("#balance")).to_have_attribute("data-available", "600")


def test_a_delayed_payment_that_fails_is_told_by_itself(page: Page) -> None:
    sign_up(page)
    pay(page, package="starter", action="fail_later")
    page.wait_for_url("**/checkout/return**")
    expect(page.locator("#purchase[data-outcome=failed]")).to_be_visible(timeout=30_000)
    assert available(page) == 100
