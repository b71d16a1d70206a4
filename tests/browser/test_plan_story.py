"""Being on a plan, as a person does it, and everything that money does to credits: each step in words that read well.

Subscribe to Pro, a month passes, more in the middle of the month, a payment fails and is made good, a package is half
spent and 30 % of it refunded, a dispute is lost, another is won; and plans on a small Arabic phone.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.money import (
    NEIGHBOURS,
    balance_becomes,
    begin,
    buy,
    choose,
    eventually,
    flask,
    history,
    let_pass,
    pay,
    press,
    renew,
    said,
    sign_up,
    spend,
    why,
)
from tests.instance import Instance

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def own(new_instance: Callable[..., Instance]) -> Instance:
    return begin(new_instance)


@pytest.fixture
def new_page(own: Instance, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Makes windows of people who do not know each other."""
    made = []

    def make(base_url: str = own.base_url, **options: object) -> Page:
        made.append(browser.new_context(base_url=base_url, **{"locale": "en-GB", **options}))  # type: ignore[arg-type]
        made[-1].set_default_timeout(30_000)
        return made[-1].new_page()

    yield make
    for context in made:
        context.close()


@dataclass
class Story:
    """Somebody at the shop, and the window in which Stripe and the banks do their part; their first purchase."""

    own: Instance
    page: Page
    stripe: Page
    starter: str = ""


def subscribe_to_pro(story: Story) -> None:
    page = story.page
    sign_up(page, "subscriber")
    assert "subscribers" in said(page, "/packages/enterprise/buy")
    choose(page, "pro")
    balance_becomes(page, 1100)
    assert history(page, 1) == ["Pro Credits of the month 1000"]
    plan = said(page, "/plan")
    assert "Pro 1,000 credits a month" in plan
    assert "Next credits 1,000 credits on" in plan
    assert "as soon as the payment is there" in plan
    assert "Price €12 a month Renews on" in plan


def a_month_later_it_renews_and_what_was_left_is_carried_over(story: Story) -> None:
    page = story.page
    spend(page, 320)
    renew(story.own, page, story.stripe)
    balance_becomes(page, 1780)
    assert history(page, 3) == [
        "Pro Carried over 780",
        "Pro Credits of the month 1000",
        "Expired Pro · all of them carried over -780",
    ]
    assert "780 credits of them were carried over into the next month" in why(page, "Expired")
    assert "They are the month’s credits of your plan “Pro”" in why(page, "Credits of the month")
    assert "Next credits 1,000 credits on" in said(page, "/plan")


def in_the_middle_of_the_month_it_becomes_more(story: Story) -> None:
    page = story.page
    let_pass(story.own, "10d")
    page.goto("/plan/change/team")
    preview = page.locator("#change[data-way=now]")
    more = int(preview.get_attribute("data-credits-now") or "")
    assert 1000 < more < 2000
    assert 0 < int(preview.get_attribute("data-due-minor") or "") < 1800
    page.get_by_role("button", name="and change").click()
    page.wait_for_url("**/plan")
    balance_becomes(page, 1780 + more)
    assert history(page, 1) == [f"Team Difference after the change of plan {more}"]
    assert "You changed to “Team”" in why(page, "Difference")
    plan = said(page, "/plan")
    assert "Team 3,000 credits a month" in plan
    assert "Price €30 a month Renews on" in plan


def a_payment_fails_and_nothing_that_was_bought_is_gone(story: Story) -> None:
    page = story.page
    story.starter = buy(page, "starter")
    press(story.stripe, "subscriptions", "Fail next renewal")
    renew(story.own, page, story.stripe)
    balance_becomes(page, 500)
    eventually(page, "/plan", "#unpaid")
    plan = said(page, "/plan")
    assert "The last payment did not come through" in plan
    assert "Until it is paid, no new credits come. Those that you have stay yours." in plan
    assert "None while a payment is missing" in plan
    expect(page.locator("tr[data-option=pro]")).to_have_count(0)  # nothing is changed before it is paid
    assert all(line.startswith("Expired") for line in history(page, 3)), history(page, 3)


def it_is_paid_after_all_and_the_month_comes(story: Story) -> None:
    page = story.page
    page.goto("/plan")
    page.get_by_role("link", name="Pay now").click()
    page.wait_for_url("**/i/**")
    page.locator("button[name=action][value=pay]").click()
    expect(page.locator("body")).to_contain_text("This invoice is paid.")
    page.goto("/credits")
    balance_becomes(page, 500 + 3000 + 1000)  # a thousand of what was left may be carried over
    assert "Team Credits of the month 3000" in history(page, 3)
    page.goto("/plan")
    expect(page.locator("#unpaid")).to_have_count(0)


def half_of_a_package_is_spent_and_30_percent_of_it_refunded(story: Story) -> None:
    """The package is what is burnt last: what it has left is half of it."""
    page = story.page
    spend(page, 4250)
    assert "takes 150 credits" in flask(story.own, "purchase", "quote", story.starter, "--amount", "2.70")
    refund = ("--amount", "2.70", "--reason", "Not needed", "--yes")
    assert "€2.70: succeeded" in flask(story.own, "purchase", "refund", story.starter, *refund)
    balance_becomes(page, 100)
    assert history(page, 1) == ["Taken back Refund of 30% of “Starter” -150"]
    assert "€2.70 of the €9.00 paid for “Starter” were refunded, and that share of its credits with them." in re.sub(
        r"\s+", " ", why(page, "Taken back")
    )


def another_30_percent_are_refunded_at_stripe(story: Story) -> None:
    page = story.page
    buy(page, "premium")
    press(story.stripe, "charges", "Refund", amount="1950")
    balance_becomes(page, 3600)
    assert history(page, 1) == ["Taken back Refund of 30% of “Premium” -1500"]


