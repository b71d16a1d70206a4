"""A catalog that is handed in: taken whole, or refused with the line and nothing written."""

from pathlib import Path

import pytest

from webapp.i18n import compiling, files
from webapp.i18n.accepting import CatalogRefused, take_catalog
from webapp.i18n.checking import read_locale
from webapp.i18n.reading import MOST_BYTES

HEADER = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n"Language: de\\n"\n\n'
TEXTS = """
msgid "Hello %(name)s"
msgstr ""

msgid "a <b>word</b>"
msgstr ""

msgid "%(num)s day"
msgid_plural "%(num)s days"
msgstr[0] ""
msgstr[1] ""
"""
WAS = HEADER + 'msgid "Hello %(name)s"\nmsgstr "Hallo %(name)s"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    files.write_whole(files.pot_path("messages"), (HEADER + TEXTS).encode())
    files.write_whole(files.po_path("de", "messages"), WAS.encode())
    return tmp_path


def translation(source: str) -> object:
    message = read_locale("de", "messages").get(source)
    return message.string if message else None


def test_what_is_handed_in_counts_and_the_rest_stays() -> None:
    taken = take_catalog("de", "messages", (HEADER + 'msgid "a <b>word</b>"\nmsgstr "ein <b>Wort</b>"\n').encode())
    assert (taken.changed, taken.translated, taken.texts, taken.unknown) == (1, 2, 3, 0)
    assert translation("a <b>word</b>") == "ein <b>Wort</b>"
    assert translation("Hello %(name)s") == "Hallo %(name)s"


def test_what_was_looked_at_again_counts_as_changed() -> None:
    fuzzy = WAS.replace('msgid "Hello', '#, fuzzy\nmsgid "Hello')
    files.write_whole(files.po_path("de", "messages"), fuzzy.encode())
    taken = take_catalog("de", "messages", WAS.encode())
    assert (taken.changed, taken.translated) == (1, 1)


def test_texts_that_nobody_asked_for_are_left_out_and_counted() -> None:
    taken = take_catalog("de", "messages", (HEADER + 'msgid "Strange"\nmsgstr "Fremd"\n').encode())
    assert (taken.changed, taken.unknown) == (0, 1)
    assert "Fremd" not in files.po_path("de", "messages").read_text(encoding="utf-8")


def test_a_byte_order_mark_and_windows_lines_are_no_fault() -> None:
    body = (HEADER + 'msgid "Hello %(name)s"\nmsgstr "Moin %(name)s"\n').replace("\n", "\r\n").encode("utf-8-sig")
    take_catalog("de", "messages", body)
    assert translation("Hello %(name)s") == "Moin %(name)s"


def test_a_compiled_file_follows_where_there_is_one() -> None:
    compiling.compile_locale("de", "messages")
    take_catalog("de", "messages", (HEADER + 'msgid "Hello %(name)s"\nmsgstr "Moin %(name)s"\n').encode())
    assert b"Moin" in files.mo_path("de", "messages").read_bytes()


def test_what_is_handed_in_mends_a_file_that_is_none() -> None:
    files.po_path("de", "messages").write_bytes(b'msgid "unfinished\n')
    take_catalog("de", "messages", (HEADER + 'msgid "Hello %(name)s"\nmsgstr "Moin %(name)s"\n').encode())
    assert translation("Hello %(name)s") == "Moin %(name)s"


def text(source: str, translated: str) -> bytes:
    return (HEADER + f'msgid "{source}"\nmsgstr "{translated}"\n').encode()


def plurals(rule: str) -> bytes:
    return HEADER.replace('"Language', f'"Plural-Forms: {rule};\\n"\n"Language').encode()


