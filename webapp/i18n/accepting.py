"""Taking a .po that somebody hands in: all of it is checked first, and a faulty one changes nothing."""

import re
from dataclasses import dataclass
from io import BytesIO
from typing import IO, cast

from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, read_po

from webapp.i18n.checking import read_template
from webapp.i18n.compiling import compile_locale
from webapp.i18n.faults import Fault, faults_of, forms_of, source_of, translated
from webapp.i18n.files import mo_path, po_path
from webapp.i18n.updating import write_catalog

MOST_BYTES = 2 * 1024 * 1024
MOST_TEXTS = 20_000
LONGEST_TEXT = 10_000
_CHARSET = re.compile(r"charset=([\w-]+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What handing in a catalog has changed; counts are texts."""

    changed: int
    translated: int
    texts: int
    unknown: int


class CatalogRefused(Exception):
    """Nothing was written. `faults` say why, with the lines of the file where there are any."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults[:5]))
        self.faults = faults


def take_catalog(name: str, domain: str, data: bytes) -> Taken:
    """The locale's catalog says what `data`, a .po file, says for the texts there are; its .mo too, where there is one.

    Texts that the template does not have are left out and counted; texts that the file does not have keep what they
    had. What is checked is the translation against the template's text, whatever source the file claims. `name` is
    Babel's name of the locale. Raises CatalogRefused, and nothing was written.
    """
    handed_in = _read_handed_in(name, domain, data)
    catalog = read_template(domain, name=name)
    known = _read_known(name, domain)
    changed, faults = 0, []
    for message in [message for message in catalog if message.id]:
        old = known.get(message.id, message.context) if known else None
        new = handed_in.get(message.id, message.context) or old
        if new is None:
            continue
        if message.pluralizable != isinstance(new.string, (tuple, list)):
            faults.append(Fault(kind="plurals", source=source_of(message), line=new.lineno))
            continue
        message.string = new.string
        message.flags = set(new.flags)
        message.user_comments = new.user_comments
        message.lineno = new.lineno
        changed += old is None or forms_of(old) != forms_of(new)
    faults += faults_of(catalog, formatted=domain == "messages")
    if faults:
        raise CatalogRefused(faults)
    write_catalog(name, domain, catalog)
    if mo_path(name, domain).exists():
        compile_locale(name, domain)
    return Taken(
        changed=changed,
        translated=sum(all(forms_of(message)) and not message.fuzzy for message in catalog if message.id),
        texts=len(catalog),
        unknown=sum(catalog.get(one.id, one.context) is None for one in translated(handed_in)),
    )


def _read_known(name: str, domain: str) -> Catalog | None:
    if not po_path(name, domain).exists():
        return None
    with po_path(name, domain).open("rb") as file:
        return read_po(file, domain=domain, locale=name)


def _read_handed_in(name: str, domain: str, data: bytes) -> Catalog:
    """`data` as a catalog of that locale, its translations not looked at yet. Raises CatalogRefused."""
    if len(data) > MOST_BYTES:
        raise CatalogRefused([Fault(kind="bytes", found=f"{len(data):,}", most=f"{MOST_BYTES:,}")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CatalogRefused([Fault(kind="utf8", line=line)]) from None
    try:
        catalog = read_po(cast(IO[bytes], BytesIO(text.encode())), domain=domain, abort_invalid=True)
    except PoFileError as error:
        why = re.sub(r" on \d+$", "", str(error))
        raise CatalogRefused([Fault(kind="syntax", found=why, line=error.lineno + 1)]) from None
    except (ValueError, KeyError, IndexError, AttributeError, TypeError, AssertionError) as error:
        raise CatalogRefused([Fault(kind="syntax", found=str(error))]) from None
    faults = [*_faults_of_header(catalog, text, name), *_faults_of_size(catalog)]
    if faults:
        raise CatalogRefused(faults)
    return catalog


def _faults_of_header(catalog: Catalog, text: str, name: str) -> list[Fault]:
    found = []
    charset = _CHARSET.search(text)
    if charset and charset[1].lower().replace("-", "") != "utf8":
        found.append(Fault(kind="charset", found=charset[1]))
    locale = catalog.locale_identifier
    if not locale or locale.replace("-", "_") != name:
        found.append(Fault(kind="language", found=locale or "", wanted=name))
    return found


def _faults_of_size(catalog: Catalog) -> list[Fault]:
    if len(catalog) > MOST_TEXTS:
        return [Fault(kind="texts", found=f"{len(catalog):,}", most=f"{MOST_TEXTS:,}")]
    return [
        Fault(kind="length", source=source_of(message)[:80], line=message.lineno, most=f"{LONGEST_TEXT:,}")
        for message in translated(catalog)
        if any(len(form) > LONGEST_TEXT for form in forms_of(message))
    ]
