"""Names that come from the database: packages, plans and features, in the reader's language.

They live in a gettext domain of their own, `content`, with a msgctxt that says what each is. What comes out is plain
text, never a format string and never markup, because an admin and a translator may write `%`, `<` or quotes: it must
pass through the template's escaping.
"""

from flask import Flask

from webapp.i18n.catalogs import content

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
    return str(content.get_translations().upgettext(CONTEXTS.get(kind, kind), text)).translate(_TURNS)
