"""Money in full, as people see it: plans that renew, grow, fail and recover; refunds; disputes; what the history says.

One instance whose clock moves, two windows: the shop, and Stripe's double where the bank's side happens.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PASSWORD, available
from tests.instance import ROOT, Instance

pytestmark = pytest.mark.browser

# The shipped plans have one monthly price; a shop with a greater one makes upgrades worth looking at.
_TEAM = """
INSERT INTO plans (code, name, description, credits_per_month, rollover_cap, billed, position, active)
    VALUES ('team', 'Team', '', 3000, 1000, 'monthly', 9, true);
INSERT INTO plan_prices (plan, currency, price_minor) VALUES ('team', 'EUR', 3000);
"""


@pytest.fixture(scope="module")
def own(new_instance: Callable[..., Instance]) -> Instance:
    """One whose clock may be moved, with a plan more."""
    instance = new_instance()
    instance.start_and_wait()
    instance.wait_for_banner()
    url = flask(instance, "db-url", "--owner").strip().splitlines()[-1].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute(_TEAM)
    return instance


@pytest.fixture
def new_page(own: Instance, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Makes windows of people who do not know each other."""
    made = []

    def make(base_url: str = own.base_url, **options: object) -> Page:
        made.append(browser.new_context(base_url=base_url, **{"locale": "en-GB", **options}))  # type: ignore[arg-type]
        made[-1].set_default_timeout(20_000)
        return made[-1].new_page()

    yield make
    for context in made:
        context.close()


