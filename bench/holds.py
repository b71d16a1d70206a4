"""One client of holds: placing them, or placing and capturing."""

import random
import time
from uuid import uuid4

import psycopg

from bench.measure import Clock

_PLACED = (
    "SELECT replayed, (hold).number FROM ledger.place_hold(%(account)s::bigint, %(amount)s::bigint, %(key)s::text,"
    " '\\x00', 'bench', '15 minutes', 'api-call')"
)
_CAPTURE = (
    "SELECT replayed, (entry).* FROM ledger.capture_hold(%(account)s::bigint, %(number)s::bigint, %(amount)s::bigint,"
    " false, %(key)s::text, '\\x00', 'bench')"
)


def hold_client(url: str, capture: bool, lowest: int, highest: int, begin: float, end: float) -> bytes:
    """Places a hold on a random account, with `capture` captures all of it, and notes that as one call."""
    clock = Clock(begin, end)
    chance = random.Random()
    name = uuid4().hex
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        cursor = connection.cursor()
        number = 0
        while clock.goes_on():
            number += 1
            given = {
                "account": chance.randint(lowest, highest),
                "amount": chance.randint(1, 5),
                "key": f"{name}-{number}",
            }
            started = time.time()
            row = cursor.execute(_PLACED.encode(), given).fetchone()
            assert row is not None
            if capture:
                cursor.execute(_CAPTURE.encode(), {**given, "number": row[1], "key": f"{name}-{number}-c"})
                cursor.fetchone()
            clock.note(started)
    return clock.seen.tobytes()
