"""From code, templates and database to the templates of the catalogs: translations/*.pot."""

import re
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.i18n.files import pot_path, write_whole

ROOT = Path(__file__).resolve().parents[2]
_METHODS = [("webapp/**.py", "python"), ("jobs/**.py", "python"), ("templates/**.*", "jinja2")]
_OPTIONS = {"templates/**.*": {"trimmed": "true", "silent": "false"}}
_KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "_": None,
    "gettext": None,
    "N_": None,
    "_l": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "lazy_ngettext": (1, 2),
    "lazy_pgettext": ((1, "c"), 2),
}
# Where a translator meets the text; kind of webapp.i18n.content → (table, key column, text column, comment).
SOURCES = {
    "package name": ("packages", "code", "name", "Name of a package on pricing, receipts and in the history"),
    "package description": ("packages", "code", "description", "One line under a package's name on pricing"),
    "plan name": ("plans", "code", "name", "Name of a plan on pricing and on the plan page"),
    "plan description": ("plans", "code", "description", "One line under a plan's name on pricing"),
    "feature name": ("features", "key", "name", "What credits are spent on: pricing, history, why"),
    "feature description": ("features", "key", "description", "One line that explains a feature"),
    "unlock name": ("unlocks", "key", "name", "Name of what is opened once with credits: credits page, history, why"),
    "unlock description": ("unlocks", "key", "description", "One line under the name of what can be opened"),
    "unit of a feature": ("features", "key", "unit", "What one of a feature is; stands after its name or price"),
}


def extract_messages() -> Catalog:
    """Every text that code and templates mark, as a catalog: equal sources, equal file."""
    catalog = _new_catalog("messages")
    rows = extract_from_dir(
        ROOT, method_map=_METHODS, options_map=_OPTIONS, keywords=_KEYWORDS, comment_tags=("NOTE:", "TRANSLATORS:")
    )
    for filename, _line, message, comments, context in sorted(rows, key=lambda row: (row[0], row[1])):
        catalog.add(message, None, [(filename, 0)], auto_comments=comments, context=context)
    return catalog


def collect_content(session: Session | None) -> Catalog:
    """The texts of the shipped catalog and, with a session, of the database, each with its msgctxt and a comment."""
    catalog = _new_catalog("content")
    found = [*_shipped(), *(_stored(session) if session is not None else [])]
    for context, code, words in sorted(set(found)):
        catalog.add(words, None, auto_comments=[f"{SOURCES[context][3]} ({code})"], context=context)
    return catalog


def _shipped() -> Iterable[tuple[str, str, str]]:
    from webapp.catalog import shipped

    tables = {
        "packages": shipped.PACKAGES,
        "plans": shipped.PLANS,
        "features": shipped.FEATURES,
        "unlocks": shipped.UNLOCKS,
    }
    for context, (table, key, column, _comment) in SOURCES.items():
        for row in tables[table]:
            if row.get(column):
                yield context, row[key], row[column]


def _stored(session: Session) -> Iterable[tuple[str, str, str]]:
    for context, (table, key, column, _comment) in SOURCES.items():
        for code, words in session.execute(text(f"SELECT {key}, {column} FROM {table} WHERE {column} <> ''")):  # noqa: S608
            yield context, code, words


def _new_catalog(domain: str) -> Catalog:
    catalog = Catalog(domain=domain, project="Tallystick", version="1", charset="utf-8", fuzzy=False)
    catalog.header_comment = "# Texts of Tallystick to translate; made by `flask translations`, never edited by hand."
    return catalog


def template_text(catalog: Catalog) -> str:
    """The catalog as a .pot file, the same for the same texts."""
    buffer = BytesIO()
    write_po(buffer, catalog, width=100, sort_output=False, include_lineno=False)
    return without_dates(buffer.getvalue().decode())


def without_dates(po: str) -> str:
    """Dates and tool versions in a header make every run differ, and merges conflict."""
    po = re.sub(r'"(POT-Creation-Date|PO-Revision-Date|Generated-By|Last-Translator): .*\\n"\n', "", po)
    return po.replace(", fuzzy\n", "\n", 1) if po.lstrip().startswith("#") and '#, fuzzy\nmsgid ""\n' in po else po


def write_template(domain: str, catalog: Catalog) -> bool:
    """translations/<domain>.pot holds the catalog; returns whether it changed."""
    path = pot_path(domain)
    new = template_text(catalog)
    if path.exists() and path.read_text(encoding="utf-8") == new:
        return False
    write_whole(path, new.encode())
    return True
