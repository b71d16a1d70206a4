"""Whatever hue a brand has, what is written in its tints or on them can be read as well as in copper."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from webapp.layout.palette import COPPER, TINTS, contrast, luminance, palette

CSS = Path(__file__).resolve().parents[2] / "static" / "css"
HUES = range(0, 360, 5)
LIGHT, DARK = 0, 1


def pages(theme: int) -> list[str]:
    """What text stands on that is no tint: the page, what is raised from it, what is sunk into it."""
    tokens = (CSS / "tokens.css").read_text("utf-8")
    return [value_of(tokens, name)[theme] for name in ("page", "raise", "sunk")]


def value_of(tokens: str, name: str) -> tuple[str, str]:
    found = re.search(rf"--{name}: var\(--light, (#\w+)\) var\(--dark, (#\w+)\);", tokens)
    assert found, name
    light, dark = (full(colour) for colour in found.groups())
    return light, dark


def full(colour: str) -> str:
    return "#" + "".join(2 * digit for digit in colour[1:]) if len(colour) == 4 else colour


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_figures_of_credits_can_be_read_in_every_hue(theme: int) -> None:
    """WCAG 2.2 AA wants 4.5 for text."""
    for hue in HUES:
        credit = palette(hue)["credit"][theme]
        assert min(contrast(credit, page) for page in pages(theme)) >= 4.5, hue


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_what_is_written_on_the_stick_can_be_read_in_every_hue(theme: int) -> None:
    for hue in HUES:
        tints = palette(hue)
        for wood in ("wood-1", "wood-2", "wood-3", "wood-4"):
            assert contrast(tints["on-wood"][theme], tints[wood][theme]) >= 4.5, (hue, wood)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_strongest_tint_stands_out_from_every_page(theme: int) -> None:
    """WCAG 2.2 AA wants 3 for what is drawn: bars, the logo, the mark of a tab."""
    for hue in HUES:
        wood = palette(hue)["wood-1"][theme]
        assert min(contrast(wood, page) for page in pages(theme)) >= 3, hue


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_neighbouring_tints_differ_as_much_as_in_copper(theme: int) -> None:
    for hue in HUES:
        tints = [palette(hue)[f"wood-{place}"][theme] for place in range(1, 5)]
        copper = [TINTS[f"wood-{place}"][theme] for place in range(1, 5)]
        for (one, other), (first, second) in zip(pairwise(tints), pairwise(copper), strict=True):
            assert contrast(one, other) == pytest.approx(contrast(first, second), rel=0.04), hue


def test_every_tint_is_as_light_as_its_original() -> None:
    for hue in HUES:
        for name, originals in TINTS.items():
            for colour, original in zip(palette(hue)[name], originals, strict=True):
                assert luminance(colour) == pytest.approx(luminance(original), abs=0.01), (hue, name)


def test_copper_is_what_the_stylesheet_has() -> None:
    tokens = (CSS / "tokens.css").read_text("utf-8")
    shipped = {name: value_of(tokens, name) for name in TINTS if name != "on-wood"}
    assert palette(COPPER) == {**shipped, "on-wood": TINTS["on-wood"]}
    assert f"--on-wood: {TINTS['on-wood'][0]};" in tokens


def test_contrast_is_that_of_the_guideline() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def test_no_colour_of_credits_stands_outside_of_the_tokens() -> None:
    """A rule of a component that named a tint by itself would stay copper in another brand."""
    colours = {colour for pair in TINTS.values() for colour in pair}
    for path in [CSS / "base.css", *(CSS / "components").glob("*.css")]:
        assert not [colour for colour in colours if colour in path.read_text("utf-8")], path
