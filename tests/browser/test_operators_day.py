"""An operator's day: what somebody who runs a shop on this does between two coffees, in the browser alone."""

import csv
import json
import re
import urllib.request
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from babel.messages.pofile import read_po, write_po
from playwright.sync_api import BrowserContext, Page, expect
from redis import Redis
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from tests.browser.conftest import available, sign_up
from tests.instance import Instance
from webapp.embedded.running import running_environment

pytestmark = pytest.mark.browser

MOST_LOOKS = 60
OUTAGE_ACCOUNTS = [f"outage:{number}" for number in range(50)]


@pytest.fixture
def operator(new_context: Callable[..., BrowserContext]) -> Page:
    """The demo's owner, signed in."""
    page = new_context(accept_downloads=True).new_page()
    page.set_default_timeout(60_000)  # names are collected from every template, by a machine that may be busy
    page.goto("/log-in?next=/admin")
    page.locator("input[name=email]").fill("admin@example.com")
    page.locator("input[name=password]").fill("tallystick-demo")
    page.locator("main form button").first.click()
    page.wait_for_url("**/admin/**")
    return page


def test_an_operators_day(operator: Page, new_context: Callable[..., BrowserContext], instance: Instance) -> None:
    _make_a_package_with_a_french_name(operator)
    customer = new_context().new_page()
    email = sign_up(customer)
    _customer_buys_it_in_french(customer)
    purchase = _watch_the_purchase_arrive(operator, email)
    _customer_is_charged(customer)
    _answer_why(operator, email)
    _refund_30_percent(operator, purchase)
    assert available(_again(customer)) == 100 + 300 - 24 - 90
    _grant_for_an_outage(operator, instance)
    _retry_a_failed_job(operator, instance)
    _publish_a_rate_card(operator)
    _export_the_journal(operator)
    _run_the_proof(operator)
    _find_it_all_in_the_audit_log(operator)
    _take_the_package_off_sale(operator)


def _make_a_package_with_a_french_name(page: Page) -> None:
    page.goto("/admin/packages")
    page.get_by_role("link", name="New package").first.click()
    page.get_by_label("Code").fill("operators-weekend")
    page.get_by_label("Name in English").fill("Operator’s weekend")
    page.get_by_label("Credits", exact=True).fill("300")
    page.get_by_label("EUR").fill("3.00")
    page.get_by_label("Put it on sale at once").check()
    page.get_by_role("button", name="Make the package").click()
    expect(page.locator("#packages, #translation").first).to_contain_text(re.compile("French|Français|operators"))
    page.goto("/admin/translations")
    page.get_by_role("button", name="Collect names").click()
    file = page.request.get("/admin/translations/fr/content.po")
    assert file.ok
    row = page.locator("table[data-locale=fr] tr[data-domain=content]")
    row.locator("input[type=file]").set_input_files(
        {"name": "content.po", "mimeType": "text/plain", "buffer": _translated(file.body())}
    )
    row.locator("button").click()
    expect(page.locator("#toasts")).to_contain_text("1 text has changed")


def _translated(po: bytes) -> bytes:
    """What a translator hands in."""
    catalog = read_po(BytesIO(po), locale="fr")
    message = catalog.get("Operator’s weekend", context="package name")
    assert message is not None, "Collect names did not"
    message.string = "Le week-end de l’exploitant"
    out = BytesIO()
    write_po(out, catalog)
    return out.getvalue()


def _customer_buys_it_in_french(page: Page) -> None:
    page.goto("/fr/pricing?currency=EUR")
    expect(page.get_by_role("heading", name="Le week-end de l’exploitant").first).to_be_visible()
    page.locator("a[href*='/packages/operators-weekend/buy']").first.click()
    page.locator("form[action$='/buy'] button").click()
    page.wait_for_url("**/c/pay/**")
    page.locator("button[name=action][value=pay]").click()
    page.wait_for_url("**/checkout/return**")
    expect(page.locator("#purchase[data-outcome=success]")).to_be_visible()