def flask(instance: Instance, *arguments: str) -> str:
    """What the command says; it must succeed."""
    environment = {
        **os.environ,
        "DATA_DIR": str(instance.data_dir),
        "PORT": str(instance.port),
        "FLASK_SKIP_DOTENV": "1",
        "FLASK_APP": "webapp.wsgi",
    }
    done = subprocess.run(
        [sys.executable, "-m", "flask", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def sign_up(page: Page, name: str) -> None:
    page.goto("/sign-up")
    page.get_by_label("Email").fill(f"{name}@money.example.com")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main form").get_by_role("button").first.click()
    page.wait_for_url("**/credits")


def pay(page: Page) -> None:
    """Press the button of the summary, and pay on Stripe's page."""
    page.locator("form[action$='/subscribe'] button, form[action$='/buy'] button").first.click()
    page.wait_for_url("**/c/pay/**")
    page.locator("button[name=action][value=pay]").first.click()
    page.wait_for_url("**/checkout/return**")
    expect(page.locator("[data-outcome=success]")).to_be_visible()


def choose(page: Page, plan: str) -> None:
    """Off the pricing page onto a plan; the free one is there at once."""
    page.goto("/pricing")
    page.locator(f"a[href*='/plans/{plan}/subscribe']").first.click()
    if plan == "free":
        page.get_by_role("button", name="Take this plan").click()
        page.wait_for_url("**/plan")
    else:
        pay(page)


def buy(page: Page, package: str) -> str:
    """Buy it; the name of the Checkout Session."""
    page.goto("/pricing")
    page.locator(f"a[href*='/packages/{package}/buy']").first.click()
    pay(page)
    return parse_qs(urlsplit(page.url).query)["session_id"][0]


def spend(page: Page, credits: int) -> None:
    before = available(page)
    page.goto(f"/credits/playground?feature=api-call&quantity={credits}")
    page.locator("form[method=post][action='/credits/playground'] button").click()
    expect(page.locator("#balance")).to_have_attribute("data-available", str(before - credits))


def history(page: Page, newest: int) -> list[str]:
    """The newest lines of the history, as they read, the newest first."""
    page.goto("/credits/history")
    lines = page.locator("tr[data-entry]").evaluate_all(
        "rows => rows.map(row => row.querySelector('th').innerText + ' ' + row.dataset.amount)"
    )
    return [re.sub(r"\s+", " ", line) for line in lines[:newest]]


def balance_becomes(page: Page, credits: int) -> None:
    """Events have come when it does; the page follows by itself, and is asked again should that be late."""
    for _ in range(40):
        if available(page) == credits:
            return
        page.wait_for_timeout(250)
        page.goto("/credits")
    raise AssertionError(f"the balance stayed at {available(page)} and never became {credits}")


def why(page: Page, line: str) -> str:
    """What is told behind the newest line of the history that contains these words."""
    page.goto("/credits/history")
    page.locator("tr[data-entry]", has_text=line).first.locator("td.why a").click()
    page.wait_for_url("**/credits/entries/**")
    return page.locator(".head").inner_text()


def renew(own: Instance, page: Page, stripe: Page) -> None:
    """An hour after the next credits are due."""
    page.goto("/plan")
    due = page.locator("#next-grant time").get_attribute("datetime") or ""
    stripe.goto("/_sandbox/")
    now = stripe.locator("time").first.get_attribute("datetime") or ""
    seconds = (datetime.fromisoformat(due) - datetime.fromisoformat(now)).total_seconds()
    flask(own, "sandbox", "advance", f"{int(seconds) + 3600}s")


def press(stripe: Page, table: str, button: str, **fields: str) -> None:
    """A button in the newest row of one of the tables of the sandbox's own page."""
    stripe.goto("/_sandbox/")
    row = stripe.locator(f"#{table} + .scroll tbody tr").first
    for name, value in fields.items():
        row.locator(f"input[name={name}]").fill(value)
    row.get_by_role("button", name=button, exact=True).click()
    stripe.wait_for_load_state()


@dataclass(frozen=True)
class Neighbour:
    """Somebody on another plan, for whom the same month passes."""

    plan: str
    name: str
    credits: int
    carries_over: bool = False

    def begin(self, page: Page) -> None:
        sign_up(page, f"on-{self.plan}")
        choose(page, self.plan)
        page.goto("/credits")
        balance_becomes(page, 100 + self.credits)
        spend(page, 150)

    def has_new_month(self, page: Page) -> None:
        """Last month's credits are gone or carried over, and this month's are there."""
        left = self.credits - 50
        page.goto("/credits")
        balance_becomes(page, self.credits + (left if self.carries_over else 0))
        carried = [f"{self.name} Carried over {left}"] if self.carries_over else []
        granted = f"{self.name} Credits of the month {self.credits}"
        assert history(page, 2 + len(carried)) == [*carried, granted, f"Expired {self.name} -{left}"]


NEIGHBOURS = [
    Neighbour("free", "Free", 100),
    Neighbour("pro-yearly", "Pro, yearly", 1000, carries_over=True),
    Neighbour("lifetime", "Lifetime", 300),
]


def test_a_subscriber_sees_every_movement_of_money_as_credits(own: Instance, new_page: Callable[..., Page]) -> None:
    windows = [new_page() for _ in NEIGHBOURS]
    for neighbour, window in zip(NEIGHBOURS, windows, strict=True):
        neighbour.begin(window)
    page, stripe = new_page(), new_page(base_url=own.sandbox_url)
    sign_up(page, "subscriber")
    page.goto("/packages/enterprise/buy")
    expect(page.locator("main")).to_contain_text("subscribers")
    choose(page, "pro")
    balance_becomes(page, 1100)
    spend(page, 320)

    # A month later: the renewal, and what was left is carried over.
    renew(own, page, stripe)
    balance_becomes(page, 1780)
    assert history(page, 3) == ["Pro Carried over 780", "Pro Credits of the month 1000", "Expired Pro -780"]
    assert "780 credits of them were carried over" in why(page, "Expired")
    assert "the month’s credits of your plan “Pro”" in why(page, "Credits of the month")

    for neighbour, window in zip(NEIGHBOURS, windows, strict=True):
        neighbour.has_new_month(window)

    # In the middle of the month: more, after a look at what it gives and costs.
    flask(own, "sandbox", "advance", "10d")
    page.goto("/plan/change/team")
    preview = page.locator("#change[data-way=now]")
    more = int(preview.get_attribute("data-credits-now") or "")
    assert 1000 < more < 2000
    assert 0 < int(preview.get_attribute("data-due-minor") or "") < 1800
    page.get_by_role("button", name="and change").click()
    page.wait_for_url("**/plan")
    expect(page.locator("#plan[data-plan=team]")).to_be_visible()
    balance_becomes(page, 1780 + more)
    assert history(page, 1) == [f"Team Difference after the change of plan {more}"]
    assert "You changed to “Team”" in why(page, "Difference")

    # A renewal that the bank refuses: no new credits, none that were bought are gone, and a way to pay.
    session = buy(page, "starter")
    press(stripe, "subscriptions", "Fail next renewal")
    renew(own, page, stripe)
    balance_becomes(page, 500)
    for _ in range(40):
        page.goto("/plan")
        if page.locator("#unpaid").count():
            break
        page.wait_for_timeout(250)
    expect(page.locator("#unpaid")).to_contain_text("no new credits come")
    page.get_by_role("link", name="Pay now").click()
    page.wait_for_url("**/i/**")
    page.locator("button[name=action][value=pay]").click()
    expect(page.locator("body")).to_contain_text("This invoice is paid.")
    page.goto("/credits")
    balance_becomes(page, 500 + 3000 + 1000)  # a thousand of what was left may be carried over
    page.goto("/plan")
    expect(page.locator("#unpaid")).to_have_count(0)
    assert "Team Credits of the month 3000" in history(page, 2)

    # Half of a package is spent, 30 % of its price goes back, from here.
    spend(page, 4250)
    assert "takes 150 credits" in flask(own, "purchase", "quote", session, "--amount", "2.70")
    refund = ("--amount", "2.70", "--reason", "Not needed", "--yes")
    assert "€2.70: succeeded" in flask(own, "purchase", "refund", session, *refund)
    balance_becomes(page, 100)
    assert history(page, 1) == ["Taken back Refund of 30% of “Starter” -150"]
    assert "€2.70 of the €9.00 paid for “Starter” were refunded" in why(page, "Taken back")

    # Again 30 %, from Stripe's dashboard.
    buy(page, "premium")
    press(stripe, "charges", "Refund", amount="1950")
    balance_becomes(page, 3600)
    assert history(page, 1) == ["Taken back Refund of 30% of “Premium” -1500"]

    # A dispute freezes what is left; lost, it is taken back.
    buy(page, "standard")
    press(stripe, "charges", "Dispute")
    balance_becomes(page, 3600)
    expect(page.locator("main")).to_contain_text("2,000 credits are frozen")
    press(stripe, "disputes", "Lose")
    for _ in range(40):
        if history(page, 1)[0].startswith("Taken back"):
            break
        page.wait_for_timeout(250)
    assert history(page, 1) == ["Taken back The bank gave the payment for “Standard” back -2000"]
    assert "was disputed" in why(page, "The bank gave")

    # Another is won: exactly what was frozen can be spent again. Subscribers may buy the greatest package.
    buy(page, "enterprise")
    balance_becomes(page, 23_600)
    press(stripe, "charges", "Dispute")
    balance_becomes(page, 3600)
    press(stripe, "disputes", "Win")
    balance_becomes(page, 23_600)

    # Leaving, and staying after all.
    page.goto("/plan")
    page.get_by_role("button", name="Cancel at the end of the period").click()
    expect(page.locator("#changes")).to_contain_text("Team ends on")
    page.get_by_role("button", name="Keep").click()
    expect(page.locator("#changes")).to_have_count(0)

    # The same lines in other words, on a small phone in the dark, too.
    for tag, words in (("de", "Erstattung von 30 % von „Einstieg“"), ("ar", "الفرق بعد تغيير الاشتراك")):
        page.goto("/settings")
        page.locator("select[name=locale]").select_option(tag)
        page.locator("main form button").first.click()
        expect(page.locator(f"html[lang={tag}]")).to_be_attached()
        page.goto("/credits/history")
        assert words.replace(" ", "") in re.sub(r"\s", "", page.locator("#entries").inner_text())
    page.set_viewport_size({"width": 320, "height": 700})
    page.emulate_media(color_scheme="dark")
    for path in ("/plan", "/plan/change/pro", "/credits", "/credits/history", "/credits/entries/7"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path

    assert flask(own, "ledger", "verify").startswith("every invariant holds")
    assert "0 repaired, 0 for a person" in flask(own, "stripe", "reconcile", "--since", "120d")
