"""The page for those who build pages: complete, in the sandbox only, and drawn by what it shows."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.people.browser import Browser
from webapp.styleguide.page import EXAMPLES
from webapp.styleguide.tokens import colours, lengths

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
TOKENS = TEMPLATES.parent / "static" / "css" / "tokens.css"
# What is no component of its own: words, the mark of the brand, times, and what the log-in page alone shows.
ELSEWHERE = {"rate", "logo", "when", "poster"}


@pytest.fixture(scope="module")
def html(app: Flask) -> str:
    response = Browser(app).get("/styleguide")
    assert response.status_code == 200
    return response.text


def test_every_component_has_an_example() -> None:
    examples = "".join(path.read_text("utf-8") for path in (TEMPLATES / "styleguide" / "examples").glob("*.html"))
    components = {path.stem for path in (TEMPLATES / "components").glob("*.html")}
    shown = set(re.findall(r'from "components/(\w+)\.html"', examples))
    assert shown <= components
    assert components - shown <= ELSEWHERE, "a new component needs an example in templates/styleguide/examples"


def test_each_example_is_shown_with_the_lines_that_make_it(html: str) -> None:
    for example in EXAMPLES:
        assert f'id="{example.name}-example"' in html
        source = (TEMPLATES / "styleguide" / "examples" / f"{example.name}.html").read_text("utf-8").strip()
        first = source.splitlines()[0].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert first.replace('"', "&#34;") in html, example.name


def test_every_colour_and_length_is_shown(html: str) -> None:
    css = TOKENS.read_text("utf-8")
    declared = set(re.findall(r"--([\w-]+): (?:var\(--light, #|#)", css)) - {"outline"}
    assert {colour.name for colour in colours(css, hue=53)} == declared
    for name in [*declared, *(name for name, _ in lengths(css))]:
        assert f"--{name}</code>" in html, name


def test_it_is_not_there_beside_real_money(make_app: Callable[..., Flask], servers: Any) -> None:
    app = make_app(
        servers,
        STRIPE_SECRET_KEY="sk_test_" + "x" * 24,
        STRIPE_WEBHOOK_SECRET="whsec_" + "x" * 24,
        SECRET_KEY="k" * 32,
    )
    for path in ("/styleguide", "/styleguide/question"):
        assert Browser(app).get(path).status_code == 404


def test_no_page_for_customers_leads_to_it(app: Flask) -> None:
    for path in ("/", "/pricing", "/log-in"):
        assert "styleguide" not in Browser(app).get(path, follow_redirects=True).text


def test_the_question_is_a_page_of_its_own(app: Flask) -> None:
    html = Browser(app).get("/styleguide/question").text
    assert '<div class="question" id="ask"><h1>' in html
    assert "<form" in html
