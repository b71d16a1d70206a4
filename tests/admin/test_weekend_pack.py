"""The walk of docs/translator.md: a package made on a page, its French name typed, and French readers see it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.admin.test_translations import folder, hand_in
from tests.credits.member import Member
from webapp.i18n import files

__all__ = ["folder"]

REMARK = "#. Name of a package on pricing, receipts and in the history (weekend)"
ENTRY = f'{REMARK}\nmsgctxt "package name"\nmsgid "Weekend pack"\n'
FRENCH = "Formule week-end"


@pytest.fixture(autouse=True)
def names_of_the_shop_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands are about this domain only: the other one is ten times as long, and nothing of it changes."""
    for module in ("webapp.i18n.files", "webapp.commands.translations"):
        monkeypatch.setattr(f"{module}.DOMAINS", ("content",))


@pytest.fixture
def owner(shop: Flask, person: Callable[..., Member]) -> Iterator[Member]:
    """Somebody who has made the package "Weekend pack"; it is taken off sale afterwards."""
    owner = person("owner")
    fields = {"code": "weekend", "name": "Weekend pack", "credits": "300", "price_EUR": "5.90", "active": "1"}
    owner.post("/admin/packages/new", {**fields, "valid_in": "months", "who_may_buy": "everyone"})
    owner.post("/admin/packages/weekend/sale", {"active": "1"}, form="/admin/packages")
    yield owner
    owner.post("/admin/packages/weekend/sale", {"active": "0"}, form="/admin/packages")


@pytest.fixture
def production(shop: Flask) -> Iterator[None]:
    """As outside sandbox mode, where compiled files count."""
    shop.config["SANDBOX"] = False
    yield
    shop.config["SANDBOX"] = True


def flask(shop: Flask, *command: str) -> None:
    result = shop.test_cli_runner().invoke(args=["translations", *command])
    assert result.exit_code == 0, result.output


def with_french_name(po: str) -> str:
    assert ENTRY + 'msgstr ""\n' in po
    return po.replace(ENTRY + 'msgstr ""\n', f'{ENTRY}msgstr "{FRENCH}"\n')


def test_a_new_packages_french_name_shows_when_its_file_is_saved(shop: Flask, owner: Member) -> None:
    page = owner.get("/admin/packages/weekend/edit").text
    assert 'href="/admin/translations"' in page
    assert "Collect names" in page
    assert "Français" in page.partition('id="translation"')[2]
    flask(shop, "sync")
    flask(shop, "update")
    path: Path = files.po_path("fr", "content")
    path.write_text(with_french_name(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert FRENCH in owner.get("/fr/pricing").text
    assert "Weekend pack" in owner.get("/de/pricing").text
    told = owner.get("/admin/packages/weekend/edit").text.partition('id="translation"')[2].partition("</section>")[0]
    assert "Deutsch" in told
    assert "Français" not in told


def test_in_production_it_shows_when_the_file_is_handed_in(shop: Flask, owner: Member, production: None) -> None:
    flask(shop, "compile")
    assert "Weekend pack" in owner.get("/fr/pricing").text
    owner.post("/admin/translations/collect", form="/admin/translations")
    away = owner.download("/admin/translations/fr/content.po").data.decode()
    answer = hand_in(owner, with_french_name(away).encode(), tag="fr", domain="content")
    assert answer.status_code == 303
    assert FRENCH in owner.get("/fr/pricing").text
    assert "Weekend pack" in owner.get("/de/pricing").text
