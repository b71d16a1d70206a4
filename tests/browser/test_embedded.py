"""The product's own pages: a balance in a frame of theirs, and the way from them to the account and back."""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.conftest import TestServers
from tests.credits.member import Member
from tests.instance import Instance, free_port_pair
from webapp.people.balance_frame import sign_frame
from webapp.people.sessions import now

pytestmark = pytest.mark.browser


class Quiet(WSGIRequestHandler):
    def log(self, *_args: Any) -> None:
        pass


@contextmanager
def running(server: BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def served(app: Flask, port: int) -> Iterator[None]:
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Quiet)
    with running(server):
        yield


@contextmanager
def product_page(port: int, html: str) -> Iterator[None]:
    """A page of somebody else's, at an origin of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    with running(server):
        yield


def test_a_framed_balance_is_live_and_says_when_it_is_not(
    browser: Browser, make_app: Callable[..., Flask], servers: TestServers
) -> None:
    port, product = free_port_pair(), free_port_pair()
    app = make_app(servers, EMBED_ORIGINS=f"http://localhost:{product}")
    member = Member(app)
    member.grant(1000)
    expires_at = now() + timedelta(minutes=10)
    secret_key = app.config["SECRET_KEY"]
    token = sign_frame(account_id=member.account_id, locale="en", expires_at=expires_at, secret_key=secret_key)
    page = browser.new_context().new_page()
    html = f'<iframe src="http://127.0.0.1:{port}/embed/balance?t={token}" title="Credits"></iframe>'
    with product_page(product, html), product_page(product + 1, html):
        with served(app, port):
            page.goto(f"http://localhost:{product}")
            balance = page.frame_locator("iframe").locator("#balance")
            expect(balance).to_contain_text("1,000 credits")
            member.spend(1)
            expect(balance).to_contain_text("999 credits")
        expect(balance).to_contain_text("Not up to date")
        with served(app, port):
            expect(balance).not_to_contain_text("Not up to date")
            member.spend(9)
            expect(balance).to_contain_text("990 credits")
            page.goto(f"http://localhost:{product + 1}")  # an origin that is not configured
            page.wait_for_load_state("networkidle")
            assert page.frame_locator("iframe").locator("#balance").count() == 0
    page.context.close()


def test_a_link_of_the_product_leads_to_the_account_and_back(
    instance: Instance, new_context: Callable[..., BrowserContext]
) -> None:
    account = f"team:{uuid4().hex[:8]}"
    call(instance, "PUT", f"/accounts/{account}", {})
    call(instance, "POST", "/grants", {"account": account, "amount": 75, "reason": "Trial"})
    wanted = {"account": account, "return_url": f"{instance.sandbox_url}/", "locale": "de", "page": "history"}
    url = call(instance, "POST", "/portal-sessions", wanted)["url"]
    page: Page = new_context().new_page()
    page.goto(url)
    page.wait_for_url("**/credits/history")  # the script has pressed the button
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("#balance")).to_have_attribute("data-available", "75")
    expect(page.get_by_role("link", name="Zurück zu")).to_have_attribute("href", f"{instance.sandbox_url}/")
    without_script = new_context(java_script_enabled=False).new_page()
    without_script.goto(call(instance, "POST", "/portal-sessions", wanted)["url"])
    without_script.get_by_role("button", name="Weiter").click()
    without_script.wait_for_url("**/credits/history")


def call(instance: Instance, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {
        "Authorization": "Bearer tsk_sandbox_demo",
        "Idempotency-Key": uuid4().hex,
        "Content-Type": "application/json",
    }
    data = json.dumps(body).encode()
    asked = urllib.request.Request(f"{instance.base_url}/api/v1{path}", data=data, headers=headers, method=method)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        answered: dict[str, Any] = json.load(answer)
    return answered
