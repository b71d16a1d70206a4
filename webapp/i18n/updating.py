"""Bringing a .po to its template: new texts empty, gone ones out, renamed names of the shop kept to look at."""

import re
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import write_po

from webapp.i18n.checking import read_locale, read_template
from webapp.i18n.extraction import without_dates
from webapp.i18n.faults import forms_of, source_of
from webapp.i18n.files import po_path, write_whole

_CODE = re.compile(r"\(([^()]+)\)$")
_PREVIOUS = "| "


def update_locale(name: str, domain: str) -> Path:
    """The locale's .po has exactly the template's texts; what was translated stays, what is gone is dropped.

    `name` is Babel's name of the locale (`pt_BR`). A text that resembles an old one is not guessed at; but a package,
    plan, feature or unlock that was renamed (same msgctxt, same code in the comment) keeps its old translation as
    fuzzy, with the old name as "previous": shown to the translator, not to readers.
    """
    template = read_template(domain)
    exists = po_path(name, domain).exists()
    catalog = read_locale(name, domain) if exists else Catalog(locale=Locale.parse(name), domain=domain, fuzzy=False)
    _read_previous(catalog)
    before = {(message.id, message.context): message for message in catalog if message.id}
    old_names = _by_place(catalog) if domain == "content" else {}
    catalog.update(template, no_fuzzy_matching=True, update_header_comment=False)
    catalog.obsolete.clear()
    catalog.fuzzy = False
    for message in [message for message in catalog if message.id]:
        known = before.get((message.id, message.context))
        if known is None:
            _take_over(message, catalog, [old_names[place] for place in _places(message) if place in old_names])
        elif known.fuzzy:
            message.previous_id = known.previous_id
    write_catalog(name, domain, catalog)
    return po_path(name, domain)


def _take_over(message: Message, catalog: Catalog, renamed: list[Message]) -> None:
    """A new text: the translation of its old name, to be looked at; or none."""
    gone = (one for one in renamed if catalog.get(one.id, one.context) is None)
    old = next((one for one in gone if any(forms_of(one))), None)
    if old is None or message.pluralizable:
        return
    message.string = old.string
    message.flags.add("fuzzy")
    message.previous_id = [source_of(old)]


def _by_place(catalog: Catalog) -> dict[tuple[str | None, str], Message]:
    return {place: message for message in catalog if message.id for place in _places(message)}


def _places(message: Message) -> list[tuple[str | None, str]]:
    """(msgctxt, code) of each thing that bears this name; the code ends the comment."""
    return [(message.context, code[1]) for comment in message.auto_comments if (code := _CODE.search(comment))]


def _read_previous(catalog: Catalog) -> None:
    """`#| msgid "old"`, which Babel reads as a remark of the translator's, is the previous text again."""
    for message in catalog:
        previous = [one for one in message.user_comments if one.startswith(_PREVIOUS)]
        message.user_comments = [one for one in message.user_comments if one not in previous]
        words = [re.sub(r'^\| (msgid )?"(.*)"$', r"\2", one) for one in previous if not one.startswith("| msgctxt")]
        message.previous_id = ["".join(words).replace('\\"', '"').replace("\\\\", "\\")] if words else []


def write_catalog(name: str, domain: str, catalog: Catalog) -> None:
    """The .po file, in the order of the template and without dates."""
    catalog.header_comment = f"# {Locale.parse(name).english_name} texts of Tallystick."
    buffer = BytesIO()
    write_po(
        buffer,
        catalog,
        width=100,
        sort_output=False,
        include_lineno=False,
        ignore_obsolete=True,
        include_previous=True,
    )
    write_whole(po_path(name, domain), without_dates(buffer.getvalue().decode()).encode())
