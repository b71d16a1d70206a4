"""`make screenshots`: puts every page on a stage of its own, drives Chromium through it, and writes this folder anew.

The pages and the people on them are those of the tests (tests/browser/pages.py). The main ones are shown in four looks,
their other states in one. Pictures have few colours, so that all of them together stay small.
`python -m docs.screenshots usage plan` takes the pictures of these pages only.
"""

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from bench.servers import private_servers
from tests.browser.looking import Window
from tests.browser.pages import ADMIN_PAGES, PAGES, Page
from tests.browser.stage import Stage, cast_demo, open_stage

FOLDER = Path(__file__).parent
GALLERY = FOLDER / "README.md"
MOST_BYTES = 120_000
COLOURS = 96


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a picture is taken; `suffix` ends its name."""

    suffix: str
    title: str
    width: int = 1280
    height: int = 900
    scheme: str = "light"
    tag: str = "en"
    pixels: float = 1


LIGHT = Look(suffix="", title="Light")
LOOKS = (
    LIGHT,
    Look(suffix="-dark", title="Dark", scheme="dark"),
    Look(suffix="-arabic", title="Arabic", tag="ar"),
    Look(suffix="-phone", title="Phone", width=390, height=844, pixels=1.5),
)
MAIN = (
    "landing",
    "pricing",
    "log-in",
    "sign-up",
    "credits",
    "history",
    "why",
    "usage",
    "playground-cost",
    "buy",
    "bought",
    "plan",
    "plan-change",
    "subscribe",
    "settings",
    "security",
    "cards",
    "subscribed",
    "your-data",
    "delete-account",
    "forgot-password",
    "reset-password",
    "confirm-address",
    "portal",
    "error-404",
    "admin-overview",
    "admin-account",
)
# What one has to see of these lies further down.
HEIGHTS = {"usage": 1350, "playground-cost": 1200, "landing": 1100}
# Too much alike to be shown each.
UNSEEN = (
    "pricing-yen",
    "pricing-subscriber",
    "bought-expired",
    "settings-unconfirmed",  # names a folder of the machine that it is taken on
    "error-400",
    "error-403",
    "error-503",
    "why-revoke",
    "portal-gone",
    "frame",  # all but empty: it stands in a page of the product
    "frame-gone",
)
# Of the pages of admins, what shows most of what there is.
OF_ADMINS = (
    "admin-overview",
    "admin-accounts",
    "admin-account",
    "admin-purchase-refund",
    "admin-packages",
    "admin-rate-card-draft",
    "admin-reports",
    "admin-jobs",
    "admin-proof",
    "admin-translations",
)


def pictures_of(page: Page) -> list[Look]:
    """The looks that the page is shown in."""
    if page.name in UNSEEN or (page in ADMIN_PAGES and page.name not in OF_ADMINS):
        return []
    return list(LOOKS) if page.name in MAIN else [LIGHT]


def name_of(page: Page, look: Look) -> str:
    return f"{page.name}{look.suffix}.png"


def main() -> int:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.stderr.write("There is no Chromium on the PATH (Debian: apt install chromium).\n")
        return 1
    wanted = [page for page in PAGES if page.name in sys.argv[1:] or len(sys.argv) == 1]
    with _stage() as stage, sync_playwright() as playwright, tempfile.TemporaryDirectory() as made:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for look in LOOKS:  # one language after the other: everybody on the stage speaks the same
            for page in wanted:
                if look in pictures_of(page):
                    _take(browser, stage, page, look, Path(made))
        browser.close()
        _replace(Path(made), everything=wanted == list(PAGES))
    GALLERY.write_text(gallery(), encoding="utf-8")
    total = sum(path.stat().st_size for path in FOLDER.glob("*.png"))
    sys.stdout.write(f"{total / 1e6:.1f} MB\n")
    return 0


@contextmanager
def _stage() -> Iterator[Stage]:
    with private_servers() as servers:
        with open_stage(
            database_url=servers.database_url,
            owner_url=servers.owner_url,
            redis_url=servers.redis_url,
            data_dir=str(servers.data_dir),
        ) as stage:
            cast_demo(stage)
            yield stage


def _take(browser: Browser, stage: Stage, page: Page, look: Look, folder: Path) -> None:
    """The picture is in `folder`."""
    window = Window.open(browser, stage, who=page.who, tag=look.tag, device_scale_factor=look.pixels)
    height = look.height if look.width < LIGHT.width else HEIGHTS.get(page.name, look.height)
    tab = window.show(page, width=look.width, height=height, scheme=look.scheme)
    tab.evaluate("document.fonts.ready")
    tab.evaluate("scrollTo(0, 0); document.activeElement.blur()")
    taken = tab.screenshot(animations="disabled", caret="hide")
    window.put_away()  # ends its polling, so that the stage comes down at once
    window.context.close()
    path = folder / name_of(page, look)
    few = Image.open(io.BytesIO(taken)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    size = path.stat().st_size
    sys.stdout.write(f"{path.name:36} {size / 1000:6.0f} kB\n")
    if size > MOST_BYTES:
        raise SystemExit(f"{path.name} is larger than {MOST_BYTES // 1000} kB; a smaller window or scale mends that.")


def _replace(folder: Path, *, everything: bool) -> None:
    for old in FOLDER.glob("*.png") if everything else ():
        old.unlink()
    for new in folder.glob("*.png"):
        shutil.copy(new, FOLDER)


def gallery() -> str:
    """The pages as a table of pictures."""
    lines = [
        "# Every page",
        "",
        "Made by `make screenshots`. First the main pages in light, dark, Arabic and on a phone, then other states.",
        "",
        "| " + " | ".join(look.title for look in LOOKS) + " |",
        "| --- | --- | --- | --- |",
    ]
    main = [page for page in PAGES if len(pictures_of(page)) > 1]
    for page in sorted(main, key=lambda page: MAIN.index(page.name)):
        lines.append("| " + " | ".join(_picture(page, look) for look in LOOKS) + " |")
    states = [page for page in PAGES if pictures_of(page) == [LIGHT]]
    lines += ["", "| | | | |", "| --- | --- | --- | --- |"]
    for start in range(0, len(states), 4):
        cells = [_picture(page, LIGHT) for page in states[start : start + 4]]
        lines.append("| " + " | ".join(cells + [""] * (4 - len(cells))) + " |")
    return "\n".join(lines) + "\n"


def _picture(page: Page, look: Look) -> str:
    words = page.name.replace("-", " ") + (f", {look.title.lower()}" if look is not LIGHT else "")
    return f"![{words}]({name_of(page, look)})"


if __name__ == "__main__":
    sys.exit(main())
