"""From the product's names to the ledger's: accounts by external id, entries by `external_id:seq`, holds by
`external_id:h<number>`.
"""

import re
import threading
from collections.abc import Iterable

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.fields import EXTERNAL_ID
from webapp.api.problems import invalid
from webapp.api.refusals import entry_not_found, hold_not_found

_SEQ = re.compile(r"[1-9]\d{0,17}", re.ASCII)


class AccountIds:
    """Our ids by external id, which never change, so that a spend need not ask for one each time.

    Forgotten with every new connection: after a database was restored from a backup, all connections are new.
    """

    MOST = 100_000

    def __init__(self, engine: Engine) -> None:
        self._ids: dict[str, int] = {}
        self._lock = threading.Lock()
        event.listen(engine, "connect", lambda *_: self.forget())

    def forget(self) -> None:
        with self._lock:
            self._ids.clear()

    def get(self, external_id: str) -> int | None:
        return self._ids.get(external_id)

    def put(self, external_id: str, account_id: int) -> None:
        with self._lock:
            if len(self._ids) >= self.MOST:
                self._ids.clear()
            self._ids[external_id] = account_id


def find_account_id(session: Session, *, external_id: str) -> int:
    """Our id of the account. Raises AccountNotFound."""
    ids: AccountIds = current_app.extensions["api_account_ids"]
    known = ids.get(external_id)
    if known is not None:
        return known
    account_id = ledger.find_account(session, external_id=external_id).account_id
    ids.put(external_id, account_id)
    return account_id


_FIND_ALL = text("SELECT external_id, account_id FROM ledger.accounts_v WHERE external_id = ANY (:external_ids)")


def find_account_ids(session: Session, *, external_ids: Iterable[str]) -> dict[str, int]:
    """Our ids of those accounts that exist, in at most one statement."""
    ids: AccountIds = current_app.extensions["api_account_ids"]
    found = {external_id: ids.get(external_id) for external_id in external_ids}
    unknown = [external_id for external_id, account_id in found.items() if account_id is None]
    if unknown:
        for external_id, account_id in session.execute(_FIND_ALL, {"external_ids": unknown}):
            found[external_id] = account_id
            ids.put(external_id, account_id)
    return {external_id: account_id for external_id, account_id in found.items() if account_id is not None}


def check_external_id(external_id: str) -> str:
    """The external id of a path. Raises 400 for one that no account can have."""
    if not EXTERNAL_ID.fullmatch(external_id):
        detail = _("“%(field)s” must be 1 to 128 of A–Z a–z 0–9 . _ - : @ +", field="external_id")
        raise invalid(detail, field="external_id")
    return external_id


def split_entry_id(entry: str) -> tuple[str, int]:
    """External id and seq of an entry's id; the seq follows the last colon. Raises 404 for what names no entry."""
    external_id, _colon, seq = entry.rpartition(":")
    if not EXTERNAL_ID.fullmatch(external_id) or not _SEQ.fullmatch(seq):
        raise entry_not_found()
    return external_id, int(seq)


def hold_id(*, external_id: str, number: int) -> str:
    """How outsiders name the account's hold of that number; `ledger.holds_v.hold_id`."""
    return f"{external_id}:h{number}"


def split_hold_id(hold: str) -> tuple[str, int]:
    """External id and number of a hold's id; `h` and the number follow the last colon. Raises 404 for what is none."""
    external_id, _colon, number = hold.rpartition(":")
    if not EXTERNAL_ID.fullmatch(external_id) or not number.startswith("h") or not _SEQ.fullmatch(number[1:]):
        raise hold_not_found()
    return external_id, int(number[1:])