def a_dispute_freezes_and_is_lost(story: Story) -> None:
    page = story.page
    buy(page, "standard")
    press(story.stripe, "charges", "Dispute")
    balance_becomes(page, 3600)
    page.goto("/credits")  # the balance may have followed on the page where the purchase ended
    expect(page.locator("main")).to_contain_text("2,000 credits are frozen")
    press(story.stripe, "disputes", "Lose")
    eventually(page, "/credits/history", "tr[data-entry] >> text=The bank gave the payment for “Standard” back")
    assert history(page, 1) == ["Taken back The bank gave the payment for “Standard” back -2000"]
    assert "The payment for “Standard” was disputed, and the bank gave €29.00 back" in why(page, "The bank gave")


def another_dispute_is_won_and_all_of_it_can_be_spent_again(story: Story) -> None:
    page = story.page
    buy(page, "enterprise")
    balance_becomes(page, 23_600)
    press(story.stripe, "charges", "Dispute")
    balance_becomes(page, 3600)
    press(story.stripe, "disputes", "Win")
    balance_becomes(page, 23_600)
    page.goto("/credits")
    expect(page.locator("main")).not_to_contain_text("frozen")
    (line,) = history(page, 1)
    assert line.startswith("Enterprise Bought · dispute decided for the seller on "), line
    assert line.endswith(", credits free again 20000"), line


def leaving_and_staying_after_all(story: Story) -> None:
    page = story.page
    page.goto("/plan")
    page.get_by_role("button", name="Cancel at the end of the period").click()
    expect(page.locator("#changes")).to_contain_text("Team ends on")
    page.get_by_role("button", name="Keep").click()
    expect(page.locator("#changes")).to_have_count(0)


def the_same_lines_in_other_words_and_on_a_small_phone_in_the_dark(story: Story) -> None:
    page = story.page
    for tag, words in (("de", "Erstattung von 30 % von „Einstieg“"), ("ar", "الفرق بعد تغيير الاشتراك")):
        page.goto("/settings")
        page.locator("select[name=locale]").select_option(tag)
        page.locator("form[action='/settings'] button").first.click()
        expect(page.locator(f"html[lang={tag}]")).to_be_attached()
        page.goto("/credits/history")
        assert words.replace(" ", "") in re.sub(r"\s", "", page.locator("#entries").inner_text())
    page.set_viewport_size({"width": 320, "height": 700})
    page.emulate_media(color_scheme="dark")
    for path in ("/plan", "/plan/change/pro", "/credits", "/credits/history", "/credits/entries/7"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path


STEPS = (
    subscribe_to_pro,
    a_month_later_it_renews_and_what_was_left_is_carried_over,
    in_the_middle_of_the_month_it_becomes_more,
    a_payment_fails_and_nothing_that_was_bought_is_gone,
    it_is_paid_after_all_and_the_month_comes,
    half_of_a_package_is_spent_and_30_percent_of_it_refunded,
    another_30_percent_are_refunded_at_stripe,
    a_dispute_freezes_and_is_lost,
    another_dispute_is_won_and_all_of_it_can_be_spent_again,
    leaving_and_staying_after_all,
    the_same_lines_in_other_words_and_on_a_small_phone_in_the_dark,
)


def test_a_subscriber_reads_every_movement_of_money_as_credits(own: Instance, new_page: Callable[..., Page]) -> None:
    windows = [new_page() for _ in NEIGHBOURS]
    for neighbour, window in zip(NEIGHBOURS, windows, strict=True):
        neighbour.begin(window)
    story = Story(own=own, page=new_page(), stripe=new_page(base_url=own.sandbox_url))
    for step in STEPS:
        step(story)
        if step is STEPS[1]:  # the same month has passed for them
            for neighbour, window in zip(NEIGHBOURS, windows, strict=True):
                neighbour.has_new_month(window)
    assert flask(own, "ledger", "verify").startswith("every invariant holds")
    assert "0 repaired, 0 for a person" in flask(own, "stripe", "reconcile", "--since", "120d")


def test_from_choosing_a_plan_to_a_year_of_it_and_back(own: Instance, new_page: Callable[..., Page]) -> None:
    page = new_page()
    sign_up(page, "planner")
    assert "You are on no plan" in said(page, "/plan")
    page.goto("/pricing")
    page.get_by_role("link", name="Choose Pro").click()
    pay(page)
    expect(page.locator("#balance")).to_have_attribute("data-available", "1100")
    page.get_by_role("link", name="Your plan").first.click()
    expect(page.locator("#plan[data-plan=pro][data-status=active]")).to_be_visible()

    page.goto("/plan/change/pro-yearly")
    expect(page.locator("#change[data-way=now]")).to_be_visible()
    page.get_by_role("button", name="and change").click()
    page.wait_for_url("**/plan")
    expect(page.locator("#plan[data-plan=pro-yearly]")).to_be_visible()
    page.get_by_role("button", name="Cancel at the end of the period").click()
    expect(page.locator("#changes")).to_contain_text("ends on")
    page.get_by_role("button", name="Keep").click()
    expect(page.locator("#changes")).to_have_count(0)


def test_the_pages_of_plans_fit_320_pixels_in_arabic(own: Instance, new_page: Callable[..., Page]) -> None:
    page = new_page(locale="ar", viewport={"width": 320, "height": 700})
    sign_up(page, "arabic")
    page.goto("/plans/free/subscribe")
    page.locator("form[action$='/subscribe'] button").click()
    page.wait_for_url("**/plan")
    assert page.locator("html").get_attribute("dir") == "rtl"
    expect(page.locator("#plan[data-plan=free]")).to_be_visible()
    for path in ("/plan", "/plans/pro/subscribe", "/pricing"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
