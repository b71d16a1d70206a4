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


def register(app: Flask) -> None:
    """Let templates call `content(kind, code, text)`."""
    app.jinja_env.globals["content"] = translate


def translate(kind: str, code: str, text: str | None) -> str:
    """`text`, the English name of the `kind` called `code`, in the current language; itself where none is known.

    `kind` is a key of CONTEXTS. `code` is for who reads the call: the text is what is looked up, so a renamed
    package is untranslated, not wrong.
    """
    if not text:
        return ""
    return str(content.get_translations().upgettext(CONTEXTS.get(kind, kind), text))
