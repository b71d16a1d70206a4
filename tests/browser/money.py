"""What people and an operator do about money in a browser: subscribe, buy, spend; refund, dispute, let time pass.

One instance whose clock moves, two windows: the shop, and Stripe's double where the bank's side happens.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, available
from tests.instance import Instance
from webapp import create_app
from webapp.config import Settings
from webapp.embedded.running import running_environment
from webapp.extensions import db

# For events on a machine that does much else meanwhile.
PATIENCE_SECONDS = 90.0

# The shipped plans have one monthly price; a shop with a greater one makes upgrades worth looking at.
_TEAM = """
INSERT INTO plans (code, name, description, credits_per_month, rollover_cap, billed, position, active)
    VALUES ('team', 'Team', '', 3000, 1000, 'monthly', 9, true);
INSERT INTO plan_prices (plan, currency, price_minor) VALUES ('team', 'EUR', 3000);
"""


def begin(new_instance: Callable[..., Instance]) -> Instance:
    """One whose clock may be moved, with a plan more than those that are shipped."""
    instance = new_instance(grown=True)
    instance.start_and_wait()
    instance.wait_for_banner()
    with psycopg.connect(running_environment(data_dir=instance.data_dir)["DATABASE_OWNER_URL"]) as connection:
        connection.execute(_TEAM)
    return instance


def flask(instance: Instance, *arguments: str) -> str:
    """What the command says; it must succeed. As in another shell, but for Python, which needs seconds to begin."""
    environment = {"DATA_DIR": str(instance.data_dir), "PORT": str(instance.port)}
    app = create_app(Settings.from_environment({**running_environment(data_dir=instance.data_dir), **environment}))
    try:
        result = app.test_cli_runner().invoke(args=arguments)
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.stdout


def let_pass(instance: Instance, duration: str) -> None:
    """So much time, in fewer steps than `flask sandbox advance` takes: what falls due in one is done in its order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.advance_time.STEP", timedelta(days=12))
        flask(instance, "sandbox", "advance", duration)


def sign_up(page: Page, name: str) -> None:
    page.goto("/sign-up")
    page.locator("input[name=email]").fill(f"{name}@money.example.com")
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
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until:
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
    let_pass(own, f"{int(seconds) + 3600}s")


def press(stripe: Page, table: str, button: str, **fields: str) -> None:
    """A button in the newest row of one of the tables of the sandbox's own page."""
    stripe.goto("/_sandbox/")
    row = stripe.locator(f"#{table} + .scroll tbody tr").first
    for name, value in fields.items():
        row.locator(f"input[name={name}]").fill(value)
    row.get_by_role("button", name=button, exact=True).click()
    stripe.wait_for_load_state()


def said(page: Page, path: str) -> str:
    """What stands on the page, as one line."""
    page.goto(path)
    return re.sub(r"\s+", " ", page.locator("main").inner_text())


def eventually(page: Page, path: str, locator: str) -> None:
    """The page shows it, at the latest when the events of that month have come."""
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until:
        page.goto(path)
        if page.locator(locator).count():
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"{locator} never came up on {path}")


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
        ended = f"Expired {self.name}{' · all of them carried over' if self.carries_over else ''} -{left}"
        assert history(page, 2 + len(carried)) == [*carried, granted, ended]


NEIGHBOURS = [
    Neighbour("free", "Free", 100),
    Neighbour("pro-yearly", "Pro, yearly", 1000, carries_over=True),
    Neighbour("lifetime", "Lifetime", 300),
]
