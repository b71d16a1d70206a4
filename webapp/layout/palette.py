"""The colours of credits for any hue, each as light as its copper original.

Colour means credits; all else is ink on paper. A brand chooses the hue only. A tint of another hue gets the relative
luminance (WCAG 2.2) of the original, and so the contrast of each pair stays what it was; its chroma is as much of the
original's as sRGB has at that hue. The arithmetic is OKLCH (Björn Ottosson, https://bottosson.github.io/posts/oklab/).

It is done here and not by oklch() in the stylesheet: browsers bring a colour that sRGB does not have back into it in
different ways, some by clipping, which moves the luminance; mails and icons know no oklch() at all.
"""

import math
import re
from functools import cache

from webapp.config import COPPER_HUE

COPPER = COPPER_HUE  # our own brand, for which nothing is computed

# token: (in the light theme, in the dark theme). The same stick by day and by night.
TINTS: dict[str, tuple[str, str]] = {
    "wood-1": ("#c9691c", "#cd702a"),
    "wood-2": ("#e19c55", "#d29455"),
    "wood-3": ("#eec58f", "#d4b07d"),
    "wood-4": ("#f7e5c8", "#dac8a6"),
    "on-wood": ("#150e07", "#150e07"),
    "credit": ("#92470a", "#eda25e"),
}

_Channels = tuple[float, float, float]


@cache
def palette(hue: int) -> dict[str, tuple[str, str]]:
    """The tints in `hue` (degrees of OKLCH, 0 to 360), in the light and the dark theme."""
    if hue % 360 == COPPER:
        return TINTS
    return {name: (in_hue(light, hue), in_hue(dark, hue)) for name, (light, dark) in TINTS.items()}


@cache
def in_hue(original: str, hue: int) -> str:
    """`original` (#rrggbb) turned to `hue`, as light to the eye as it was."""
    wanted = luminance(original)
    low, high = 0.0, 1.0
    for _ in range(24):
        middle = (low + high) / 2
        if _luminance(_fitting(middle, _chroma(original), hue)) < wanted:
            low = middle
        else:
            high = middle
    return _hex(_fitting(high, _chroma(original), hue))


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2), from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of #rrggbb, from 0 to 1 (WCAG 2.2)."""
    return _luminance(_linear(colour))


def _luminance(linear: _Channels) -> float:
    red, green, blue = (min(max(channel, 0.0), 1.0) for channel in linear)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _chroma(colour: str) -> float:
    red, green, blue = _linear(colour)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return math.hypot(a, b)


def _fitting(lightness: float, chroma: float, hue: int) -> _Channels:
    """Linear sRGB of that colour, with so much less chroma that sRGB has it."""
    if _is_in_gamut(full := _from_oklch(lightness, chroma, hue)):
        return full
    low, high = 0.0, chroma
    for _ in range(16):
        middle = (low + high) / 2
        if _is_in_gamut(_from_oklch(lightness, middle, hue)):
            low = middle
        else:
            high = middle
    return _from_oklch(lightness, low, hue)


def _is_in_gamut(linear: _Channels) -> bool:
    return all(-1e-4 <= channel <= 1.0001 for channel in linear)


def _from_oklch(lightness: float, chroma: float, hue: int) -> _Channels:
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _linear(colour: str) -> _Channels:
    digits = re.fullmatch(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", colour)
    if digits is None:
        raise ValueError(f"{colour!r} is not written as #rrggbb")
    red, green, blue = (int(pair, 16) / 255 for pair in digits.groups())
    return _decode(red), _decode(green), _decode(blue)


def _decode(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)


def _hex(linear: _Channels) -> str:
    encoded = (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in (max(c, 0.0) for c in linear))
    return "#" + "".join(f"{round(min(channel, 1.0) * 255):02x}" for channel in encoded)
