"""Whose pages these are: the operator's name, mark and hue, in place of ours."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

from flask import Flask

from webapp.config import OUR_NAME, Settings
from webapp.layout.palette import COPPER, palette

# Static names that no file of ours has; webapp.layout.assets asks here for what they hold.
MARK = "brand/mark.svg"
LOGO = "brand/logo"


@dataclass(frozen=True, kw_only=True)
class Brand:
    """What templates know of it. `logo` is the name of a static file; `is_ours` while nothing was set."""

    name: str
    hue: int
    logo: str | None

    @property
    def is_ours(self) -> bool:
        return self.name == OUR_NAME and self.logo is None

    @property
    def has_our_icons(self) -> bool:
        """Icons and pictures that were drawn beforehand show our mark in copper."""
        return self.is_ours and self.hue == COPPER

    @property
    def initial(self) -> str:
        return self.name[0].upper()

    @property
    def credit(self) -> str:
        """The colour of figures of credits, for mails, which know no tokens."""
        return palette(self.hue)["credit"][0]

    @property
    def credit_in_the_dark(self) -> str:
        return palette(self.hue)["credit"][1]


def register(app: Flask) -> None:
    """Let every template, a mail's too, say `brand`."""
    app.jinja_env.globals["brand"] = brand_of(app.config["SETTINGS"])


def brand_of(settings: Settings) -> Brand:
    logo = LOGO + settings.brand_logo.suffix.lower() if settings.brand_logo else None
    return Brand(name=settings.brand_name, hue=settings.brand_hue % 360, logo=logo)


def file_of(settings: Settings, name: str) -> Path | None:
    """The file of the operator's that a static name stands for."""
    if settings.brand_logo and name == brand_of(settings).logo:
        return settings.brand_logo
    return None


def mark_of(settings: Settings, ours: str) -> str:
    """The icon of a browser's tab as SVG: our mark (`ours`) in the hue, or the initial on a piece of notched stick."""
    brand = brand_of(settings)
    light, dark = palette(brand.hue)["wood-1"]
    if brand.is_ours:
        return ours.replace("#c9691c", light).replace("#e08a42", palette(brand.hue)["wood-2"][1])
    ink = palette(brand.hue)["on-wood"][0]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f"<style>.a{{fill:{light}}}@media(prefers-color-scheme:dark){{.a{{fill:{dark}}}}}</style>"
        '<path class="a" d="M1 1h11l4 4 4-4h11v30H20l-4-4-4 4H1z"/>'
        f'<text x="16" y="22" text-anchor="middle" font-family="system-ui,sans-serif" font-size="18" font-weight="600"'
        f' fill="{ink}">{escape(brand.initial)}</text></svg>'
    )
