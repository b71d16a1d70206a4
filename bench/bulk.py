"""What is measured once, because it uses up what it works on: the expiry of many grants, the proof of many entries."""

import os
import random
import subprocess
import sys
import time
from datetime import timedelta
from math import inf
from multiprocessing.pool import Pool

import psycopg
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from bench.accounts import make_accounts, settle
from bench.beside import BYSTANDERS, Run, application_on, beside_job, run_paced
from bench.measure import Round, round_of
from bench.report import ROOT, Line
from bench.servers import Servers, environment_of
from jobs.expire_due import CHUNK, expire_chunk
from webapp import ledger
from webapp.database import sqlalchemy_url
from webapp.ledger.batches import MOST_GRANTS, MOST_SPENDS

HOUR_AGO = timedelta(hours=-1)
ENTRIES_EACH = 100

_COPIES = """
DROP TABLE IF EXISTS bench.bare_grants, bench.bare_entries;
CREATE TABLE bench.bare_grants (LIKE ledger.grants INCLUDING ALL);
CREATE TABLE bench.bare_entries (LIKE ledger.entries INCLUDING ALL);
INSERT INTO bench.bare_grants SELECT * FROM ledger.grants WHERE account_id BETWEEN {lowest} AND {highest};
INSERT INTO bench.bare_entries SELECT * FROM ledger.entries WHERE account_id BETWEEN {lowest} AND {highest};
"""
_BARE = """
WITH g AS (UPDATE bench.bare_grants SET remaining = 0, open = false, expired = remaining RETURNING *)
INSERT INTO bench.bare_entries (account_id, seq, kind, amount, balance_after, debt_after, drawn_grants, drawn_amounts,
                                about_seq, description, actor, occurred_at, booked_at, hash)
SELECT account_id, grant_id + 1, 'expire', -amount, 0, 0, ARRAY[grant_id], ARRAY[-amount], grant_id, description,
       'ledger', expires_at, now(), decode(repeat('00', 32), 'hex') FROM g
"""


def expiry(pool: Pool, servers: Servers, many: tuple[int, int], *, grants: int, seconds: float) -> list[Line]:
    """Lines about a sweep over `grants` accounts with one expired grant each, and about spends beside it."""
    lowest, highest = make_accounts(
        servers.superuser_url, prefix="due-", accounts=grants, grants=1, expires_in=HOUR_AGO
    )
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        connection.execute(_COPIES.format(lowest=lowest, highest=highest).encode())
        settle(servers.superuser_url)
        began = time.time()
        connection.execute(_BARE)
        bare = Round(grants / (time.time() - began), 0, 0)
        connection.execute("DROP TABLE bench.bare_grants, bench.bare_entries")
    run = sweep(application_on(servers))
    whole = round_of(run.chunks, seconds=1)
    rate = Round(grants / run.worked, whole.p50_ms, whole.p99_ms)
    took = f"{run.worked:.0f} s, with its rests {run.seconds:.0f} s"
    quiet, beside, share = _bystanders(pool, servers, many, seconds=seconds, grants=grants)
    return [
        Line(f"floor: one bare UPDATE of {grants:,} grants and INSERT of their entries, with all indexes", 1, bare),
        Line(f"`ledger.expire_due`, {grants:,} grants, chunks of {CHUNK:,}; latencies of chunks; {took}", 1, rate,
             bare, "bare statement"),
        Line(f"`ledger.spend` on other accounts, {BYSTANDERS} clients, nobody sweeps", BYSTANDERS, quiet),
        Line(f"the same beside a sweep, which worked {share:.0%} of the time", BYSTANDERS, beside, quiet, "line above"),
    ]  # fmt: skip


def sweep(application: Flask, *, longest_seconds: float = inf) -> Run:
    """Sweeps as the job does, until nothing is due or so much time has passed."""
    return run_paced(application, expire_chunk, longest_seconds=longest_seconds)


def _bystanders(
    pool: Pool, servers: Servers, many: tuple[int, int], *, seconds: float, grants: int
) -> tuple[Round, Round, float]:
    """Spends on accounts that are not due: without a sweep, and beside one that has enough to do."""
    make_accounts(servers.superuser_url, prefix="due-too-", accounts=max(grants, 50_000), grants=1, expires_in=HOUR_AGO)
    settle(servers.superuser_url)
    return beside_job(pool, servers, many, job=sweep, seconds=seconds)


def verification(servers: Servers, *, entries: int) -> list[Line]:
    """Lines about `flask ledger verify` over `entries` entries with true hashes, in servers that hold nothing else."""
    build_history(servers.database_url, entries=entries)
    settle(servers.superuser_url)
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        began = time.time()
        row = connection.execute(
            "SELECT count(*), count(sha256(convert_to(e::text, 'UTF8'))) FROM ledger.entries e"
        ).fetchone()
        assert row is not None
        bare = Round(row[0] / (time.time() - began), 0, 0)
    began = time.time()
    command = [sys.executable, "-m", "flask", "--app", "webapp", "ledger", "verify"]
    environment = {**os.environ, **environment_of(servers, port=8000)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    taken = time.time() - began
    return [
        Line(f"floor: PostgreSQL reads {row[0]:,} entries and hashes the text of each, in one statement", 1, bare),
        Line(f"`flask ledger verify` of these entries: {taken:.1f} s", 1, Round(row[0] / taken, 0, 0), bare),
    ]  # fmt: skip


def build_history(url: str, *, entries: int) -> None:
    """Accounts with five grants and 95 spends each, written by batches: every hash is true."""
    accounts = max(entries // ENTRIES_EACH, 1)
    engine = create_engine(sqlalchemy_url(url))
    with Session(engine) as session:
        opened = text("SELECT (ledger.open_account('proof-' || n)).account_id FROM generate_series(1, :accounts) n")
        ids = list(session.execute(opened, {"accounts": accounts}).scalars())
        session.commit()
        chance = random.Random(1)
        for grant in range(5):
            for start in range(0, accounts, MOST_GRANTS):
                items = [
                    ledger.GrantItem(account_id=one, amount=100, source="bench", source_key=f"g{grant}", actor="bench")
                    for one in ids[start : start + MOST_GRANTS]
                ]
                ledger.grant_many(session, items=items)
                session.commit()
        for spend in range(ENTRIES_EACH - 5):
            for start in range(0, accounts, MOST_SPENDS):
                spends = [
                    ledger.SpendItem(
                        account_id=one, amount=chance.randint(1, 5), idempotency_key=f"s{spend}", actor="bench",
                        feature="api-call", quantity=1,
                    )
                    for one in ids[start : start + MOST_SPENDS]
                ]  # fmt: skip
                ledger.spend_many(session, items=spends)
                session.commit()
    engine.dispose()
