"""What is served is read by browsers of 2022: the rules of our files, one by one."""

import re

import pytest
from flask import Flask

from tests.people.browser import Browser
from webapp.layout.palette import palette
from webapp.layout.stylesheet import flatten, join


@pytest.mark.parametrize(
    ("nested", "flat"),
    [
        (".a { color: red; }", ".a{color: red}"),
        (".a { & { color: red; } }", ".a{color: red}"),
        (".a { b { color: red; } }", ".a b{color: red}"),
        (".a { > b, &:hover { color: red; } }", ".a > b,.a:hover{color: red}"),
        (".a, .b { c { color: red; } }", ":is(.a, .b) c{color: red}"),
        (".a { x: 1; b { y: 2; } z: 3; }", ".a{x: 1}\n.a b{y: 2}\n.a{z: 3}"),
        (".a { b { c { y: 2; } } }", ".a b c{y: 2}"),
        (".a b { .c & { y: 2; } }", ".c :is(.a b){y: 2}"),
        (":is(a, b) { &.c { y: 2; } }", ":is(a, b).c{y: 2}"),
        (".a { @media print { b { y: 2; } x: 1; } }", "@media print{.a b{y: 2}\n.a{x: 1}}"),
        ("@media (width < 44rem) { .a { x: 1; } }", "@media (max-width:43.999rem){.a{x: 1}}"),
        ("@media (width >= 44rem), print { .a { x: 1; } }", "@media (min-width:44rem), print{.a{x: 1}}"),
        ("@layer a, b;\n@layer a { .a { x: 1; } }", "@layer a, b;\n@layer a{.a{x: 1}}"),
        ('.a::after { content: "a { b; }"; }', '.a::after{content: "a { b; }"}'),
        (".a { background: url(x;y) 0 0 / 1px, b(c(d), e); }", ".a{background: url(x;y) 0 0 / 1px, b(c(d), e)}"),
        ("@keyframes k { from { x: 1; y: 2; } to { x: 2; } }", "@keyframes k{from{x: 1;y: 2}to{x: 2}}"),
        ("/* a { */ .a { x: 1; /* } */ }", ".a{x: 1}"),
        (".a { --dark: ; --light: initial; }", ".a{--dark: ;--light: initial}"),
    ],
)
def test_nested_rules_are_unfolded(nested: str, flat: str) -> None:
    assert flatten(nested) == flat


@pytest.mark.parametrize("broken", [".a { x: 1;", ".a { x: 1; } }", ".a { x: calc(1; }"])
def test_a_missing_brace_is_no_stylesheet(broken: str) -> None:
    with pytest.raises(ValueError, match=r"closed|closing"):
        flatten(broken)


def test_nothing_is_served_that_a_browser_of_2022_would_drop(app: Flask) -> None:
    css = Browser(app).get("/static/tallystick.css").text
    for newer in ("&", "light-dark(", "width <", "width >", "color-mix(", "oklch(", "@scope"):
        assert newer not in css, newer
    assert css.count("{") == css.count("}")


def test_a_selector_that_older_browsers_do_not_know_takes_no_other_along(app: Flask) -> None:
    """A list with one unknown selector is dropped as a whole; alone it only loses an ornament."""
    css = Browser(app).get("/static/tallystick.css").text
    for selector in re.findall(r"[^{};]*(?::has|:dir)\([^{}]*(?=\{)", css):
        assert "," not in selector, selector


def test_rules_stand_one_by_one(app: Flask) -> None:
    """Within @media and @layer there are rules, within rules there are none."""
    css = re.sub(r'"[^"]*"', '""', Browser(app).get("/static/tallystick.css").text)
    open_rules: list[str] = []
    for prelude, brace in re.findall(r"([^{};]*)([{};])", css):
        if brace == "{":
            assert not open_rules or open_rules[-1].startswith(("@media", "@layer", "@supports", "@keyframes")), prelude
            open_rules.append(prelude.strip())
        elif brace == "}":
            open_rules.pop()


def test_there_are_two_weights_and_segoe_ui_has_both(app: Flask) -> None:
    """Windows shows 500 as 400, and what was to stand out would not."""
    css = Browser(app).get("/static/tallystick.css").text
    assert set(re.findall(r"font(?:-weight)?:\s*(\d{3})(?!%)\b", css)) == {"400", "600"}


def test_a_subgrid_is_a_grid_for_those_who_know_none(app: Flask) -> None:
    """A browser drops the one declaration, and the rows are then as high as what is in them."""
    css = Browser(app).get("/static/tallystick.css").text
    for rule in re.findall(r"[^{}]*\{[^{}]*subgrid[^{}]*\}", css):
        assert "grid-row: span" in rule, rule


def test_the_hue_of_a_brand_comes_last_and_that_of_ours_not_at_all() -> None:
    assert join([".a { x: 1; }"], hue=53) == ".a{x: 1}"
    blue = join([".a { x: 1; }"], hue=250)
    assert blue.index(".a{x: 1}") < blue.index(f"--wood-1: var(--light, {palette(250)['wood-1'][0]})")
