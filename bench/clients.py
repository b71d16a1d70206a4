"""One client each: the floor, a spend by psycopg."""

import random
import time
from uuid import uuid4

import psycopg

from bench.measure import Clock

FLOOR_TABLES = """
CREATE SCHEMA bench;
CREATE TABLE bench.accounts (account_id bigint PRIMARY KEY, balance bigint NOT NULL, seq bigint NOT NULL)
    WITH (fillfactor = 70);
CREATE TABLE bench.entries (account_id bigint, seq bigint, amount bigint NOT NULL, balance_after bigint NOT NULL,
    idempotency_key text NOT NULL, booked_at timestamptz NOT NULL, PRIMARY KEY (account_id, seq));
INSERT INTO bench.accounts SELECT n, 5000, 0 FROM generate_series(1, {accounts}) n;
GRANT USAGE ON SCHEMA bench TO tallystick_app;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA bench TO tallystick_app;
"""
FLOOR = (
    "WITH a AS (UPDATE bench.accounts SET balance = balance - {amount}, seq = seq + 1 WHERE account_id = {account}"
    " RETURNING account_id, seq, balance)"
    " INSERT INTO bench.entries SELECT account_id, seq, -{amount}::bigint, balance, {key}, clock_timestamp() FROM a"
    " RETURNING seq"
)
SPEND = (
    "SELECT replayed, (entry).* FROM ledger.spend({account}, {amount}, {key}, '\\x00', 'bench', 'api-call',"
    " {amount}, false, '', NULL, '{{}}', NULL, NULL)"
)
_BINDINGS = {"account": "%(account)s::bigint", "amount": "%(amount)s::bigint", "key": "%(key)s::text"}


def sql_client(url: str, statement: str, lowest: int, highest: int, begin: float, end: float) -> bytes:
    """Calls `statement` on random accounts, each call a database transaction of its own."""
    clock = Clock(begin, end)
    chance = random.Random()
    name = uuid4().hex
    query = statement.format(**_BINDINGS).encode()
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
            cursor.execute(query, given)
            cursor.fetchone()
            clock.note(started)
    return clock.seen.tobytes()
