"""A page that is looked at, and what is done there before."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page as Tab


@dataclass(frozen=True, kw_only=True)
class Page:
    """`path` may name places of the stage in braces; `who` is one of its people, or nobody; `do` happens there."""

    name: str
    path: str
    who: str = ""
    status: int = 200
    do: Callable[[Tab], None] | None = None
    headings: int = 1


def send_empty(tab: Tab) -> None:
    """The form of the page is sent with nothing in it, past what the browser would insist on."""
    with tab.expect_navigation():
        tab.evaluate(
            """() => {
                const form = document.querySelector("main form:not([action='/theme']):has(input:not([type=hidden]))");
                form.noValidate = true;
                for (const input of form.querySelectorAll("input:not([type=hidden])")) input.value = "";
                form.querySelector("button:not([type=button])").click();
            }"""
        )
