"""Dividing all accounts into ranges of ids with about the same number of entries each."""

from collections.abc import Iterator
from typing import Any

from psycopg import Connection

from webapp.ledger.proof.reading import Range

FIRST_ID, LAST_ID = 0, 2**63 - 1
ENTRIES = 20_000  # a range, unless one account has more
ACCOUNTS = 5_000

_NEXT = "SELECT account_id, seq FROM ledger.accounts_v WHERE account_id > %s ORDER BY account_id LIMIT %s"


def ranges(connection: Connection[Any]) -> Iterator[tuple[Range, int]]:
    """Ranges without gaps, so that entries of an account that does not exist are met too, each with its entries.

    Reads on while they are taken; no snapshot need stay open between two.
    """
    low, last, entries = FIRST_ID, FIRST_ID - 1, 0
    while rows := connection.execute(_NEXT, [last, ACCOUNTS]).fetchall():
        for account_id, seq in rows:
            if entries and entries + seq > ENTRIES:
                yield (low, last), entries
                low, entries = last + 1, 0
            last, entries = account_id, entries + seq + 1
        yield (low, last), entries
        low, entries = last + 1, 0
    yield (low, LAST_ID), 0
