"""`make screenshots`: starts a demo of its own, drives Chromium through it, and writes the pictures of this folder."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.instance import Instance

FOLDER = Path(__file__).parent
MOST_BYTES = 250_000
ADA, PASSWORD = "ada@example.com", "tallystick-demo"
DEMO_KEY = "tsk_sandbox_demo"
# What Ada's first grant has left is 242, so that two grants pay for this.
IMAGES = 41


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture: `path` in a window of that size, whole page or first screen."""

    name: str
    path: str
    width: int = 1280
    height: int = 800
    whole: bool = False
    theme: str = "light"
    locale: str = "en-GB"
    signed_in: bool = True


SHOTS = (
    Shot(name="pricing", path="/pricing", height=1000, signed_in=False),
    Shot(name="pricing-arabic", path="/ar/pricing", height=1000, signed_in=False, locale="ar"),
    Shot(name="credits", path="/credits", height=900),
    Shot(name="credits-dark", path="/credits", height=900, theme="dark"),
    Shot(name="credits-phone", path="/credits", width=390, height=844),
    Shot(name="history", path="/credits/history", height=1000),
)
WHY = Shot(name="why", path="", height=900)


def main() -> int:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.stderr.write("There is no Chromium on the PATH (Debian: apt install chromium).\n")
        return 1
    with _demo() as instance, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for shot in SHOTS:
            _take(browser, instance, shot)
        _take(browser, instance, WHY, before=_charge)
        browser.close()
    return 0


@contextmanager
def _demo() -> Iterator[Instance]:
    """A whole Tallystick with its demo data, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tallystick-screenshots-", ignore_cleanup_errors=True) as folder:
        instance = Instance(data_dir=Path(folder) / "data")
        try:
            instance.start_and_wait()
            instance.wait_for_banner()
            yield instance
        finally:
            instance.end()


def _take(browser: Browser, instance: Instance, shot: Shot, before: Callable[[Page], str] | None = None) -> None:
    """The picture is in this folder. `before` says what path to show instead of the shot's own."""
    context = browser.new_context(
        base_url=instance.base_url,
        locale=shot.locale,
        color_scheme="dark" if shot.theme == "dark" else "light",
        viewport={"width": shot.width, "height": shot.height},
        device_scale_factor=2 if shot.width < 500 else 1,
        reduced_motion="reduce",
    )
    page = context.new_page()
    if shot.signed_in:
        _log_in(page)
    page.goto(before(page) if before else shot.path)
    page.evaluate("document.fonts.ready")
    path = FOLDER / f"{shot.name}.png"
    page.screenshot(path=path, full_page=shot.whole, animations="disabled", caret="hide")
    _report(path)
    _close(context)


def _log_in(page: Page) -> None:
    page.goto("/log-in")
    page.locator("input[name=email]").fill(ADA)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main form").get_by_role("button").first.click()
    page.wait_for_url("**/credits")


def _charge(page: Page) -> str:
    """The product charges Ada for some images; returns the path of the entry that explains it."""
    account = page.request.get("/credits/history.json").json()["data"][0]["account"]
    answer = page.request.post(
        "/api/v1/spends",
        headers={"Authorization": f"Bearer {DEMO_KEY}", "Idempotency-Key": "screenshot"},
        data={
            "account": account,
            "feature": "image",
            "quantity": IMAGES,
            "reference": "report-1180",
            "metadata": {"size": "1024 × 1024", "style": "woodcut"},
        },
    )
    assert answer.status == 201, answer.text()
    return f"/credits/entries/{answer.json()['seq']}"


def _report(path: Path) -> None:
    size = path.stat().st_size
    sys.stdout.write(f"{path.name:24} {size / 1000:6.0f} kB\n")
    if size > MOST_BYTES:
        raise SystemExit(f"{path.name} is larger than {MOST_BYTES // 1000} kB; a smaller window or scale mends that.")


def _close(context: BrowserContext) -> None:
    for page in context.pages:
        page.goto("about:blank")  # ends its polling, so that the demo stops at once
    context.close()


if __name__ == "__main__":
    sys.exit(main())
