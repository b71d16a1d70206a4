"""Taking a .po that somebody hands in: all of it is checked first, and a faulty one changes nothing."""

from dataclasses import dataclass

from babel.messages.catalog import Catalog

from webapp.i18n.checking import read_locale, read_template
from webapp.i18n.compiling import compile_locale
from webapp.i18n.faults import Fault, faults_of, forms_of, source_of, translated
from webapp.i18n.files import mo_path, po_path
from webapp.i18n.reading import NoCatalog, other_language, parse_catalog
from webapp.i18n.updating import write_catalog

MOST_TEXTS = 20_000
LONGEST_TEXT = 10_000


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
        changed += old is None or forms_of(old) != forms_of(new) or old.fuzzy != new.fuzzy
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
    try:
        return read_locale(name, domain)
    except NoCatalog:  # what is handed in may well mend it
        return None


def _read_handed_in(name: str, domain: str, data: bytes) -> Catalog:
    """`data` as a catalog of that locale, its translations not looked at yet. Raises CatalogRefused."""
    try:
        catalog = parse_catalog(data, domain=domain)
        if (catalog.locale_identifier or "").replace("-", "_") != name:
            raise other_language(catalog, name)
    except NoCatalog as error:
        raise CatalogRefused([error.fault]) from None
    if faults := _faults_of_size(catalog):
        raise CatalogRefused(faults)
    return catalog


def _faults_of_size(catalog: Catalog) -> list[Fault]:
    if len(catalog) > MOST_TEXTS:
        return [Fault(kind="texts", found=f"{len(catalog):,}", most=f"{MOST_TEXTS:,}")]
    return [
        Fault(kind="length", source=source_of(message)[:80], line=message.lineno, most=f"{LONGEST_TEXT:,}")
        for message in translated(catalog)
        if any(len(form) > LONGEST_TEXT for form in forms_of(message))
    ]
