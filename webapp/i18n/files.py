"""Where the files of the translations are, and what they are called."""

import os
from pathlib import Path

# An image is replaced as a whole; what translators hand in may stay in a folder of its own.
FOLDER = Path(os.environ.get("TRANSLATIONS_DIR", "").strip() or Path(__file__).resolve().parents[2] / "translations")
DOMAINS = ("messages", "content")


def pot_path(domain: str) -> Path:
    """The template of a domain: every text, untranslated."""
    return FOLDER / f"{domain}.pot"


def po_path(name: str, domain: str) -> Path:
    """What translators write. `name` is Babel's name of the locale (`pt_BR`)."""
    return FOLDER / name / "LC_MESSAGES" / f"{domain}.po"


def mo_path(name: str, domain: str) -> Path:
    """What is read outside sandbox mode."""
    return po_path(name, domain).with_suffix(".mo")


def locale_names() -> list[str]:
    """Babel's names of the locales that have a folder."""
    found = {path.parts[-3] for domain in DOMAINS for path in FOLDER.glob(f"*/LC_MESSAGES/{domain}.po")}
    return sorted(found)


def present() -> list[tuple[str, str]]:
    """(locale, domain) of every .po file there is."""
    return [(name, domain) for name in locale_names() for domain in DOMAINS if po_path(name, domain).exists()]


def shown(path: Path) -> str:
    """A path as people are told it: from the checkout's root on."""
    return str(path.relative_to(FOLDER.parent))


def write_whole(path: Path, data: bytes) -> None:
    """`path` holds `data`; who reads it meanwhile reads all of the old or all of the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(f".{path.name}.new")
    waiting.write_bytes(data)
    waiting.replace(path)
