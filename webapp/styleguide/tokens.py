"""The tokens as the stylesheet has them, so that the page about them cannot lag behind."""

import re
from dataclasses import dataclass
from pathlib import Path

from webapp.layout.palette import contrast, palette

_COLOUR = re.compile(r"--([\w-]+): (?:var\(--light, (#\w+)\) var\(--dark, (#\w+)\)|(#\w+));")
_LENGTH = re.compile(r"--((?:t-|s\d|gutter|r\b)[\w-]*): ([^;]+);")


@dataclass(frozen=True, kw_only=True)
class Colour:
    """A token of two colours, and how each stands out from its theme's page (WCAG 2.2)."""

    name: str
    light: str
    dark: str
    light_contrast: float
    dark_contrast: float


def colours(css: str, *, hue: int) -> list[Colour]:
    """The colours that `css` (tokens.css) declares, those of credits in `hue`."""
    pairs = {name: (light or both, dark or both) for name, light, dark, both in _COLOUR.findall(css)}
    pairs = {name: (_full(light), _full(dark)) for name, (light, dark) in pairs.items()}
    pairs |= palette(hue)
    page = pairs["page"]
    return [
        Colour(
            name=name,
            light=light,
            dark=dark,
            light_contrast=round(contrast(light, page[0]), 1),
            dark_contrast=round(contrast(dark, page[1]), 1),
        )
        for name, (light, dark) in pairs.items()
        if len(light) == len(dark) == 7
    ]


def lengths(css: str) -> list[tuple[str, str]]:
    """(token, value) of the type scale, the spacing and the radius."""
    return _LENGTH.findall(css)


def tokens_css(static_folder: str | None) -> str:
    return (Path(static_folder or "") / "css" / "tokens.css").read_text("utf-8")


def _full(colour: str) -> str:
    return "#" + "".join(2 * digit for digit in colour[1:]) if len(colour) == 4 else colour
