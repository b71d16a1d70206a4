"""Draw static/img/favicon.ico, the icons for telephones and share.png: `python -m docs.brand`.

The sources are static/img/favicon.svg and share.html beside this file. Needs Chromium; pages need none of it.
"""

import shutil
import struct
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
IMAGES = HERE.parents[1] / "static" / "img"


def draw(page: Page, html: str, *, width: int, height: int, see_through: bool = False) -> bytes:
    """The PNG of an HTML text at that size."""
    page.set_viewport_size({"width": width, "height": height})
    page.set_content(html)
    return page.screenshot(omit_background=see_through)


def mark(size: int, *, margin: int, ground: str = "transparent") -> str:
    """Our mark on a square, as a page."""
    svg = (IMAGES / "favicon.svg").read_text("utf-8")
    inner = size - 2 * margin
    style = f"body{{margin:{margin}px;background:{ground}}}svg{{display:block;width:{inner}px;height:{inner}px}}"
    return f"<!doctype html><style>{style}</style>{svg}"


def ico(pictures: dict[int, bytes]) -> bytes:
    """An .ico file of PNGs, by their width."""
    head = struct.pack("<HHH", 0, 1, len(pictures))
    place = len(head) + 16 * len(pictures)
    entries = b""
    for size, picture in pictures.items():
        entries += struct.pack("<BBBBHHII", size, size, 0, 0, 1, 32, len(picture), place)
        place += len(picture)
    return head + entries + b"".join(pictures.values())


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("No Chromium on the PATH (Debian: apt install chromium).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(color_scheme="light")
        small = {
            size: draw(page, mark(size, margin=0), width=size, height=size, see_through=True) for size in (16, 32, 48)
        }
        (IMAGES / "favicon.ico").write_bytes(ico(small))
        for name, size in (("apple-touch-icon", 180), ("icon-512", 512)):
            html = mark(size, margin=size // 6, ground="#fff")
            (IMAGES / f"{name}.png").write_bytes(draw(page, html, width=size, height=size))
        html = (HERE / "share.html").read_text("utf-8")
        (IMAGES / "share.png").write_bytes(draw(page, html, width=1200, height=630))
        browser.close()


if __name__ == "__main__":
    main()
