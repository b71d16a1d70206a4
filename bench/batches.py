"""Batches of spends: a thousand in one call, beside the bare statement that writes the same rows."""

import random
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import psycopg

from bench.measure import Clock

SIZE = 1_000

# Its clients keep to accounts of their own: a bare UPDATE of many rows has no order of locks and would deadlock.
FLOOR_MANY = """
WITH i AS (
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) i (account_id, amount, key)
), a AS (
    UPDATE bench.accounts a SET balance = a.balance - i.amount, seq = a.seq + 1 FROM i
    WHERE a.account_id = i.account_id RETURNING a.account_id, a.seq, i.amount, a.balance, i.key
)
INSERT INTO bench.entries SELECT account_id, seq, -amount, balance, key, clock_timestamp() FROM a RETURNING seq
"""
SPEND_MANY = (
    "SELECT item, replayed, refusal, message, detail, (entry).* FROM ledger.spend_many(%s::bigint[], %s::bigint[],"
    " %s::text[], %s::bytea[], %s::text[], %s::text[], %s::bigint[], %s::boolean[], %s::text[], %s::text[],"
    " %s::text[], %s::text[], %s::timestamptz[])"
)


def floor_arguments(ids: Sequence[int], amounts: Sequence[int], keys: Sequence[str]) -> list[Any]:
    return [ids, amounts, keys]


def spend_arguments(ids: Sequence[int], amounts: Sequence[int], keys: Sequence[str]) -> list[Any]:
    """What a spend of bench.clients.SPEND has, a thousand times."""
    size = len(ids)
    nothing = [None] * size
    return [
        ids, amounts, keys, [b"\x00"] * size, ["bench"] * size, ["api-call"] * size, amounts, [False] * size,
        [""] * size, nothing, ["{}"] * size, nothing, nothing,
    ]  # fmt: skip


def batch_client(url: str, spend: bool, size: int, lowest: int, highest: int, begin: float, end: float) -> bytes:
    """Sends batches of `size` for random accounts, each a database transaction of its own, an account once in each."""
    clock = Clock(begin, end)
    chance = random.Random()
    name = uuid4().hex
    query, arguments = (SPEND_MANY, spend_arguments) if spend else (FLOOR_MANY, floor_arguments)
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        cursor = connection.cursor()
        number = 0
        while clock.goes_on():
            number += 1
            ids = chance.sample(range(lowest, highest + 1), size)
            amounts = [chance.randint(1, 5) for _ in ids]
            keys = [f"{name}-{number}-{place}" for place in range(size)]
            started = time.time()
            cursor.execute(query.encode(), arguments(ids, amounts, keys))
            assert len(cursor.fetchall()) == size
            clock.note(started)
    return clock.seen.tobytes()


def face_client(url: str, size: int, lowest: int, highest: int, begin: float, end: float) -> bytes:
    """The same through webapp.ledger.spend_many, as the application would: checks, fingerprints, entries as objects."""
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    from webapp import ledger
    from webapp.database import sqlalchemy_url

    clock = Clock(begin, end)
    chance = random.Random()
    name = uuid4().hex
    engine = create_engine(sqlalchemy_url(url))
    with Session(engine) as session:
        number = 0
        while clock.goes_on():
            number += 1
            items = [
                ledger.SpendItem(
                    account_id=account_id, amount=chance.randint(1, 5), idempotency_key=f"{name}-{number}-{account_id}",
                    actor="bench", feature="api-call", quantity=1,
                )
                for account_id in chance.sample(range(lowest, highest + 1), size)
            ]  # fmt: skip
            started = time.time()
            outcomes = ledger.spend_many(session, items=items)
            session.commit()
            assert all(isinstance(one, ledger.Written) for one in outcomes)
            clock.note(started)
    engine.dispose()
    return clock.seen.tobytes()


def shares(where: tuple[int, int], clients: int) -> list[tuple[int, int]]:
    """The accounts of `where` in equal parts, one for each client."""
    lowest, highest = where
    part = (highest - lowest + 1) // clients
    return [(lowest + n * part, lowest + (n + 1) * part - 1) for n in range(clients)]
