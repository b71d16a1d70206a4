"""The one clock in Python. In sandbox mode it follows the ledger's, which can be moved forward."""

import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

_FRESH_SECONDS = 1.0
_ahead = timedelta(0)
_read_at = float("-inf")


def now() -> datetime:
    """The time in UTC: the system's, plus what the sandbox's clock was moved ahead by."""
    return datetime.now(UTC) + _ahead


def follow(session: Session | Connection, *, movable: bool, at_once: bool = False) -> None:
    """Make `now()` agree with the ledger's clock to within a second. Without `movable` it is the system's.

    One small read a second and process, in sandbox mode only.
    """
    global _ahead, _read_at
    if not movable:
        forget()
        return
    if at_once or time.monotonic() - _read_at > _FRESH_SECONDS:
        _ahead = session.execute(text("SELECT ledger.clock_ahead()")).scalar_one()
        _read_at = time.monotonic()


def forget() -> None:
    """`now()` is the system's until `follow` reads the ledger's clock again."""
    global _ahead, _read_at
    _ahead, _read_at = timedelta(0), float("-inf")
