"""What the README says about starting, about Stripe, and its pictures."""

import re

import pytest

from docs.screenshots.__main__ import FOLDER, MOST_BYTES, name_of, pictures_of
from tests.browser.pages import PAGES
from tests.docs.pages import DOCUMENTS, ROOT, links_of
from webapp.config import Settings, UnsafeSettings
from webapp.embedded.banner import banner

README = (ROOT / "README.md").read_text("utf-8")
RANDOM = "x" * 32
VALUES = {"STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRET": "whsec_1", "SECRET_KEY": RANDOM}
MORE_FOR_LIVE = {
    "BASE_URL": "https://credits.example.com",
    "DATABASE_URL": "postgresql://tallystick_app@db/tallystick",
    "LEDGER_SEAL_KEY": RANDOM,
}


def about_stripe() -> str:
    return README.split("## Switching to real Stripe")[1].split("\n## ")[0]


def test_the_variables_for_stripe_are_those_that_are_named() -> None:
    assert set(re.findall(r"^ {4}([A-Z_]+)=", about_stripe(), re.MULTILINE)) == set(VALUES)
    assert not Settings.from_environment(VALUES).sandbox


@pytest.mark.parametrize("missing", sorted(VALUES.keys() - {"STRIPE_SECRET_KEY"}))
def test_each_variable_for_stripe_is_needed(missing: str) -> None:
    with pytest.raises(UnsafeSettings, match=missing):
        Settings.from_environment({name: value for name, value in VALUES.items() if name != missing})


@pytest.mark.parametrize("missing", sorted(MORE_FOR_LIVE))
def test_a_live_key_asks_for_what_the_readme_names(missing: str) -> None:
    assert f"`{missing}`" in about_stripe()
    live = VALUES | MORE_FOR_LIVE | {"STRIPE_SECRET_KEY": "sk_live_1"}
    assert not Settings.from_environment(live).sandbox
    with pytest.raises(UnsafeSettings, match=missing):
        Settings.from_environment({name: value for name, value in live.items() if name != missing})


def test_the_readme_shows_what_make_run_prints() -> None:
    printed = banner(Settings.from_environment({}), seconds=1).splitlines()
    shown = [line.split() for line in README.splitlines()]
    for line in printed:
        if line.strip() and not line.strip().startswith(("Data", "Ready")):
            assert line.split() in shown, line


def test_every_picture_is_made_by_the_script_small_and_shown_somewhere() -> None:
    pictures = {path.name: path.stat().st_size for path in FOLDER.glob("*.png")}
    assert set(pictures) <= {name_of(page, look) for page in PAGES for look in pictures_of(page)}
    assert max(pictures.values()) < MOST_BYTES
    assert sum(pictures.values()) < 6_000_000
    shown = {link.rpartition("/")[2] for document in DOCUMENTS for link in links_of(document) if link.endswith(".png")}
    assert shown == set(pictures)
