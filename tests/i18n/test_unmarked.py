"""Every page in the pseudo-locale: a text without brackets is one that no translator will ever see."""

import re
from html.parser import HTMLParser

import pytest
from flask import Flask

from tests.credits.member import Member, member, shop
from tests.people.browser import Browser
from webapp.i18n import pseudo

__all__ = ["member", "shop"]

# Not texts: code, dates and money by Babel, names of people and languages, drawings.
_SKIPPED_TAGS = {"script", "style", "code", "kbd", "time", "bdi", "option", "samp", "pre"}
_VOID = {"meta", "link", "br", "hr", "img", "input", "wbr", "source", "col"}
_SPOKEN = {"aria-label", "title", "alt", "placeholder", "data-close", "data-offline"}
# Days in drawings come from Babel; the rest are names.
_DAYS = r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b"
_NAMES = re.compile(rf"{_DAYS}|Tallystick|Stripe|CSV|JSON|API|[A-Z]{{3}}")
PUBLIC = ("/pricing", "/log-in", "/sign-up", "/forgot-password", "/nope", "/packages/starter/buy")
SIGNED_IN = (
    "/credits", "/credits/history", "/credits/history?kind=spend", "/credits/entries/1", "/credits/entries/2",
    "/credits/usage", "/credits/playground", "/plan", "/plans/pro/subscribe", "/settings", "/settings/security",
    "/settings/cards", "/settings/data", "/settings/delete", "/packages/starter/buy", "/packages/enterprise/buy",
    "/sandbox", "/credits/entries/999",
)  # fmt: skip


class Texts(HTMLParser):
    """What a reader reads on a page, attributes that are spoken included."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._open: list[bool] = []  # whether each open element hides its text from us
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        here = dict(attrs)
        named = here.get("translate") == "no" or ("lang" in here and tag != "html")
        hidden = any(self._open) or tag in _SKIPPED_TAGS or named
        if not hidden:
            self.found += [value for name, value in attrs if name in _SPOKEN and value]
            if here.get("name") == "description" or here.get("property") in {"og:title", "og:description"}:
                self.found.append(here.get("content") or "")
        if tag not in _VOID:
            self._open.append(hidden)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not any(self._open[-1:]):
            self.found.append(data)


def unmarked(html: str) -> set[str]:
    """The words of a page that stand in no brackets."""
    texts = " \n".join(Texts(html).found)
    while pseudo.OPEN in texts:
        smaller = re.sub(f"{pseudo.OPEN}[^{pseudo.OPEN}{pseudo.CLOSE}]*{pseudo.CLOSE}", " ", texts)
        if smaller == texts:
            break
        texts = smaller
    lines = {line.strip() for line in texts.splitlines()}
    return {line for line in lines if re.search(r"[^\W\d_]{2}", _NAMES.sub("", line))}


def test_the_finder_finds() -> None:
    html = '<html lang="en"><p>⟦Yés⟧ no <b title="bad">⟦á⟧</b><bdi>Ada</bdi><code>x y</code></p></html>'
    assert unmarked(html) == {"no", "bad"}


@pytest.mark.parametrize("path", PUBLIC)
def test_no_public_page_has_a_text_that_is_not_marked(shop: Flask, path: str) -> None:
    browser = Browser(shop)
    browser.client.set_cookie(pseudo.COOKIE, "1")
    assert unmarked(browser.get(path, follow_redirects=True).text) == set()


@pytest.mark.parametrize("path", SIGNED_IN)
def test_no_page_of_a_person_has_a_text_that_is_not_marked(member: Member, path: str) -> None:
    member.grant(1_000)
    member.spend(5, feature="image", quantity=1)
    member.client.set_cookie(pseudo.COOKIE, "1")
    answer = member.get(path, follow_redirects=True)
    assert answer.status_code in {200, 403, 404}
    assert unmarked(answer.text) == set()


def test_only_a_sandbox_speaks_it(member: Member) -> None:
    member.client.set_cookie(pseudo.COOKIE, "1")
    assert pseudo.OPEN in member.get("/credits").text
    member.app.config["SANDBOX"] = False
    try:
        assert pseudo.OPEN not in member.get("/credits").text
    finally:
        member.app.config["SANDBOX"] = True


def test_placeholders_and_tags_stay() -> None:
    assert pseudo.pseudo("Pay <b>%(sum)s</b> now &amp; here") == "⟦Páý <b>%(sum)s</b> ñów &amp; héré···········⟧"
