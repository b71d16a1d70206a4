"""What is wrong or missing in a translation, found before a reader finds it."""

import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from webapp.i18n.extraction import po_path

_PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?([sd%])")
_TAG = re.compile(r"</?[a-zA-Z][^>]*>")


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How much of a domain one locale has; counts are texts."""

    locale: str
    domain: str
    texts: int
    translated: int
    fuzzy: int

    @property
    def whole(self) -> bool:
        return self.translated == self.texts and not self.fuzzy


def read_locale(name: str, domain: str) -> Catalog:
    with po_path(name, domain).open("rb") as file:
        return read_po(file, locale=name, domain=domain)


def coverage(name: str, domain: str) -> Coverage:
    """How much of the domain is translated; a plural counts when all its forms are."""
    messages = [message for message in read_locale(name, domain) if message.id]
    done = sum(all(_forms(message)) and not message.fuzzy for message in messages)
    fuzzy = sum(message.fuzzy for message in messages)
    return Coverage(locale=name, domain=domain, texts=len(messages), translated=done, fuzzy=fuzzy)


def problems(name: str, domain: str) -> list[str]:
    """One sentence for each translation that would break a page or say something else than its source."""
    catalog = read_locale(name, domain)
    found = [
        f"{name}/{domain}: {problem} in the translation of {_source(message)!r}"
        for message in catalog
        if message.id and any(_forms(message))
        for problem in _problems_of(message, catalog.num_plurals, formatted=domain == "messages")
    ]
    return found + _msgfmt(name, domain)


def _problems_of(message: Message, plurals: int, *, formatted: bool) -> list[str]:
    found = []
    forms = _forms(message)
    if isinstance(message.id, tuple) and len(forms) != plurals:
        found.append(f"{len(forms)} plural forms instead of {plurals}")
    for form in filter(None, forms):
        if formatted and not _placeholders_fit(message, form):
            found.append(f"placeholders {_placeholders(form)}")
        if formatted and not _tags_fit(message, form):
            found.append(f"tags {_TAG.findall(form)}")
        if form != form.strip() and _source(message) == _source(message).strip():
            found.append("space at an edge")
    return found


def _placeholders_fit(message: Message, form: str) -> bool:
    """Each named one of the source, and no other; a plural form may leave out the number that it spells."""
    wanted = _names(_source(message)) | (_names(message.id[1]) if isinstance(message.id, tuple) else set())
    has = _names(form)
    spelt = {"num", "number", "amount", "credits", "count"} if isinstance(message.id, tuple) else set()
    stray = "%" in _PLACEHOLDER.sub("", form) and message.python_format
    return has <= wanted and wanted - has <= spelt and not stray


def _placeholders(form: str) -> list[str]:
    return sorted(_names(form))


def _names(form: str) -> set[str]:
    return {name or kind for name, kind in _PLACEHOLDER.findall(form) if kind != "%"}


def _tags_fit(message: Message, form: str) -> bool:
    sources = _ids(message)
    return Counter(_TAG.findall(form)) in [Counter(_TAG.findall(source)) for source in sources]


def _forms(message: Message) -> list[str]:
    return list(message.string) if isinstance(message.string, (tuple, list)) else [message.string or ""]


def _source(message: Message) -> str:
    return _ids(message)[0]


def _ids(message: Message) -> tuple[str, ...]:
    return tuple(message.id) if isinstance(message.id, (tuple, list)) else (message.id,)


def _msgfmt(name: str, domain: str) -> list[str]:
    """What GNU msgfmt finds more, where it is installed."""
    if shutil.which("msgfmt") is None:
        return []
    command = ["msgfmt", "--check-format", "--check-domain", "-o", "/dev/null", str(po_path(name, domain))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return [f"{name}/{domain}: msgfmt: {line}" for line in result.stderr.splitlines()] if result.returncode else []
