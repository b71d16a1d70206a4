"""Where log-in leads: never to somebody else's site."""

import re
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from tests.people.browser import PASSWORD, Browser
from webapp.people.next_page import page_to_come_back_to, safe_next

ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "\\\\evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "/\\/evil.example",
    "http:/evil.example",
    "http:evil.example",
    "http://evil.example",
    "HTTPS://evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "/\tevil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "\x00//evil.example",
    "/%0a/evil.example",
    "/%0d%0aSet-Cookie:x=y",
    "/%09/evil.example",
    "/%5cevil.example",
    "/%2f/evil.example",
    "/%2Fevil.example",
    "/./\\evil.example",
    "/..//evil.example",
    "/a/..//evil.example",
    "/%2e%2e//evil.example",
    "/.//evil.example",
    "/%252f/evil.example",
    "/@evil.example//",
    "//localhost@evil.example",
    "/\u2044/evil.example",
    "/\uff0fevil.example",
    "/\u202egro.elpmaxe",
    "evil.example",
    "?next=//evil.example",
    "#x",
    "",
    "/" + "a" * 3_000,
]
OWN = [
    "/",
    "/credits",
    "/credits/history?kind=spend&from=2026-01-01&cursor=a%3Db",
    "/packages/starter/buy",
    "/credits/entries/12",
    "/de/pricing?currency=EUR#faq",
    "/credits/history?next=https%3A%2F%2Fexample.com//x",
]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_no_other_site_passes_for_a_page_of_ours(target: str) -> None:
    assert safe_next(target) is None


@pytest.mark.parametrize("target", OWN)
def test_our_own_pages_pass(target: str) -> None:
    assert safe_next(target) == target


def test_nothing_is_no_page() -> None:
    assert safe_next(None) is None


def as_browsers_read(target: str) -> str:
    """Tabs and line ends dropped, blanks trimmed, backslashes turned: the URL standard's way."""
    return re.sub(r"[\t\r\n]", "", target.strip("".join(map(chr, range(33))))).replace("\\", "/")


@given(st.one_of(st.text(max_size=40), st.text(alphabet="/\\.:@%?#0259afcFC\t\n ehvil", max_size=20).map("/".__add__)))
def test_whatever_passes_stays_on_this_site_as_browsers_read_it(target: str) -> None:
    passed = safe_next(target)
    if passed is not None:
        base = "https://tally.example/log-in"
        assert urlsplit(urljoin(base, as_browsers_read(passed))).netloc == "tally.example"
        assert not as_browsers_read(passed).startswith("//")
        assert passed.isascii()
        assert passed.isprintable()


@pytest.mark.parametrize("target", ELSEWHERE)
def test_log_in_never_leads_elsewhere(ada: Browser, target: str) -> None:
    assert ada.get("/log-in", query_string={"next": target}).location == "/credits"


def test_next_is_kept_through_a_failed_attempt_and_the_link_to_sign_up(app: Flask, ada: Browser) -> None:
    browser = Browser(app)
    answer = browser.log_in(ada.email, "not the password", next="/credits/history?kind=spend")
    assert answer.status_code == 422
    assert 'name="next" value="/credits/history?kind=spend"' in answer.text
    assert "/sign-up?next=/credits/history?kind%3Dspend" in answer.text
    assert browser.log_in(ada.email, PASSWORD, next="/credits/history?kind=spend").location == (
        "/credits/history?kind=spend"
    )


def test_the_page_that_needed_a_log_in_is_come_back_to(browser: Browser) -> None:
    answer = browser.get("/settings?x=a%20b")
    assert answer.status_code == 303
    assert answer.location == "/log-in?next=/settings?x%3Da%2520b"


@pytest.mark.parametrize("path", ["//evil.example/..", "/%5C%5Cevil.example", "/a%0Ab", "/ü"])
def test_a_hostile_path_is_not_come_back_to(app: Flask, path: str) -> None:
    with app.test_request_context(path):
        assert page_to_come_back_to() in {None, "/%C3%BC"}


def test_a_form_sent_without_log_in_leads_to_its_page(app: Flask) -> None:
    with app.test_request_context("/settings", method="POST"):
        assert page_to_come_back_to() == "/settings"
    with app.test_request_context("/log-out", method="POST"):
        assert page_to_come_back_to() is None


def test_a_fragment_sends_the_whole_page_to_the_log_in(browser: Browser) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/credits/history?kind=spend"}
    answer = browser.get("/settings", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/log-in?next=/credits/history?kind%3Dspend"
    evil = {"HX-Request": "true", "HX-Current-URL": "http://localhost//evil.example"}
    assert browser.get("/settings", headers=evil).headers["HX-Redirect"] == "/log-in"
