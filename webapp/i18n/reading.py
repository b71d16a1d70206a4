"""Reading a .po as strictly as it must be where anybody may have written it.

Babel's own reader keeps the first of two translations of one text, takes a second header in the middle of a file for
the header, makes as many plural forms as the file says there are, and fails in a dozen ways.
"""

import re
from gettext import c2py
from io import StringIO
from pathlib import Path
from typing import Any

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, PoFileParser

from webapp.i18n.faults import Fault

MOST_BYTES = 2 * 1024 * 1024
MOST_PLURALS = 6
# Whatever else a file may make Babel do.
_FAILURES = (ValueError, LookupError, AttributeError, TypeError, AssertionError)
_DIVISION = re.compile(r"[/%](?!\s*[1-9])")


class NoCatalog(ValueError):
    """The file is no catalog that could be taken; `fault` says why, and where that is known."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def read_catalog(path: Path, *, domain: str, locale: str) -> Catalog:
    """The .po at `path`, which is to be of that locale. Raises NoCatalog, and OSError where there is no file."""
    if path.stat().st_size > MOST_BYTES:
        raise too_large(path.stat().st_size)
    catalog = parse_catalog(path.read_bytes(), domain=domain, locale=locale)
    if catalog.locale_identifier != locale:
        raise other_language(catalog, locale)
    return catalog


def parse_catalog(data: bytes, *, domain: str, locale: str | None = None) -> Catalog:
    """The catalog that `data`, a .po file, is. Whether its translations fit is not looked at. Raises NoCatalog."""
    if len(data) > MOST_BYTES:
        raise too_large(len(data))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NoCatalog(Fault(kind="utf8", line=data[: error.start].count(b"\n") + 1)) from None
    parser = _Parser(Catalog(locale=Locale.parse(locale) if locale else None, domain=domain), abort_invalid=True)
    try:
        parser.parse(StringIO(text))
    except PoFileError as error:
        why = re.sub(r" on \d+$", "", str(error))
        raise NoCatalog(Fault(kind="syntax", found=why, line=error.lineno + 1)) from None
    except NoCatalog:
        raise
    except _FAILURES as error:
        raise NoCatalog(Fault(kind="syntax", found=str(error) or type(error).__name__, line=parser.line)) from None
    return parser.catalog


def too_large(size: int) -> NoCatalog:
    return NoCatalog(Fault(kind="bytes", found=f"{size:,}", most=f"{MOST_BYTES:,}"))


def other_language(catalog: Catalog, wanted: str) -> NoCatalog:
    return NoCatalog(Fault(kind="language", found=catalog.locale_identifier or "", wanted=wanted, line=1))


class _Parser(PoFileParser):
    """Babel's, which says where it is, and takes each text and the header once."""

    line: int | None = None
    _had_header = False

    def _process_message_line(self, lineno: int, line: str, obsolete: bool = False) -> None:
        self.line = lineno + 1
        super()._process_message_line(lineno, line, obsolete)

    def _add_message(self) -> None:
        at, source = self.offset, self.messages[0].denormalize()
        context = self.context.denormalize() if self.context else None
        if self.obsolete:
            super()._add_message()
        elif source:
            if self.catalog.get(source, context) is not None:
                self._invalid_pofile("", at, "duplicate message definition")
            if len(self.messages) > 1 and len(self.translations) != self.catalog.num_plurals:
                raise NoCatalog(Fault(kind="plurals", source=source, line=at + 1))
            super()._add_message()
        else:
            if self._had_header or context is not None or self.counter:
                self._invalid_pofile("", at, "a second header, or one that does not come first")
            self._had_header, self.line = True, at + 1
            super()._add_message()
            charset = self.catalog.charset
            if charset.replace("-", "").replace("_", "") != "utf8":
                raise NoCatalog(Fault(kind="charset", found=charset, line=self.line))
            check_plural_rule(self.catalog)


def check_plural_rule(catalog: Catalog) -> None:
    """Raises ValueError where the rule of the header does not give every number one of the forms that it counts."""
    forms, rule = catalog.num_plurals, str(catalog.plural_expr)
    if not 1 <= forms <= MOST_PLURALS or _DIVISION.search(rule):
        raise ValueError(f"Plural-Forms: nplurals={forms}; plural={rule[:80]}")
    chosen: Any = c2py(rule)
    if not {chosen(number) for number in range(1_001)} <= set(range(forms)):
        raise ValueError(f"Plural-Forms: nplurals={forms}; plural={rule[:80]}")
