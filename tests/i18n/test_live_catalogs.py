"""Files that change while the site runs: sound ones show at once, broken ones never do."""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from flask import Flask, render_template_string
from flask_babel import gettext, ngettext
from structlog.testing import capture_logs

from webapp.i18n import catalogs, compiling, files, reading, updating
from webapp.i18n.checking import read_locale
from webapp.i18n.locale import use_locale

HEADER = (
    'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
)
SOUND = 'msgid "Hello %(name)s"\nmsgstr "Hallo %(name)s"\n\nmsgid "Bye"\nmsgstr "Tschüss"\n'
Speak = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of catalogs of this test, looked at anew by each request."""
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    monkeypatch.setattr(catalogs, "_LOOK_AGAIN_SECONDS", -1)
    for domain in (catalogs.messages, catalogs.content):
        monkeypatch.setattr(domain, "_loaded", {})
    return tmp_path


@pytest.fixture
def in_german(app: Flask) -> Speak:
    @contextmanager
    def speak() -> Iterator[None]:
        with app.test_request_context("/"), use_locale("de"):
            yield

    return speak


@contextmanager
def in_production(app: Flask) -> Iterator[None]:
    """As outside sandbox mode, where compiled files count."""
    app.config["SANDBOX"] = False
    try:
        yield
    finally:
        app.config["SANDBOX"] = True


_saved = iter(range(1, 1_000))


def save(body: str | bytes, *, name: str = "de", domain: str = "messages") -> Path:
    """The .po holds the body under a header; its time is later than that of anything saved before."""
    data = body if isinstance(body, bytes) else (HEADER + body).encode()
    files.write_whole(files.po_path(name, domain), data)
    later = time.time() + next(_saved) * 10
    os.utime(files.po_path(name, domain), (later, later))
    return files.po_path(name, domain)


BROKEN = {
    "a placeholder": SOUND.replace('"Hallo %(name)s"', '"Hallo %(nam)s"'),
    "a lone percent sign": SOUND.replace('"Tschüss"', '"100 % Tschüss"'),
    "markup of its own": SOUND.replace('"Tschüss"', '"<script>alert(1)</script>"'),
    "the syntax": SOUND + 'msgid "unfinished\n',
    "the charset": (HEADER + SOUND).encode("utf-16"),
    "bytes": b"\x00\xff" * 500,
    "the name of a charset": (HEADER.replace("utf-8", "klingon") + SOUND).encode(),
    "a charset of old": (HEADER.replace("utf-8", "iso-8859-1") + SOUND.replace("ü", "\u2603")).encode(),
    "another language's header": (HEADER.replace('"Content', '"Language: fr\\n"\n"Content') + SOUND).encode(),
    "a rule that divides by nothing": (HEADER.replace("(n != 1)", "n/0") + SOUND).encode(),
    "a rule that is code": (HEADER.replace("(n != 1)", "__import__") + SOUND).encode(),
    "a text twice": SOUND + '\nmsgid "Bye"\nmsgstr "Ade"\n',
    "a plural of its own making": SOUND + '\nmsgid "one"\nmsgid_plural "<i>"\nmsgstr[0] "<i>"\nmsgstr[1] "<i>"\n',
    "a huge file": (HEADER + SOUND).encode() + b"# x\n" * (reading.MOST_BYTES // 4),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_refused_while_the_old_one_goes_on(folder: Path, in_german: Speak, body: str | bytes) -> None:
    save(SOUND)
    with in_german():
        assert gettext("Hello %(name)s", name="Ada") == "Hallo Ada"
    save(body)
    with in_german():
        assert gettext("Hello %(name)s", name="Ada") == "Hallo Ada"
        assert gettext("Bye") == "Tschüss"
    save(SOUND.replace("Tschüss", "Servus"))
    with in_german():
        assert gettext("Bye") == "Servus"


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_a_process_that_starts_with_a_broken_file_speaks_what_is_sound(
    folder: Path, in_german: Speak, body: str | bytes
) -> None:
    save(body)
    with in_german():
        page = render_template_string("{% trans name='Ada' %}Hello {{ name }}{% endtrans %} {{ _('Bye') }}")
    assert page in {"Hello Ada Tschüss", "Hallo Ada Bye", "Hello Ada Bye", "Hallo Ada Tschüss"}


def test_a_refused_file_is_told_once_with_its_line(folder: Path, in_german: Speak) -> None:
    path = save(BROKEN["a placeholder"])
    with capture_logs() as told:
        for _ in range(3):
            with in_german():
                gettext("Bye")
    assert [(one["event"], one["path"], one["line"]) for one in told] == [("catalog_refused", str(path), 5)]


def test_in_sandbox_mode_the_very_next_request_has_what_was_saved(
    folder: Path, in_german: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogs, "_LOOK_AGAIN_SECONDS", 3_600)
    save(SOUND)
    with in_german():
        assert gettext("Bye") == "Tschüss"
    save(SOUND.replace("Tschüss", "Servus"))
    with in_german():
        assert gettext("Bye") == "Servus"


def test_a_file_that_changed_twice_in_one_moment_is_read_twice(folder: Path, in_german: Speak) -> None:
    path = save(SOUND.partition("\n\n")[0] + "\n")
    moment = path.stat().st_mtime
    with in_german():
        assert gettext("Bye") == "Bye"
    save(SOUND)
    os.utime(path, (moment, moment))
    with in_german():
        assert gettext("Bye") == "Tschüss"


def test_in_production_a_saved_po_waits_until_it_is_compiled(app: Flask, folder: Path, in_german: Speak) -> None:
    save(SOUND)
    compiling.compile_locale("de", "messages")
    with in_production(app):
        with in_german():
            assert gettext("Bye") == "Tschüss"
        save(SOUND.replace("Tschüss", "Servus"))
        with in_german():
            assert gettext("Bye") == "Tschüss"
        compiling.compile_locale("de", "messages")
        with in_german():
            assert gettext("Bye") == "Servus"


@pytest.mark.parametrize("cut", [0, 3, 20, 60, -1])
def test_in_production_half_a_compiled_file_is_refused(app: Flask, folder: Path, in_german: Speak, cut: int) -> None:
    save(SOUND)
    mo = compiling.compile_locale("de", "messages")
    with in_production(app):
        with in_german():
            assert gettext("Bye") == "Tschüss"
        mo.write_bytes(mo.read_bytes()[:cut])
        os.utime(mo, (time.time() + 99, time.time() + 99))
        with in_german():
            assert gettext("Bye") == "Tschüss"


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_compile_leaves_what_was_compiled_and_names_a_line(app: Flask, folder: Path, body: str | bytes) -> None:
    save(SOUND)
    before = compiling.compile_locale("de", "messages").read_bytes()
    save(body)
    for command in ("check", "compile"):
        result = app.test_cli_runner().invoke(args=["translations", command])
        assert result.exit_code == 1
        assert re.search(r"de/LC_MESSAGES/messages\.po:\d+: ", result.output), result.output
        assert isinstance(result.exception, SystemExit)
    assert files.mo_path("de", "messages").read_bytes() == before


@pytest.mark.parametrize("command", ["update", "coverage"])
def test_a_command_ends_with_the_line_of_a_file_that_is_no_catalog(app: Flask, folder: Path, command: str) -> None:
    for domain in files.DOMAINS:
        (folder / f"{domain}.pot").write_text(HEADER, encoding="utf-8")
    path = save(was := BROKEN["the syntax"])
    result = app.test_cli_runner().invoke(args=["translations", command])
    assert result.exit_code == 1
    assert "de/LC_MESSAGES/messages.po:10: this is no catalog" in result.output
    assert path.read_text(encoding="utf-8") == HEADER + str(was)


def test_compile_holds_a_file_to_the_plural_forms_of_its_language(app: Flask, folder: Path) -> None:
    save((HEADER.replace("nplurals=2", "nplurals=3") + SOUND).encode())
    result = app.test_cli_runner().invoke(args=["translations", "compile"])
    assert result.exit_code == 1
    assert "messages.po:1: plural forms" in result.output


def test_compile_holds_a_plural_to_the_templates(app: Flask, folder: Path) -> None:
    """A text is found by its singular: what the file says of the plural is its own word."""
    one, forms = 'msgid "%(num)s day"\nmsgid_plural "%(num)s {}"\n', 'msgstr[0] "{}"\nmsgstr[1] "{}"\n'
    (folder / "messages.pot").write_text(HEADER + one.format("days") + forms.format("", ""), encoding="utf-8")
    save(one.format("days of %(amount)s") + forms.format("ein Tag", "%(num)s Tage zu %(amount)s"))
    result = app.test_cli_runner().invoke(args=["translations", "compile"])
    assert result.exit_code == 1
    assert "messages.po:5: plural forms" in result.output


def test_compile_refuses_what_is_broken_and_names_the_line(app: Flask, folder: Path) -> None:
    save(SOUND)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["translations", "compile"]).exit_code == 0
    before = files.mo_path("de", "messages").read_bytes()
    save(BROKEN["a placeholder"])
    save('msgctxt "package name"\nmsgid "Starter"\nmsgstr "Einstieg"\n', domain="content")
    result = runner.invoke(args=["translations", "compile"])
    assert result.exit_code == 1
    assert "de/LC_MESSAGES/messages.po:5: placeholders" in result.output
    assert files.mo_path("de", "messages").read_bytes() == before
    assert files.mo_path("de", "content").exists()


def test_all_six_arabic_plurals_come_from_a_compiled_file(app: Flask, folder: Path) -> None:
    forms = "".join(f'msgstr[{number}] "{number}:%(num)s"\n' for number in range(6))
    header = HEADER.replace(
        "nplurals=2; plural=(n != 1);",
        "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5);",
    )
    save(f'{header}msgid "%(num)s credit"\nmsgid_plural "%(num)s credits"\n{forms}'.encode(), name="ar")
    compiling.compile_locale("ar", "messages")
    with in_production(app), app.test_request_context("/"), use_locale("ar"):
        found = [ngettext("%(num)s credit", "%(num)s credits", number)[0] for number in (0, 1, 2, 5, 11, 100)]
    assert found == list("012345")


TEMPLATE = """
#. Name of a package on pricing (starter)
msgctxt "package name"
msgid "{starter}"
msgstr ""

