"""What a process keeps of keys and prices, so that a spend asks PostgreSQL once and not three times.

Nothing of it is believed: whatever was kept goes into the statement that writes, as a condition. A key revoked or a
rate card published a moment ago makes that statement write nothing, and the request begins anew by reading both.
"""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from flask import current_app

from webapp.api.keys import KnownKey
from webapp.catalog.rate_book import Rated

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """At most `most` values by name; of more, those go that were put in first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str | bytes, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str | bytes) -> Value | None:
        return self._values.get(name)

    def put(self, name: str | bytes, value: Value) -> None:
        with self._lock:
            self._values[name] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._values.clear()


class KeptByProcess:
    """Keys by the hash of their secret, prices with what goes with them by feature."""

    def __init__(self) -> None:
        self.keys: Kept[KnownKey] = Kept(most=1_000)
        self.rates: Kept[Rated] = Kept(most=10_000)

    def forget(self) -> None:
        self.keys.forget()
        self.rates.forget()


def kept() -> KeptByProcess:
    """What this process keeps for the current application."""
    found: KeptByProcess = current_app.extensions["api_kept"]
    return found
