"""Names from the database: translated, escaped, never formatted."""

from pathlib import Path

import pytest
from flask import Flask, render_template_string

from webapp.i18n import catalogs, files
from webapp.i18n.content import translate
from webapp.i18n.locale import use_locale

HOSTILE = [
    "100 % pure",
    "%s %(name)s %d",
    "<b>bold</b>",
    "\"quotes'",
    "{{ 7 * 7 }}",
    "%",
    "مرحبا",
    "\x00",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_and_nothing_else(app: Flask, name: str) -> None:
    with app.test_request_context("/"):
        html = render_template_string('{{ content("package", "x", name) }}', name=name)
    assert "<b>" not in html
    assert html.replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"').replace("&#39;", "'") == name


def test_a_name_turns_the_direction_of_nothing_around_it(app: Flask) -> None:
    with app.app_context(), use_locale("ar"):
        assert translate("package", "x", "\u202eevil\u2066") == "evil"


def test_an_empty_name_is_empty_and_not_the_catalogs_header(app: Flask) -> None:
    with app.app_context(), use_locale("de"):
        assert translate("package", "x", "") == ""
        assert translate("package", "x", None) == ""


@pytest.mark.parametrize(
    ("tag", "kind", "text", "expected"),
    [
        ("de", "package", "Enterprise", "Unternehmen"),
        ("de", "feature", "Image", "Bild"),
        ("en", "feature", "Image", "Image"),
    ],
)
def test_shipped_names_are_translated(app: Flask, tag: str, kind: str, text: str, expected: str) -> None:
    with app.app_context(), use_locale(tag):
        assert translate(kind, "x", text) == expected


def test_what_a_translator_writes_is_escaped_too(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_po(tmp_path, 'msgctxt "package name"\nmsgid "Starter"\nmsgstr "<i>%s</i>"\n')
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    monkeypatch.setattr(catalogs.content, "_loaded", {})
    with app.test_request_context("/", headers={"Accept-Language": "de"}):
        assert render_template_string('{{ content("package", "s", "Starter") }}') == "&lt;i&gt;%s&lt;/i&gt;"


def test_a_saved_po_shows_without_a_restart(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    monkeypatch.setattr(catalogs, "_LOOK_AGAIN_SECONDS", -1)
    monkeypatch.setattr(catalogs.content, "_loaded", {})
    with app.app_context(), use_locale("de"):
        assert translate("package", "s", "Starter") == "Starter"
        write_po(tmp_path, 'msgctxt "package name"\nmsgid "Starter"\nmsgstr "Anfang"\n')
        assert translate("package", "s", "Starter") == "Anfang"
        write_po(tmp_path, 'msgctxt "package name"\nmsgid "Starter"\nmsgstr "Beginn"\n', later=10)
        assert translate("package", "s", "Starter") == "Beginn"


def write_po(folder: Path, body: str, *, later: int = 0) -> None:
    import os
    import time

    path = folder / "de" / "LC_MESSAGES" / "content.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    path.write_text(header + body, encoding="utf-8")
    os.utime(path, (time.time() + later, time.time() + later))
