"""What is wrong or missing in the files of a translation, found before a reader finds it."""

import shutil
import subprocess
from dataclasses import dataclass

from babel.messages.catalog import Catalog
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po

from webapp.i18n.faults import Fault, faults_of, forms_of, source_of
from webapp.i18n.files import po_path, pot_path, shown
from webapp.i18n.reading import NoCatalog, read_catalog


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

    @property
    def percent(self) -> float:
        return 100 * self.translated / self.texts if self.texts else 100.0


def read_locale(name: str, domain: str) -> Catalog:
    """The .po as it stands. Raises NoCatalog for what is none."""
    return read_catalog(po_path(name, domain), domain=domain, locale=name)


def coverage(name: str, domain: str) -> Coverage:
    """How much of the domain is translated; a plural counts when all its forms are."""
    messages = [message for message in read_locale(name, domain) if message.id]
    done = sum(all(forms_of(message)) and not message.fuzzy for message in messages)
    fuzzy = sum(message.fuzzy for message in messages)
    return Coverage(locale=name, domain=domain, texts=len(messages), translated=done, fuzzy=fuzzy)


def read_template(domain: str, *, name: str | None = None) -> Catalog:
    """The .pot as it stands; as an empty catalog of the locale `name`, if one is given."""
    with pot_path(domain).open("rb") as file:
        return read_po(file, domain=domain, locale=name)


def faults_of_file(name: str, domain: str) -> list[Fault]:
    """Every fault of the .po, or that it is none."""
    try:
        catalog = read_locale(name, domain)
    except NoCatalog as error:
        return [error.fault]
    if catalog.num_plurals != get_plural(name).num_plurals:
        return [Fault(kind="plurals", line=1)]
    return [*_faults_of_sources(catalog, domain), *faults_of(catalog, formatted=domain == "messages")]


def _faults_of_sources(catalog: Catalog, domain: str) -> list[Fault]:
    """A text that is found by its singular and claims another plural than ours."""
    if not pot_path(domain).exists():
        return []
    template = read_template(domain)
    ours = ((message, template.get(message.id, message.context)) for message in catalog if message.id)
    return [
        Fault(kind="plurals", source=source_of(message), line=message.lineno)
        for message, known in ours
        if known is not None and known.id != message.id
    ]


def problems(name: str, domain: str) -> list[str]:
    """One line for each translation that would break a page or say something else than its source: FILE:LINE: what."""
    path = shown(po_path(name, domain))
    found = [f"{path}:{fault.line or 1}: {fault}" for fault in faults_of_file(name, domain)]
    return found + _msgfmt(name, domain)


def _msgfmt(name: str, domain: str) -> list[str]:
    """What GNU msgfmt finds more, where it is installed."""
    if shutil.which("msgfmt") is None:
        return []
    command = ["msgfmt", "--check-format", "--check-domain", "-o", "/dev/null", str(po_path(name, domain))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return [f"{name}/{domain}: msgfmt: {line}" for line in result.stderr.splitlines()] if result.returncode else []
