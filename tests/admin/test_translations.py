"""The translators' page: what is done, files away and in again, nothing broken taken."""

import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.credits.member import Member
from tests.people.browser import Browser
from webapp.admin import translations
from webapp.database import unit_of_work
from webapp.i18n import catalogs, files, reading

PAGE = "/admin/translations"
GERMAN = b'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n"Language: de\\n"\n\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the catalogs, which the test may change."""
    shutil.copytree(files.FOLDER, tmp_path / "translations", ignore=shutil.ignore_patterns("*.mo"))
    monkeypatch.setattr(files, "FOLDER", tmp_path / "translations")
    monkeypatch.setattr(catalogs, "_LOOK_AGAIN_SECONDS", -1)
    for domain in (catalogs.messages, catalogs.content):
        monkeypatch.setattr(domain, "_loaded", {})
    return tmp_path / "translations"


@pytest.fixture
def translator(person: Callable[..., Member]) -> Member:
    return person("translator")


def hand_in(member: Member, body: bytes, tag: str = "de", domain: str = "messages") -> Any:
    upload = {"catalog": (BytesIO(body), "x.po")}
    return member.post(f"{PAGE}/{tag}/{domain}", upload, form=PAGE, content_type="multipart/form-data")


def test_nobody_without_the_role_learns_that_it_is_there(
    shop: Flask, member: Member, person: Callable[..., Member]
) -> None:
    assert Browser(shop).get(PAGE).status_code == 303
    for one in (member, person("support"), person("finance")):
        assert one.get(PAGE).status_code == 404
        assert one.get(f"{PAGE}/de/messages.po").status_code == 404
        for path in ("de/messages", "collect", "pseudo"):
            assert one.post(f"{PAGE}/{path}", form="/settings").status_code == 404
    for role in ("translator", "owner"):
        assert person(role).get(PAGE).status_code == 200


def test_the_front_of_the_admin_pages_leads_to_what_is_open(member: Member, translator: Member) -> None:
    assert translator.get("/admin").headers["Location"] == PAGE
    assert member.get("/admin").status_code == 404


def test_a_file_taken_away_and_handed_in_shows_at_once(translator: Member, person: Callable[..., Member]) -> None:
    away = translator.download(f"{PAGE}/de/content.po")
    assert "filename=de-content.po" in away.headers["Content-Disposition"]
    body = away.data.replace(b'msgstr "Bild"', 'msgstr "Gemälde"'.encode())
    assert body != away.data
    answer = hand_in(translator, body, domain="content")
    assert answer.status_code == 303
    assert "1 text has changed" in translator.get(PAGE).text
    assert "Gemälde" in person(None, locale="de").get("/pricing").text


def test_a_broken_file_is_refused_with_its_line_in_the_readers_language(person: Callable[..., Member]) -> None:
    before = files.po_path("de", "messages").read_bytes()
    body = GERMAN + b'msgid "Settings"\nmsgstr "<script>alert(1)</script>"\n'
    answer = hand_in(person("translator"), body)
    assert answer.status_code == 422
    assert "Line 5" in answer.text
    assert "&lt;script&gt;" in answer.text
    assert "<script>alert" not in answer.text
    assert files.po_path("de", "messages").read_bytes() == before
    assert "Zeile 5" in hand_in(person("translator", locale="de"), body).text


@pytest.mark.parametrize("path", ["it/messages", "de/secrets", "en/messages", "..%2F..%2Fx/messages", "de/messages.mo"])
def test_other_files_are_not_there(translator: Member, path: str) -> None:
    assert translator.get(f"{PAGE}/{path}.po").status_code == 404
    assert translator.post(f"{PAGE}/{path}", form=PAGE).status_code == 404


def test_no_file_and_far_too_large_a_file_are_said(translator: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    assert translator.post(f"{PAGE}/de/messages", form=PAGE).status_code == 303
    assert "Choose a .po file first." in translator.get(PAGE).text
    monkeypatch.setattr(reading, "MOST_BYTES", 100_000)
    monkeypatch.setattr(translations, "MOST_BYTES", 100_000)
    assert hand_in(translator, b"#\n" * 60_000).status_code == 422
    assert hand_in(translator, b"#\n" * 100_000).status_code == 413


def test_a_new_package_reaches_translators_and_its_translation_the_page(
    shop: Flask, translator: Member, person: Callable[..., Member]
) -> None:
    from webapp.catalog.package import Package

    with shop.app_context(), unit_of_work() as session:
        starter = session.query(Package).filter_by(code="starter").one()
        name, starter.name = starter.name, "Weekend pack"
    try:
        translator.post(f"{PAGE}/collect", form=PAGE)
        body = translator.download(f"{PAGE}/de/content.po").data
        asked = b'msgid "Weekend pack"\nmsgstr "'
        assert asked in body
        german = person(None, locale="de")
        assert "Weekend pack" in german.get("/pricing").text
        before, _, after = body.partition(asked)
        entry = before.rpartition(b"\n\n")[2].replace(b"#, fuzzy\n", b"")
        whole = before.rpartition(b"\n\n")[0] + b"\n\n" + entry + asked + b"Wochenend-Paket"
        hand_in(translator, whole + b'"' + after.partition(b'"')[2], domain="content")
        assert "Wochenend-Paket" in german.get("/pricing").text
    finally:
        with shop.app_context(), unit_of_work() as session:
            session.query(Package).filter_by(code="starter").one().name = name


def test_a_broken_file_stands_in_no_others_way_when_names_are_collected(translator: Member, folder: Path) -> None:
    broken, sound = (folder / tag / "LC_MESSAGES" / "content.po" for tag in ("fr", "ja"))
    broken.write_text(was := 'msgid "Starter\n', encoding="utf-8")
    sound.unlink()
    answer = translator.post(f"{PAGE}/collect", form=PAGE)
    assert answer.status_code == 422
    assert "Line 1" in " ".join(answer.text.replace("<b>", "").split())
    assert broken.read_text(encoding="utf-8") == was
    assert "Starter" in sound.read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_is_said(translator: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("read-only file system")

    monkeypatch.setattr("webapp.i18n.updating.write_whole", refuse)
    assert hand_in(translator, GERMAN).status_code == 303
    assert "cannot be written here" in translator.get(PAGE).text


def test_brackets_are_switched_on_and_off_for_one_browser(translator: Member) -> None:
    translator.post(f"{PAGE}/pseudo", form=PAGE)
    assert "⟦" in translator.get(PAGE).text
    translator.post(f"{PAGE}/pseudo", form=PAGE)
    assert "⟦" not in translator.get(PAGE).text