def _watch_the_purchase_arrive(page: Page, email: str) -> int:
    """It is the newest of the list; returns its number."""
    page.goto("/admin/purchases?package=operators-weekend")
    row = page.locator("#list tbody tr").filter(has_text=email)
    expect(row).to_contain_text("€3.00")
    row.get_by_role("rowheader").get_by_role("link").click()
    expect(page.locator("[data-state=fulfilled]")).to_be_visible()
    return int(page.url.rsplit("/", 1)[1])


def _customer_is_charged(page: Page) -> None:
    """24 credits for three images: of the welcome credits, which expire first."""
    page.goto("/credits/playground?feature=image&quantity=3")
    page.locator("form[method=post][action='/credits/playground'] button").click()
    expect(page.locator("#balance")).to_have_attribute("data-available", "376")


def _answer_why(page: Page, email: str) -> None:
    """From what a customer writes to the arithmetic of the charge."""
    page.get_by_role("searchbox").fill(email)
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_url(re.compile("/admin/(search|accounts)"))
    if "/admin/search" in page.url:
        page.locator(".found a[href*='/admin/accounts/']").first.click()
    expect(page.locator("h1")).to_contain_text(email)
    page.locator("#entries tr").filter(has_text="−24").get_by_role("link").first.click()
    page.wait_for_url("**/entries/**")
    told = page.locator("main")
    expect(told).to_contain_text("Image")
    expect(told).to_contain_text("3 × 8")
    expect(told).to_contain_text("Welcome credits")


def _refund_30_percent(page: Page, purchase: int) -> None:
    page.goto(f"/admin/purchases/{purchase}")
    page.get_by_role("link", name="Refund", exact=True).click()
    page.get_by_label("Amount in EUR").fill("0.90")
    page.get_by_label("Reason").fill("It was not worth all of it")
    page.get_by_role("button", name="See what it would do").click()
    expect(page.locator("#effect")).to_contain_text("90")
    _confirm(page)
    _until(page, lambda: page.locator("#revoked").count() == 1 and page.locator("#revoked").inner_text() == "90")


def _grant_for_an_outage(page: Page, instance: Instance) -> None:
    for account in OUTAGE_ACCOUNTS:
        _call(instance, "PUT", f"/accounts/{account}", {})
    lines = "".join(f"{account},100,30,Sorry for the outage\r\n" for account in OUTAGE_ACCOUNTS)
    file = f"\ufeffAccount,Credits,Days,Text\r\n{lines}nobody-at-all,100,30,\r\n".encode()
    page.goto("/admin/bulk")
    page.get_by_label("CSV file").set_input_files({"name": "outage.csv", "mimeType": "text/csv", "buffer": file})
    page.get_by_role("button", name="Check the file").click()
    expect(page.locator("#file")).to_have_attribute("data-good", "50")
    expect(page.locator("#problems tr[data-line='52']")).to_contain_text("there is no such account")
    page.get_by_label("Reason").fill("The outage of last night")
    page.get_by_role("button", name="See what it would do").click()
    expect(page.locator("[data-figure=credits_granted]")).to_contain_text("5,000")
    _confirm(page)
    expect(page.locator("#progress[data-state=done]")).to_be_visible()
    expect(page.locator("[data-figure=done]")).to_have_text("50")
    assert _call(instance, "GET", "/accounts/outage:49")["available"] == 100


def _retry_a_failed_job(page: Page, instance: Instance) -> None:
    """One that failed while a disk was full, and does not any more."""
    redis_url = running_environment(data_dir=instance.data_dir)["REDIS_URL"]
    with Redis.from_url(redis_url) as redis:
        queue = Queue("default", connection=redis, serializer=JSONSerializer)
        # Made in a queue that nobody works on, and then put among the failed ones of the one that everybody does.
        job = Queue("nobody", connection=redis, serializer=JSONSerializer).enqueue(
            "jobs.run_periodic.run_periodic", "tidy_sessions", job_id="operators-day"
        )
        job.origin = queue.name
        job.save()
        with redis.pipeline() as pipe:
            FailedJobRegistry(queue=queue).add(job, ttl=600, pipeline=pipe)
            Result.create_failure(job, ttl=600, exc_string="Traceback …\nOSError: No space left", pipeline=pipe)
            pipe.execute()
        page.goto("/admin/jobs")
        row = page.locator("tr[data-failed='operators-day']")
        expect(row).to_contain_text("OSError: No space left")
        row.get_by_role("button").click()
        expect(page.locator("tr[data-failed='operators-day']")).to_have_count(0)
        _until(page, lambda: job.get_status().value == "finished")
    expect(page.locator("tr[data-periodic=tidy_sessions]")).not_to_contain_text("never")


