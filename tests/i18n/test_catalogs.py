"""The gates: what is marked is in the templates, what is shipped is whole, and nothing in it is broken."""

import re
from gettext import c2py

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from flask import Flask

from webapp.config import SHIPPED_LOCALES
from webapp.i18n import checking, extraction, files, updating
from webapp.i18n.faults import faults_of_message
from webapp.i18n.files import DOMAINS, FOLDER
from webapp.i18n.locale import babel_name

TRANSLATED = [(babel_name(tag), domain) for tag in SHIPPED_LOCALES if tag != "en" for domain in DOMAINS]


def test_extraction_equals_the_committed_template() -> None:
    """When this fails: flask translations extract, then update, then translate what is new."""
    fresh = extraction.template_text(extraction.extract_messages())
    assert fresh == (FOLDER / "messages.pot").read_text(encoding="utf-8")


def test_shipped_catalog_equals_the_committed_template() -> None:
    """When this fails: flask translations sync --shipped-only, then update, then translate what is new."""
    fresh = extraction.template_text(extraction.collect_content(None))
    assert fresh == (FOLDER / "content.pot").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "domain"), TRANSLATED)
def test_every_shipped_language_is_whole(name: str, domain: str) -> None:
    figures = checking.coverage(name, domain)
    missing = [
        message.id
        for message in checking.read_locale(name, domain)
        if message.id and not all([message.string] if isinstance(message.string, str) else message.string)
    ]
    assert figures.whole, missing
    assert figures.texts == sum(bool(m.id) for m in template(domain))


@pytest.mark.parametrize(("name", "domain"), TRANSLATED)
def test_no_translation_breaks_its_page(name: str, domain: str) -> None:
    assert checking.problems(name, domain) == []


def test_arabic_has_its_six_plural_forms() -> None:
    plurals = [m for m in checking.read_locale("ar", "messages") if isinstance(m.id, tuple)]
    assert plurals
    assert all(len(m.string) == 6 for m in plurals)


def test_no_name_of_an_author_or_a_date_stands_in_the_files() -> None:
    for path in FOLDER.rglob("*.po*"):
        assert not re.search(r"Creation-Date|Revision-Date|Last-Translator", path.read_text(encoding="utf-8")), path


def template(domain: str) -> Catalog:
    from babel.messages.pofile import read_po

    with (FOLDER / f"{domain}.pot").open("rb") as file:
        return read_po(file)


@pytest.mark.parametrize(
    ("source", "translation", "word"),
    [
        ("Hello %(name)s", "Hallo", "placeholders"),
        ("Hello %(name)s", "Hallo %(nam)s", "placeholders"),
        ("Hello", "Hallo %(name)s", "placeholders"),
        ("Hello %(name)s", "Hallo %(name)s 100 %", "placeholders"),
        ("a <b>word</b>", "ein <b>Wort", "tags"),
        ("a word", "ein <script>Wort</script>", "tags"),
        ("a word", "ein Wort<script src=//evil.example/x ", "tags"),
        ("a word", "ein Wort<!--", "tags"),
        ("a word", 'ein Wort" hx-trigger="load', "tags"),
        ('a <a href="%(url)s">word</a>', 'ein <a href="https://evil.example">Wort</a>', "tags"),
        ("a word", "100 % Wort", "placeholders"),
        ("a word", "Wort %(name)r", "placeholders"),
        ("a word", "ein \u202etroW", "unseen"),
        ("Hello", "Hallo ", "space"),
        (("%(num)s day", "%(num)s days"), ("%(num)s Tag", "%(n)s Tage"), "placeholders"),
    ],
)
def test_broken_translations_are_found(source: object, translation: object, word: str) -> None:
    catalog = Catalog(locale="de")
    message = catalog.add(source, translation)
    found = faults_of_message(message, catalog, True)
    assert any(word in fault.what for fault in found), found


def test_a_plural_form_may_spell_its_number() -> None:
    catalog = Catalog(locale="de")
    message = catalog.add(("%(num)s credit", "%(num)s credits"), ("ein Guthabenpunkt", "%(num)s Punkte"))
    assert faults_of_message(message, catalog, True) == []


def test_update_keeps_what_is_translated(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (FOLDER / "de" / "LC_MESSAGES" / "messages.po").read_text(encoding="utf-8")
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    for source in FOLDER.rglob("*.po*"):
        target = tmp_path / source.relative_to(FOLDER)  # type: ignore[operator]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    path = updating.update_locale("de", "messages")
    assert path.read_text(encoding="utf-8") == before


def test_commands_run(app: Flask) -> None:
    runner = app.test_cli_runner()
    for command in ("check", "coverage --fail-under 100"):
        result = runner.invoke(args=["translations", *command.split()])
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("domain", DOMAINS)
def test_arabic_numbers_take_the_form_that_their_order_says(domain: str) -> None:
    """Zero, one, two, few, many, other, as CLDR has them; Babel’s own header has the last two the other way round."""
    with files.po_path("ar", domain).open("rb") as file:
        header = read_po(file, locale="ar", domain=domain).mime_headers
    rule = c2py(dict(header)["Plural-Forms"].split("plural=", 1)[1].rstrip(";"))
    assert [rule(n) for n in (0, 1, 2, 3, 10, 11, 99, 100, 101, 102, 103)] == [0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 3]
