"""Looking at a page as browsers, readers of screens and small telephones do."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Frame, Request
from playwright.sync_api import Page as Tab

from tests.browser.pages import Page
from tests.browser.stage import Stage

WIDTHS = (1280, 320)

# WCAG 2.2 AA and what axe calls best practice; target-size is off by default in spite of its being AA. What comes in
# great numbers is alike, and the contrast of each is what takes axe's time: the first ones stand for all.
_AXE = """
async () => {
    const exclude = [
        "tbody > tr:nth-child(n + 7)", "tbody:nth-of-type(n + 4)", ".hits > :nth-child(n + 7)",
        "option:nth-child(n + 7)", ".wrap:has(> #calls) > section:nth-of-type(n + 6)",
    ];
    const options = {resultTypes: ["violations"], preload: false, rules: {"target-size": {enabled: true}}};
    const {violations} = await axe.run({exclude}, options);
    const told = ({target, failureSummary}) => [target.join(" "), failureSummary];
    return violations.map(({id, nodes}) => [id, nodes.map(told)]);
}
"""

_MARKUP = """
() => {
    const html = document.documentElement;
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    const told = (one) => one.id || one.outerHTML.slice(0, 90);
    const all = (test) => [...document.querySelectorAll("*")].filter(test).map(told);
    const pointers = ["for", "form", "aria-labelledby", "aria-describedby", "aria-controls"];
    const leadsNowhere = (one) => pointers
        .flatMap((name) => (one.getAttribute(name) || "").split(/\\s+/))
        .some((id) => id && !document.getElementById(id));
    return {
        lang: html.lang,
        dir: html.dir,
        headings: document.querySelectorAll("h1").length,
        twice: ids.filter((id, place) => ids.indexOf(id) !== place),
        styled: all((one) => one.hasAttribute("style") || one.localName === "style"),
        scripted: all((one) => [...one.attributes].some(({name}) => name.startsWith("on"))),
        leadingNowhere: all(leadsNowhere),
    };
}
"""

# What stands out at the side, told by the innermost elements that do; what may be scrolled inside of itself does not.
_OVERFLOW = """
() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const out = [...document.querySelectorAll("body *")].filter((one) => {
        const box = one.getBoundingClientRect();
        return box.width && (box.right > width + 1 || box.left < -1);
    });
    const inner = out.filter((one) => !out.some((other) => other !== one && one.contains(other)));
    return [`wider than ${width}`, ...inner.slice(0, 5).map((one) => one.outerHTML.slice(0, 120))];
}
"""


@cache
def axe_script() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@dataclass
class Window:
    """A browser of somebody, in one language, that keeps what the pages complained about and asked for elsewhere."""

    stage: Stage
    context: BrowserContext
    tag: str
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    _tab: Tab | None = None

    @classmethod
    def open(cls, browser: Browser, stage: Stage, *, who: str, tag: str, **options: Any) -> "Window":
        context = browser.new_context(
            base_url=stage.base_url,
            locale={"en": "en-GB"}.get(tag, tag),
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(20_000)
        context.add_cookies(stage.cookies_of(who))
        window = cls(stage=stage, context=context, tag=tag)
        context.on("console", window._hear)
        context.on("weberror", lambda error: window.complaints.append(str(error.error)))
        context.on("request", window._see)
        return window

    @property
    def tab(self) -> Tab:
        if self._tab is None:
            self._tab = self.context.new_page()
        return self._tab

    def show(self, page: Page, *, width: int = WIDTHS[0], height: int = 800, scheme: Any = "light") -> Tab:
        """The page is there, in this look, and answered as it should have."""
        self.stage.speak(self.tag)
        take_look(self.tab, width=width, height=height, scheme=scheme)
        statuses: list[int] = []

        def note(answer: Any) -> None:
            if answer.request.is_navigation_request() and not 300 <= answer.status < 400:
                statuses.append(answer.status)

        self.elsewhere.clear()
        self.tab.on("response", note)
        self.tab.on("framenavigated", self._forget)
        self.tab.goto(self.stage.path(page.path))
        self.tab.remove_listener("framenavigated", self._forget)
        if page.do:
            page.do(self.tab)
        self.tab.remove_listener("response", note)
        assert (statuses[-1], self.tab.url) == (page.status, self.tab.url)
        return self.tab

    def put_away(self) -> None:
        """The tab is empty, so that nothing in it asks for anything any more; what was noted is forgotten."""
        if self.tab.url != "about:blank":
            self.tab.goto("about:blank")
        self.complaints.clear()
        self.elsewhere.clear()

    def _forget(self, frame: Frame) -> None:
        """Another page begins: what the one before complained of to the last was its own."""
        if frame.parent_frame is None:
            self.complaints.clear()

    def _hear(self, message: ConsoleMessage) -> None:
        # A page that is an error is told of as one; htmx reports the requests that a newer one replaced.
        expected = "the server responded with a status of" in message.text
        replaced = message.text.startswith(("htmx:afterRequest", "htmx:sendAbort"))
        if message.type == "error" and not expected and not replaced:
            self.complaints.append(message.text)

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.stage.base_url + "/", "data:", "about:")):
            self.elsewhere.append(request.url)


def markup_of(tab: Tab) -> dict[str, Any]:
    """What the document says of itself, and which of its elements are not as they should be."""
    found: dict[str, Any] = tab.evaluate(_MARKUP)
    return found


def overflow_of(tab: Tab) -> list[str]:
    """What makes the page wider than its window; nothing when it is not."""
    found: list[str] = tab.evaluate(_OVERFLOW)
    return found


def findings_of(tab: Tab) -> list[str]:
    """What axe finds against the page as it is shown now."""
    if not tab.evaluate("'axe' in window"):
        tab.evaluate(axe_script())
    return [
        f"{rule} {target}: {re.sub(chr(10) + ' *', ' ', summary)}"
        for rule, nodes in tab.evaluate(_AXE)
        for target, summary in nodes
    ]


@dataclass(frozen=True)
class Look:
    """A width of the window and a colour scheme."""

    width: int
    scheme: Any

    def __str__(self) -> str:
        return f"{self.scheme} {self.width}"


def in_looks(tab: Tab, looks: Iterable[Look], find: Callable[[Tab], list[str]]) -> dict[str, list[str]]:
    """What is found in each of the looks, without loading the page again."""
    found: dict[str, list[str]] = {}
    for look in looks:
        take_look(tab, width=look.width, scheme=look.scheme)
        if trouble := find(tab):
            found[str(look)] = trouble
    return found


def take_look(tab: Tab, *, width: int, scheme: Any, height: int = 800) -> None:
    """The window has that size and scheme. To say so of one that has it would have all of it drawn again."""
    if tab.viewport_size != {"width": width, "height": height}:
        tab.set_viewport_size({"width": width, "height": height})
    if tab.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") != (scheme == "dark"):
        tab.emulate_media(color_scheme=scheme)