def _publish_a_rate_card(page: Page) -> None:
    page.goto("/admin/rate-card")
    page.get_by_role("button", name="Draft a new version").click()
    page.locator("tr[data-feature=api-call]").get_by_role("link").click()
    page.locator("#credits").fill("2")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Publish").click()
    page.get_by_label("Reason").fill("Calls cost us more")
    page.get_by_role("button", name="See what it would do").click()
    _confirm(page)
    page.goto("/admin/rate-card")
    expect(page.locator("#versions tr").filter(has=page.locator(".tag"))).to_contain_text("in force")
    expect(page.locator("main")).to_contain_text("Version 2")


def _export_the_journal(page: Page) -> None:
    """The month's, in the money that the customer paid in."""
    page.goto("/admin/reports?currency=EUR")
    with page.expect_download() as started:
        page.get_by_role("link", name="Journal in EUR").click()
    assert started.value.suggested_filename.startswith("journal-eur-")
    lines = started.value.path().read_text("utf-8-sig").splitlines()
    assert len(lines[0].split(",")) > 3
    assert lines[1:], "the month has bookings"
    assert all(line.startswith("20") for line in lines[1:]), lines[:3]
    debits, credits = ([float(line[column] or 0) for line in csv.reader(lines[1:])] for column in (4, 5))
    assert round(sum(debits), 2) == round(sum(credits), 2) > 0


def _run_the_proof(page: Page) -> None:
    """A new one, whatever the last night's said."""
    page.goto("/admin/proof")
    before = _proved_at(page)
    with page.expect_navigation():
        page.get_by_role("button", name="Prove it now").click()
    _until(page, lambda: _proved_at(page) not in ("", before))
    expect(page.locator("#verdict")).to_have_attribute("data-holds", "yes")
    expect(page.locator("#trial-balance tfoot")).to_contain_text("0")


def _proved_at(page: Page) -> str:
    """When the last proof ended, to the second; empty when there was none."""
    told = page.locator("dl.figures time").first
    return (told.get_attribute("datetime") or "") if told.count() else ""


def _find_it_all_in_the_audit_log(page: Page) -> None:
    page.goto("/admin/audit-log?who=admin%40example.com")
    log = page.locator("#list")
    for said in ("The outage of last night", "It was not worth all of it", "Calls cost us more"):
        expect(log).to_contain_text(said)


def _take_the_package_off_sale(page: Page) -> None:
    """Other tests find the shop as it was."""
    page.goto("/admin/packages")
    page.locator("#package-operators-weekend").get_by_role("button", name="Take off sale").click()


# ---------------------------------------------------------------- what recurs


def _confirm(page: Page) -> None:
    """Nothing has happened yet; now it does."""
    expect(page.locator("#effect")).to_be_visible()
    password = page.locator("input[name=confirm_password]")
    if password.count():
        password.fill("tallystick-demo")
    page.locator("input[name=step][value=confirm]").locator("xpath=ancestor::form").get_by_role("button").click()
    expect(page.locator("#effect")).to_have_count(0)


def _until(page: Page, happened: Callable[[], bool]) -> None:
    """Look again until a worker has done it."""
    for _look in range(MOST_LOOKS):
        page.wait_for_load_state()
        page.goto(page.url.partition("#")[0])  # to reload fails where Chromium changes the process behind a page
        if happened():
            return
        page.wait_for_timeout(250)
    raise AssertionError(f"it did not happen: {page.locator('main').inner_text()[:2000]}")


def _again(page: Page) -> Page:
    page.goto("/credits")
    return page


def _call(instance: Instance, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the product's own programs do."""
    request = urllib.request.Request(
        f"{instance.base_url}/api/v1{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": "Bearer tsk_sandbox_demo",
            "Content-Type": "application/json",
            "Idempotency-Key": f"operators-day-{method}-{path}",
        },
    )
    with urllib.request.urlopen(request, timeout=15) as answer:
        told: dict[str, Any] = json.load(answer)
    return told
