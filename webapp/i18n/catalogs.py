"""The gettext catalogs, read where the translators write them.

A .po file is compiled in memory when a process first needs it, so a fresh clone speaks every language with no step
in between. In sandbox mode a newer .po is read again on the next request. Elsewhere the .mo files that
`flask translations compile` writes are what counts, once there are any: a half-done .po never goes live, and a
compiled one does without a restart.
"""

import threading
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, cast

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, current_app
from flask_babel import Domain, get_locale

from webapp.extensions import babel

FOLDER = Path(__file__).resolve().parents[2] / "translations"
DOMAINS = ("messages", "content")
_LOOK_AGAIN_SECONDS = 1.0


@dataclass
class _Loaded:
    translations: NullTranslations
    stamp: tuple[float, float]
    checked_at: float


class LiveDomain(Domain):
    """One gettext domain whose files may change while the process runs."""

    def __init__(self, domain: str) -> None:
        super().__init__(domain=domain)
        self._loaded: dict[tuple[str, bool], _Loaded] = {}
        self._lock = threading.Lock()

    def get_translations(self) -> NullTranslations:
        """The catalog of the current locale; an empty one outside an application."""
        locale = get_locale()
        if locale is None:
            return NullTranslations()
        live = bool(current_app.config.get("SANDBOX"))
        key = (str(locale), live)
        loaded = self._loaded.get(key)
        if loaded is None or time.monotonic() - loaded.checked_at > _LOOK_AGAIN_SECONDS:
            with self._lock:
                loaded = self._loaded[key] = self._current(key, self._loaded.get(key))
        return loaded.translations

    def _current(self, key: tuple[str, bool], known: _Loaded | None) -> _Loaded:
        folder = FOLDER / key[0] / "LC_MESSAGES"
        po, mo = folder / f"{self.domain[0]}.po", folder / f"{self.domain[0]}.mo"
        stamp = (_changed_at(po), _changed_at(mo))
        if known is None or known.stamp != stamp:
            use_po = stamp[0] > stamp[1] if key[1] else not stamp[1]
            known = _Loaded(_read_po(po) if use_po else _read_mo(mo), stamp, 0)
        known.checked_at = time.monotonic()
        return known


messages = LiveDomain("messages")
content = LiveDomain("content")


def register(app: Flask) -> None:
    """Flask-Babel's gettext reads from here."""
    babel.domain_instance = messages


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _read_mo(path: Path) -> NullTranslations:
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as file:
        return Translations(file)


def _read_po(path: Path) -> NullTranslations:
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as file:
        catalog = read_po(cast(IO[bytes], file), locale=path.parts[-3])
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)
