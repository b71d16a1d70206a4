"""Every page that people see, in each of its states: for whom, where, and what is done there before one looks."""

import re

from playwright.sync_api import Page as Tab

from tests.browser.page import Page as Page
from tests.browser.page import send_empty
from tests.browser.pages_admin import ADMIN_PAGES as ADMIN_PAGES

FILES = re.compile(r"\.(csv|json|po|toml)$")
# What answers GET and shows no page to people: files, machines' paths, and what only redirects.
NO_PAGES = {
    "static",
    "favicon",
    "manifest",
    "healthz",
    "readyz",
    "metrics",
    "cards.saved",
    "checkout_return.cancelled",
    "checkout_return.purchase",
    "subscribe.cancelled",
    "your_data.export_data",
    "embed.balance_live",
    # For those who run it, or looked at by tests of their own.
    "admin.front",
    "admin_bulk.progress",
    "admin_jobs.failed_job",
    "admin_jobs.now",
    "admin_proof.progress",
    "styleguide_question",
    "credits.balance",
}


def send_stale(tab: Tab) -> None:
    """A form is sent with the token of another log-in."""
    with tab.expect_navigation():
        tab.evaluate(
            """() => {
                const form = document.querySelector("form[action='/theme']");
                form.elements.csrf_token.value = "stale";
                form.requestSubmit(form.querySelector("button"));
            }"""
        )


def show_cost(tab: Tab) -> None:
    tab.locator("input[name=feature][value=image]").check(force=True)
    tab.get_by_role("textbox").fill("41")
    tab.locator("main form[method=get] button").click()
    tab.locator("[data-cost='328'], [data-missing]").first.wait_for()


def open_all(tab: Tab) -> None:
    """Whatever folds is unfolded."""
    tab.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")


PAGES = (
    Page(name="landing", path="/", do=open_all),
    Page(name="pricing", path="/pricing", do=open_all),
    Page(name="pricing-yen", path="/pricing?currency=JPY", who="new"),
    Page(name="pricing-subscriber", path="/pricing", who="ada"),
    Page(name="log-in", path="/log-in"),
    Page(name="log-in-refused", path="/log-in", status=422, do=send_empty),
    Page(name="sign-up", path="/sign-up"),
    Page(name="sign-up-refused", path="/sign-up", status=422, do=send_empty),
    Page(name="forgot-password", path="/forgot-password"),
    Page(name="reset-password", path="/reset-password/{reset}"),
    Page(name="reset-password-gone", path="/reset-password/gone", status=410),
    Page(name="confirm-address", path="/confirm-address/{confirm}"),
    Page(name="confirm-address-gone", path="/confirm-address/gone", status=410),
    Page(name="no-credit-mails", path="/no-credit-mails/{unsubscribe}"),
    Page(name="api-docs", path="/api/docs"),
    Page(name="credits", path="/credits", who="ada", do=open_all),
    Page(name="credits-empty", path="/credits", who="new"),
    Page(name="credits-in-debt", path="/credits", who="broke"),
    Page(name="credits-suspended", path="/credits", who="suspended"),
    Page(name="credits-owing", path="/credits", who="owing"),
    Page(name="credits-lifetime", path="/credits", who="lee"),
    Page(name="history", path="/credits/history", who="ada"),
    Page(name="history-filtered", path="/credits/history?kind=spend&feature=image", who="ada"),
    Page(name="history-none-found", path="/credits/history?kind=restore", who="ada"),
    Page(name="history-empty", path="/credits/history", who="new"),
    Page(name="why", path="/credits/entries/{ada_images}", who="ada"),
    Page(name="why-purchase", path="/credits/entries/{ada_purchase}", who="ada"),
    Page(name="why-refund", path="/credits/entries/{ada_refund}", who="ada"),
    Page(name="why-revoke", path="/credits/entries/3", who="broke"),
    Page(name="usage", path="/credits/usage?range=90d", who="ada", do=open_all),
    Page(name="usage-empty", path="/credits/usage", who="new"),
    Page(name="playground", path="/credits/playground", who="ada"),
    Page(name="playground-cost", path="/credits/playground", who="ada", do=show_cost),
    Page(name="playground-short", path="/credits/playground?feature=image&quantity=41", who="new"),
    Page(name="sandbox-clock", path="/sandbox", who="ada"),
    Page(name="buy", path="/packages/starter/buy", who="ada"),
    Page(name="buy-subscribers-only", path="/packages/enterprise/buy", who="new", status=403),
    Page(name="buy-suspended", path="/packages/starter/buy", who="suspended", status=403),
    Page(name="bought", path="{bought_success}", who="buyer"),
    Page(name="bought-pending", path="{bought_pending}", who="buyer"),
    Page(name="bought-failed", path="{bought_failed}", who="buyer"),
    Page(name="bought-expired", path="{bought_expired}", who="buyer"),
    Page(name="bought-parked", path="{bought_parked}", who="buyer"),
    Page(name="bought-cancelled", path="{bought_cancelled}", who="buyer"),
    Page(name="plan", path="/plan", who="ada"),
    Page(name="plan-none", path="/plan", who="new"),
    Page(name="plan-free", path="/plan", who="fred"),
    Page(name="plan-lifetime", path="/plan", who="lee"),
    Page(name="plan-owing", path="/plan", who="owing"),
    Page(name="plan-change", path="/plan/change/pro-yearly", who="ada"),
    Page(name="subscribe", path="/plans/pro/subscribe", who="new"),
    Page(name="subscribe-free", path="/plans/free/subscribe", who="new"),
    Page(name="subscribed", path="{plan_success}", who="owing"),
    Page(name="subscribed-cancelled", path="{plan_cancelled}", who="leaving"),
    Page(name="settings", path="/settings", who="ada"),
    Page(name="settings-unconfirmed", path="/settings", who="new"),
    Page(name="your-data", path="/settings/data", who="ada"),
    Page(name="delete-account", path="/settings/delete", who="ada"),
    Page(name="delete-account-refused", path="/settings/delete", who="ada", status=422, do=send_empty),
    Page(name="security", path="/settings/security", who="ada"),
    Page(name="security-refused", path="/settings/security", who="fred", status=422, do=send_empty),
    Page(name="cards", path="/settings/cards", who="ada"),
    Page(name="cards-none", path="/settings/cards", who="new"),
    Page(name="portal", path="/portal/{portal}", who="fred"),
    Page(name="portal-gone", path="/portal/gone", status=410),
    Page(name="frame", path="/embed/balance?t={frame}", headings=0),
    Page(name="frame-gone", path="/embed/balance?t=gone", status=410, headings=0),
    Page(name="styleguide", path="/styleguide"),
    Page(name="stale-form", path="/pricing", status=400, do=send_stale),
    *(Page(name=f"error-{status}", path=f"/fail/{status}", status=status) for status in (400, 403, 429, 500, 503)),
    Page(name="error-404", path="/no-such-page", who="ada", status=404),
    Page(name="maintenance", path="/fail/maintenance", status=503),
    *ADMIN_PAGES,
)
