"""The application's side of sealing the ledger: its key, its rounds, and the file that seals are exported to."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from flask import current_app

from webapp import clock
from webapp.config import SANDBOX_SEAL_KEY, Settings
from webapp.database import unit_of_work
from webapp.ledger.seals import Seal, SealKeys, seal, sealed_all, seals

EXPORTED_AT_ONCE = 1_000


def seal_keys(settings: Settings) -> SealKeys:
    """The keys of LEDGER_SEAL_KEY; in sandbox mode without one, this data directory's own, if it has one yet."""
    if settings.ledger_seal_key != SANDBOX_SEAL_KEY:
        return SealKeys.parse(settings.ledger_seal_key)
    path = _sandbox_key_path(settings)
    return SealKeys.parse(path.read_text() if path.exists() else "")


def _make_sandbox_key(settings: Settings) -> None:
    """Make the data directory's own key, once, readable by us alone."""
    path = _sandbox_key_path(settings)
    if settings.ledger_seal_key != SANDBOX_SEAL_KEY or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    with suppress(FileExistsError):
        os.link(whole, path)  # never over the key that another process has just made
    whole.unlink()


def _sandbox_key_path(settings: Settings) -> Path:
    return settings.data_dir / "seal-key"


def export_path(settings: Settings) -> Path:
    """Where seals are exported to unless somebody names another file."""
    return settings.data_dir / "seals" / "ledger.jsonl"


def seal_ledger(*, export: Path | None = None) -> list[Seal]:
    """Every account that has changed since its last seal is sealed, and all seals are in the exported file.

    Each seal is a unit of work of its own. Safe to repeat and to run twice at once. Returns the new seals.
    """
    settings: Settings = current_app.config["SETTINGS"]
    _make_sandbox_key(settings)
    keys = seal_keys(settings)
    with unit_of_work():
        began = clock.now()
    made, after = _seal_after(keys, 0)
    found = [made] if made else []
    while after:
        made, after = _seal_after(keys, after)
        found += [made] if made else []
    with unit_of_work() as session:
        sealed_all(session, began=began)
    export_seals(export or export_path(settings))
    return found


def _seal_after(keys: SealKeys, after: int) -> tuple[Seal | None, int]:
    with unit_of_work() as session:
        return seal(session, keys=keys, after=after)


def export_seals(path: Path) -> int:
    """Append every seal that the file does not have yet, a line each, and wait until they are on the disk.

    Returns how many. Whoever exports at the same time to the same file waits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        whole = [line for line in file if line.endswith(b"\n")]
        file.truncate(sum(map(len, whole)))  # whoever wrote half a line did not live to write it all
        last = max((Seal.of_line(line.decode()).number for line in whole), default=0)
        for made in _seals_after(last):
            file.write(f"{made.as_line()}\n".encode())
            written += 1
        file.flush()
        os.fsync(file.fileno())
    return written


def exported_seals(path: Path) -> Iterator[Seal]:
    """The seals in an exported file. Raises ValueError for a line that is none; a line half written is none yet."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield Seal.of_line(line)


def _seals_after(number: int) -> Iterator[Seal]:
    while True:
        with unit_of_work() as session:
            page = seals(session, after=number, limit=EXPORTED_AT_ONCE)
        yield from page
        if len(page) < EXPORTED_AT_ONCE:
            return
        number = page[-1].number