HOSTILE: dict[str, tuple[bytes, int | None, str]] = {
    "a script": (text("a <b>word</b>", "ein <b>Wort</b><script>alert(1)</script>"), 5, "tags"),
    "half a tag": (text("a <b>word</b>", "ein <b>Wort</b><img src=x onerror=alert(1) "), 5, "tags"),
    "a tag left open": (text("a <b>word</b>", "ein <b>Wort"), 5, "tags"),
    "another address in a tag": (text("a <b>word</b>", "ein <b onclick='x'>Wort</b>"), 5, "tags"),
    "an extra placeholder": (text("Hello %(name)s", "Hallo %(name)s %(secret)s"), 5, "placeholders"),
    "a missing placeholder": (text("Hello %(name)s", "Hallo"), 5, "placeholders"),
    "a lone percent sign": (text("a <b>word</b>", "<b>100</b> % Wort"), 5, "lone %"),
    "a wide placeholder": (text("Hello %(name)s", "Hallo %(name)999999999s"), 5, "placeholders"),
    "another form": (text("Hello %(name)s", "Hallo %(name)r"), 5, "placeholders"),
    "a line turned around": (text("a <b>word</b>", "<b>\u202etroW</b>"), 5, "unseen"),
    "a plural form too many": (
        (HEADER + 'msgid "%(num)s day"\nmsgid_plural "%(num)s days"\nmsgstr[0] "a"\nmsgstr[1] "b"\nmsgstr[2] "c"\n')
        .encode(), 5, "plural",
    ),
    "a plural form too few": (
        (HEADER + 'msgid "%(num)s day"\nmsgid_plural "%(num)s days"\nmsgstr[0] "a"\n').encode(), 5, "plural",
    ),
    "a plural of its own making": (
        (
            HEADER + 'msgid "%(num)s day"\nmsgid_plural "%(num)s <script>days</script>"\n'
            'msgstr[0] "a"\nmsgstr[1] "%(num)s <script>days</script>"\n'
        ).encode(), 5, "tags",
    ),
    "a plural where there is none": (
        (HEADER + 'msgid "a <b>word</b>"\nmsgid_plural "<i>"\nmsgstr[0] "<i>"\nmsgstr[1] "<i>"\n').encode(),
        5,
        "plural",
    ),
    "no plural where there is one": (text("%(num)s day", "%(num)s Tag"), 5, "plural"),
    "another charset": (HEADER.replace("utf-8", "iso-8859-1").encode(), 1, "charset=iso-8859-1"),
    "bytes of another charset": ((HEADER + 'msgid "x"\nmsgstr "Ä"\n').encode("latin-1"), 6, "not UTF-8"),
    "another locale": (HEADER.replace(": de", ": fr").encode(), 1, "Language: fr"),
    "no locale": (b'msgid "a"\nmsgstr "b"\n', 1, "Language: missing"),
    "a path for a locale": (HEADER.replace(": de", ": ../../etc").encode(), 1, "no catalog"),
    "a name in a percent sign": (text("Hello %(name)s", "Hallo %(name)s, 100%(secret)%"), 5, "placeholders"),
    "a number where a name comes": (text("Hello %(name)s", "Hallo %(name)d"), 5, "placeholders"),
    "a placeholder behind two signs": (text("Hello %(name)s", "Hallo %%(name)s"), 5, "placeholders"),
    "tags closed before they are open": (text("a <b>word</b>", "ein </b>Wort<b>"), 5, "tags"),
    "a character that ends a text": (text("a <b>word</b>", "ein <b>Wo\x00rt</b>"), 5, "unseen"),
    "a text twice": (text("Hello %(name)s", "Hallo %(name)s") + b'\n' + text("Hello %(name)s", "%(secret)s")
                     .split(b"\n\n", 1)[1], 8, "duplicate"),
    "a second header": (text("a", "b") + HEADER.replace("utf-8", "utf-7").encode(), 7, "header"),
    "a header in a context": (HEADER.replace("msgid", 'msgctxt "x"\nmsgid', 1).encode(), 2, "header"),
    "a charset that nobody knows": (HEADER.replace("utf-8", "klingon").encode(), 1, "charset=klingon"),
    "a charset that unpacks": (HEADER.replace("utf-8", "zlib").encode(), 1, "charset=zlib"),
    "a thousand million plural forms": (plurals("nplurals=1000000000; plural=0"), 1, "Plural-Forms"),
    "no plural form": (plurals("nplurals=0; plural=0"), 1, "Plural-Forms"),
    "a division by nothing": (plurals("nplurals=2; plural=n/0"), 1, "Plural-Forms"),
    "a division by nothing, some day": (plurals("nplurals=2; plural=(n%(n-5000) > 1)"), 1, "Plural-Forms"),
    "code for a rule of plurals": (plurals("nplurals=2; plural=__import__('os')"), 1, "no catalog"),
    "more forms than the language has": (
        plurals("nplurals=3; plural=0") + b'msgid "%(num)s day"\nmsgid_plural "%(num)s days"\n'
        b'msgstr[0] "a"\nmsgstr[1] "b"\nmsgstr[2] "c"\n', 6, "plural",
    ),
    "a form with no number": (
        (HEADER + 'msgid "%(num)s day"\nmsgid_plural "%(num)s days"\nmsgstr[x] "a"\n').encode(), 7, "no catalog",
    ),
    "a quote before anything": (b'"lost"\n' + HEADER.encode(), 1, "no catalog"),
    "a huge file": (HEADER.encode() + b"# x\n" * (MOST_BYTES // 4), None, "at most"),
    "a huge text": (text("a <b>word</b>", "<b>" + "x" * 20_000 + "</b>"), 5, "characters"),
    "a quote left open": ((HEADER + 'msgid "a\n').encode(), 5, "no catalog"),
    "no catalog at all": (b"PK\x03\x04" + bytes(range(1, 100)), 1, "no"),
    "nothing": (b"", 1, "Language: missing"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "line", "why"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_catalog_is_refused_with_its_line_and_changes_nothing(
    body: bytes, line: int | None, why: str
) -> None:
    with pytest.raises(CatalogRefused) as refused:
        take_catalog("de", "messages", body)
    fault = refused.value.faults[0]
    assert why in fault.what
    assert fault.line == line
    assert files.po_path("de", "messages").read_text(encoding="utf-8") == WAS


def test_names_of_the_shop_are_text_and_may_hold_anything_that_is_seen() -> None:
    header = HEADER + 'msgctxt "package name"\nmsgid "Starter"\nmsgstr "{}"\n'
    files.write_whole(files.pot_path("content"), header.format("").encode())
    take_catalog("de", "content", header.format("<b>100 %</b> %s").encode())
    message = read_locale("de", "content").get("Starter", "package name")
    assert message is not None
    assert message.string == "<b>100 %</b> %s"
