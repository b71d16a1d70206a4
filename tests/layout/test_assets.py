"""Static files: hashed, immutable, compressed, and few."""

import gzip
import re
from pathlib import Path

import pytest
from flask import Flask

from tests.people.browser import Browser
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work

ROOT = Path(__file__).resolve().parents[2]


def assets_of(html: str) -> list[str]:
    return re.findall(r'(?:href|src)="(/static/[^"]+)"', html)


def loaded_at_first(html: str) -> list[str]:
    """Without the icon for a telephone's first screen, and the one that a browser takes only where it knows no SVG."""
    late = re.findall(r'<link rel="(?:apple-touch-)?icon" href="([^"]+\.(?:png|ico)[^"]*)"', html)
    assert len(late) == 2
    return [url for url in assets_of(html) if url not in late]


def test_files_of_a_page_are_immutable_under_their_hash(app: Flask) -> None:
    browser = Browser(app)
    found = assets_of(browser.get("/log-in").text)
    assert len(found) == 8
    for url in found:
        response = browser.get(url)
        assert response.status_code == 200, url
        assert "immutable" in response.headers["Cache-Control"]
        stale = browser.get(url.split("?")[0] + "?v=0")
        assert stale.headers["Cache-Control"] == "no-cache"


def test_first_load_weighs_at_most_60_kilobytes(fresh_app: Flask) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    browser = Browser(fresh_app)
    for page in ("/log-in", "/pricing"):
        html = browser.get(page)
        weight = len(html.data)
        for url in loaded_at_first(html.text):
            response = browser.get(url, headers={"Accept-Encoding": "gzip"})
            weight += len(response.data)
        assert weight <= 60 * 1024, (page, weight)


def test_compressed_and_plain_are_the_same_file(app: Flask) -> None:
    browser = Browser(app)
    url = "/static/tallystick.css"
    plain = browser.get(url)
    packed = browser.get(url, headers={"Accept-Encoding": "gzip, br"})
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert browser.get(url, headers={"Accept-Encoding": "gzip;q=0"}).data == plain.data
    again = browser.get(url, headers={"If-None-Match": plain.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "../pyproject.toml",
        "..%2fpyproject.toml",
        "%00",
        "css",
        "css/",
        "nope.css",
        "js/../../pyproject.toml",
        "x" * 300,
    ],
)
def test_nothing_outside_the_folder_is_served(app: Flask, path: str) -> None:
    assert Browser(app).get(f"/static/{path}").status_code in (404, 308)


def test_own_scripts_are_small_and_vendored_files_are_what_they_say() -> None:
    import hashlib

    assert sum(len(gzip.compress(path.read_bytes())) for path in (ROOT / "static/js").glob("*.js")) <= 4096
    for line in (ROOT / "static/vendor/VERSIONS").read_text().splitlines():
        if ".js " in line:
            name, *_rest, digest = line.split()
            assert hashlib.sha256((ROOT / "static/vendor" / name).read_bytes()).hexdigest() == digest


def test_no_template_has_inline_script_or_style() -> None:
    """Mails may have styles of their own, and must: what reads them fetches no sheet, and no policy of ours applies."""
    for path in (ROOT / "templates").rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert not re.search(r"\son[a-z]+=|<script(?![^>]* src=)|javascript:|hx-on|js:", html), path
        assert "mail" in path.relative_to(ROOT / "templates").parts or not re.search(r"<style|\sstyle=", html), path


def test_styles_know_no_left_and_right() -> None:
    """Logical properties only: the same rules serve both reading directions."""
    physical = re.compile(r"(?<![\w-])(margin|padding|border|inset)?-?(left|right)\s*:", re.I)
    for path in (ROOT / "static/css").rglob("*.css"):
        assert not physical.search(path.read_text(encoding="utf-8")), path
