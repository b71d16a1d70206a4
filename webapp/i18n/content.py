"""Names that come from the database: packages, plans and features, in the reader's language.

They live in a gettext domain of their own, `content`, with a msgctxt that says what each is. What comes out is plain
text, never a format string and never markup, because an admin and a translator may write `%`, `<` or quotes: it must
pass through the template's escaping.
"""

from collections.abc import Iterable

from flask import Flask

from webapp.i18n.catalogs import content
from webapp.i18n.locale import babel_name, tags

# kind → msgctxt; what a translator reads above the text.
CONTEXTS = {
    "package": "package name",
    "package description": "package description",
    "plan": "plan name",
    "plan description": "plan description",
    "feature": "feature name",
    "feature description": "feature description",
    "unit": "unit of a feature",
    "unlock": "unlock name",
    "unlock description": "unlock description",
}
# Characters that turn the direction of whatever follows them, which no name may do to the sentence around it.
_TURNS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])


def register(app: Flask) -> None:
    """Let templates call `content(kind, code, text)`."""
    app.jinja_env.globals["content"] = translate


def translate(kind: str, code: str, text: str | None) -> str:
    """`text`, the English name of the `kind` called `code`, in the current language; itself where none is known.

    `kind` is a key of CONTEXTS. `code` is for who reads the call: the text is what is looked up, so a renamed
    package is untranslated, not wrong. It stays in its own direction of writing, and turns that of nothing else.
    """
    if not text:
        return ""
    known = content.get_translations().upgettext(CONTEXTS.get(kind, kind), text)
    return known if known.isascii() else known.translate(_TURNS)


def untranslated_in(texts: Iterable[tuple[str, str]]) -> list[str]:
    """The configured languages whose readers see one of the (kind, text) in English, because nobody translated it."""
    wanted = [(CONTEXTS[kind], text) for kind, text in texts if text]
    return [tag for tag in translated_tags() if not all(_is_known(tag, context, text) for context, text in wanted)]


def translated_tags() -> list[str]:
    """The configured languages other than English, the source."""
    return [tag for tag in tags() if tag.split("-")[0] != "en"]


def _is_known(tag: str, context: str, text: str) -> bool:
    """Asked with something behind it: the translation of a name may well be the same word."""
    missing = "\0"
    return content.of(babel_name(tag))._catalog.get(f"{context}\x04{text}", missing) != missing
