"""The gettext catalogs, read where the translators write them.

A .po file is compiled in memory when a process first needs it, so a fresh clone speaks every language with no step
in between. In sandbox mode a newer .po is read again at the next request. Elsewhere the .mo files that
`flask translations compile` writes are what counts, once there are any: a half-done .po never goes live, and a
compiled one does without a restart.

A file that is no catalog, or has a translation that would break a page, is refused, and what was read before goes on.
Where nothing was read before, its sound texts are taken and the others show in English.
"""

import os
import struct
import threading
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, cast

import flask_babel
import structlog
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo, write_mo
from flask import Flask, current_app, g, has_request_context
from flask_babel import Domain, get_locale

from webapp.extensions import babel
from webapp.i18n import pseudo
from webapp.i18n.faults import Fault, faults_of, faults_of_message
from webapp.i18n.files import mo_path, po_path
from webapp.i18n.reading import NoCatalog, check_plural_rule, read_catalog
from webapp.i18n.texts import Texts

log = structlog.get_logger()

# Outside sandbox mode; in it each request looks, for whoever saves a file loads the page at once.
_LOOK_AGAIN_SECONDS = 1.0
# When a file was changed, and its bytes: one that is written slowly may change twice in the same moment. None: no file.
_State = tuple[float, int] | None
# Without the proxy before it, which costs more than the lookup itself.
_of_context = g._get_current_object
_UNREADABLE = (ValueError, LookupError, OSError, struct.error)


@dataclass
class _Loaded:
    """A catalog, the .po and the .mo of which one was read, and how they were then."""

    translations: Texts
    paths: tuple[Path, Path]
    stamp: tuple[_State, _State]
    checked_at: float


class LiveDomain(Domain):
    """One gettext domain whose files may change while the process runs."""

    def __init__(self, domain: str) -> None:
        super().__init__(domain=domain)
        self._loaded: dict[tuple[str, bool], _Loaded] = {}
        self._lock = threading.Lock()

    def get_translations(self) -> Texts:
        """The catalog of the current locale, found once a request; an empty one outside an application."""
        # Flask-Babel empties this attribute where the locale changes within a request.
        try:
            known: Texts = _of_context()._flask_babel.babel_translations[self]
        except (AttributeError, KeyError, RuntimeError, TypeError):
            return self._find()
        return known

    def _find(self) -> Texts:
        found = self._of_locale()
        if has_request_context():
            reader = _of_context()._flask_babel
            reader.babel_translations = {**(getattr(reader, "babel_translations", None) or {}), self: found}
        return found

    def _of_locale(self) -> Texts:
        locale = get_locale()
        if locale is None:
            return Texts()
        if pseudo.wanted():
            return pseudo.TRANSLATIONS
        return self.of(str(locale))

    def of(self, name: str) -> Texts:
        """The catalog of the locale that Babel calls `name`, as its readers have it now."""
        key = (name, bool(current_app.config.get("SANDBOX")))
        loaded = self._loaded.get(key)
        patience = 0.0 if key[1] else _LOOK_AGAIN_SECONDS
        if loaded is None or time.monotonic() - loaded.checked_at > patience:
            with self._lock:
                loaded = self._loaded[key] = self._current(key, self._loaded.get(key))
        return loaded.translations

    def _current(self, key: tuple[str, bool], known: _Loaded | None) -> _Loaded:
        name, domain = key[0], self.domain[0]
        po, mo = known.paths if known else (po_path(name, domain), mo_path(name, domain))
        stamp = (_state_of(po), _state_of(mo))
        if known is None or known.stamp != stamp:
            of_po, of_mo = stamp
            use_po = of_mo is None or (key[1] and of_po is not None and of_po[0] > of_mo[0])
            known = _Loaded(self._read(po if use_po else mo, name, known), (po, mo), stamp, 0)
        known.checked_at = time.monotonic()
        return known

    def _read(self, path: Path, locale: str, known: _Loaded | None) -> Texts:
        """The file's translations, or those known before where the file is refused."""
        if not path.exists():
            return Texts()
        formatted = self.domain[0] == "messages"
        try:
            catalog = _read_catalog(path, self.domain[0], locale)
            faults = [fault for fault in faults_of(catalog, formatted=formatted) if fault.breaks]
        except NoCatalog as error:
            _tell(path, [error.fault])
            return known.translations if known else Texts()
        except _UNREADABLE as error:
            log.error("catalog_refused", path=str(path), error=f"{type(error).__name__}: {error}")
            return known.translations if known else Texts()
        if faults:
            _tell(path, faults)
            if known:
                return known.translations
            for message in [message for message in catalog if message.id]:
                if any(fault.breaks for fault in faults_of_message(message, catalog, formatted)):
                    message.string = ""
        return _in_memory(catalog)


messages = LiveDomain("messages")
content = LiveDomain("content")


def register(app: Flask) -> None:
    """Flask-Babel's gettext reads from here."""
    babel.domain_instance = messages
    # It asks `g` five times for the domain of the request, which costs more than the text; here there is but one.
    flask_babel.get_domain = _the_domain


def _the_domain() -> LiveDomain:
    return messages


def _state_of(path: Path) -> _State:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime, found.st_size


def _tell(path: Path, faults: list[Fault]) -> None:
    for fault in faults[:20]:
        log.error("catalog_refused", path=str(path), line=fault.line, error=str(fault))


def _read_catalog(path: Path, domain: str, locale: str) -> Catalog:
    if path.suffix != ".mo":
        return read_catalog(path, domain=domain, locale=locale)
    with path.open("rb") as file:
        catalog = _with_contexts(read_mo(cast(IO[bytes], file)))
    check_plural_rule(catalog)
    return catalog


def _with_contexts(catalog: Catalog) -> Catalog:
    """Babel reads the contexts of an .mo as bytes, and cannot write them again."""
    for message in catalog:
        context = cast(bytes | str | None, message.context)
        message.context = context.decode(catalog.charset) if isinstance(context, bytes) else context
    return catalog


def _in_memory(catalog: Catalog) -> Texts:
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Texts(compiled)
