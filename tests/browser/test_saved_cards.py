"""Saved cards, as a person sees them: kept while buying, added, chosen, removed."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import sign_up

pytestmark = pytest.mark.browser

WAYS: list[dict[str, Any]] = [
    {"java_script_enabled": False},
    {"viewport": {"width": 320, "height": 700}, "color_scheme": "dark"},
]


def on_stripes_page(page: Page, *, card: str, keep: bool = False) -> None:
    page.wait_for_url("**/c/pay/**")
    page.locator("select[name=card]").select_option(card)
    if keep:
        page.get_by_label("Save this card for next time").check()
    page.locator("button[value=pay]").click()


@pytest.mark.parametrize("way", WAYS, ids=["without scripts", "on a small dark screen"])
def test_cards_are_kept_chosen_and_removed(new_context: Callable[..., BrowserContext], way: dict[str, Any]) -> None:
    page = new_context(**way).new_page()
    sign_up(page)
    page.goto("/settings")
    page.get_by_role("link", name="Cards").click()
    expect(page.get_by_role("heading", name="No card is saved")).to_be_visible()

    page.goto("/packages/starter/buy")
    page.get_by_role("button", name="Pay €9.00").click()
    on_stripes_page(page, card="4242424242424242", keep=True)
    page.wait_for_url("**/checkout/return**")
    page.goto("/plans/pro/subscribe")
    page.locator("main form button").click()
    on_stripes_page(page, card="5555555555554444")
    page.wait_for_url("**/checkout/return**")
    page.goto("/settings/cards")
    page.get_by_role("button", name="Add a card").click()
    on_stripes_page(page, card="378282246310005")
    page.wait_for_url("**/settings/cards")

    cards = page.locator("[data-card]")
    expect(cards).to_have_count(3)
    visa, mastercard = cards.filter(has_text="Visa"), cards.filter(has_text="Mastercard")
    expect(mastercard).to_contain_text("Pays for your plan")
    expect(mastercard.get_by_role("button")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

    visa.get_by_role("button", name="Pay with it from now on Visa •••• 4242").click()
    expect(visa).to_contain_text("Pays for your plan")
    mastercard.get_by_role("button", name="Remove Mastercard •••• 4444").click()
    expect(cards).to_have_count(2)
    expect(page.locator("#toasts")).to_contain_text("The card is removed.")