#. Name of a package on pricing (big)
msgctxt "package name"
msgid "Big \\"one\\""
msgstr ""
"""


def test_a_renamed_package_keeps_its_old_translation_to_look_at(folder: Path, in_german: Speak) -> None:
    (folder / "content.pot").write_text(HEADER + TEMPLATE.format(starter='Say \\"hi\\"'), encoding="utf-8")
    path = updating.update_locale("de", "content")
    path.write_text(path.read_text().replace('hi\\""\nmsgstr ""', 'hi\\""\nmsgstr "Sag hallo"'), encoding="utf-8")
    (folder / "content.pot").write_text(HEADER + TEMPLATE.format(starter="Weekend pack"), encoding="utf-8")
    for _ in range(3):  # what is left to look at survives further updates
        updating.update_locale("de", "content")
        message = read_locale("de", "content").get("Weekend pack", "package name")
        assert message is not None
        assert (message.string, message.fuzzy) == ("Sag hallo", True)
        assert '#| msgid "Say \\"hi\\""' in path.read_text(encoding="utf-8")
    with in_german():
        assert catalogs.content.get_translations().upgettext("package name", "Weekend pack") == "Weekend pack"


def test_what_shares_a_name_is_not_taken_for_renamed(folder: Path) -> None:
    both = TEMPLATE.format(starter="Pack").replace("(starter)", "(starter)\n#. Name of a package on pricing (second)")
    (folder / "content.pot").write_text(HEADER + both, encoding="utf-8")
    path = updating.update_locale("de", "content")
    path.write_text(path.read_text().replace('"Pack"\nmsgstr ""', '"Pack"\nmsgstr "Bündel"'), encoding="utf-8")
    (folder / "content.pot").write_text(
        HEADER
        + TEMPLATE.format(starter="Pack")
        + TEMPLATE.format(starter="Other")
        .replace("(starter)", "(second)")
        .split("#. Name of a package on pricing (big)")[0],
        encoding="utf-8",
    )
    updating.update_locale("de", "content")
    catalog = read_locale("de", "content")
    pack, other = catalog.get("Pack", "package name"), catalog.get("Other", "package name")
    assert pack
    assert other
    assert (pack.string, pack.fuzzy) == ("Bündel", False)
    assert other.string == ""


def test_a_catalog_is_written_whole_or_not_at_all(folder: Path) -> None:
    path = save(SOUND)
    read: list[bytes] = []
    real = Path.write_bytes

    def watched(self: Path, data: bytes) -> int:
        read.append(path.read_bytes())
        return real(self, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", watched)
        files.write_whole(path, b"new")
    assert read == [(HEADER + SOUND).encode()]
    assert path.read_bytes() == b"new"
    shutil.rmtree(folder)
