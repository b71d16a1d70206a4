"""`python -m bench.granting [--accounts N] [--write]`: what a month of everybody costs, and what spends lose beside it.

Each account is on a free plan whose last month has just ended with credits left: they expire, the new month's credits
come, a mail is on its way. With `carried` what was left is carried over, too.
"""

import argparse
import time
from datetime import timedelta
from math import inf
from multiprocessing.pool import Pool

import psycopg
from flask import Flask

from bench import report
from bench.accounts import make_accounts, settle
from bench.beside import BYSTANDERS, Run, application_on, beside_job, run_paced
from bench.measure import Round, new_pool, round_of
from bench.report import Line
from bench.servers import Servers, private_servers
from jobs.grant_due import CHUNK, grant_chunk

CREDITS = 1_000
CARRIED = 400

# No two months begin at the same moment, as people do not sign up at the same moment, nor in one time zone.
_ENTITLED = """
INSERT INTO entitlements (user_id, account_id, external_id, mode, kind, plan, plan_name, credits_per_month, expiry,
                          rollover_cap, grant_priority, anchor_at, time_zone, starts_at, next_period, next_at,
                          created_at)
SELECT account_id, account_id, external_id, 'sandbox', 'free', 'free', 'Free', %(credits)s, 'period', %(carried)s, 0,
       anchor, zone, anchor, 1, (anchor AT TIME ZONE zone + interval '1 month') AT TIME ZONE zone, anchor
FROM (
    SELECT account_id, external_id,
           (ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata'])[1 + account_id %% 4] AS zone,
           now() - interval '3 hours' - interval '1 month' - account_id %% 1000000 * interval '7 milliseconds' AS anchor
    FROM ledger.account_ids WHERE account_id BETWEEN %(lowest)s AND %(highest)s
) a
"""
_PERIODS = """
INSERT INTO entitlement_periods (entitlement_id, number, account_id, starts_at, ends_at, credits, rollover_cap,
                                 grant_id, cost_minor, granted_at)
SELECT id, 0, account_id, anchor_at, next_at, credits_per_month, rollover_cap, 1, 0, anchor_at
FROM entitlements WHERE account_id BETWEEN %(lowest)s AND %(highest)s
"""
# The first month's grant ends when the second month begins.
_END = """
UPDATE ledger.grants g SET expires_at = e.next_at, effective_at = e.anchor_at
FROM entitlements e WHERE e.account_id = g.account_id AND g.account_id BETWEEN %(lowest)s AND %(highest)s
"""
_COPIED = ("ledger.accounts", "ledger.grants", "ledger.entries", "entitlements", "entitlement_periods", "outbox")
_FOREIGN_KEY = """
ALTER TABLE bench.bare_entitlement_periods ADD FOREIGN KEY (entitlement_id) REFERENCES bench.bare_entitlements
"""
# It writes the same rows into tables with the same indexes, checks, fill factors and foreign key. An entry has a hash
# of its content and of the one before; the bare statement has none to compute.
_BARE = """
WITH moved AS (
    UPDATE bench.bare_entitlements SET next_period = next_period + 1, next_at = next_at + interval '1 month'
    RETURNING *
), ended AS (
    UPDATE bench.bare_grants SET remaining = 0, open = false, expired = remaining RETURNING *
), kept AS (
    UPDATE bench.bare_accounts SET balance = {balance}, seq = seq + {written}, version = version + 2, booked_at = now(),
           due_at = now() + interval '1 month', head = decode(repeat('00', 32), 'hex') RETURNING account_id
), {carried}
given AS (
    INSERT INTO bench.bare_grants (account_id, grant_id, source, source_key, amount, remaining, effective_at,
                                   expires_at, burn_rank, description, fingerprint, open)
    SELECT account_id, 3, 'plan', 'grant:' || id || ':1', credits_per_month, credits_per_month,
           next_at - interval '1 month', next_at, 0, plan_name, decode(repeat('00', 32), 'hex'), true FROM moved
), expired AS (
    INSERT INTO bench.bare_entries (account_id, seq, kind, amount, balance_after, debt_after, drawn_grants,
                                    drawn_amounts, about_seq, description, actor, occurred_at, booked_at, hash)
    SELECT account_id, 2, 'expire', -amount, 0, 0, ARRAY[grant_id], ARRAY[-amount], grant_id, description, 'ledger',
           expires_at, now(), decode(repeat('00', 32), 'hex') FROM ended
), granted AS (
    INSERT INTO bench.bare_entries (account_id, seq, kind, amount, balance_after, debt_after, drawn_grants,
                                    drawn_amounts, description, fingerprint, metadata, actor, occurred_at, booked_at,
                                    hash)
    SELECT account_id, 3, 'grant', credits_per_month, credits_per_month, 0, ARRAY[3], ARRAY[credits_per_month],
           plan_name, decode(repeat('00', 32), 'hex'),
           jsonb_build_object('plan', plan, 'entitlement', id, 'period', 1, 'cause', 'month'), 'plan',
           next_at - interval '1 month', now(), decode(repeat('00', 32), 'hex') FROM moved
), told AS (
    INSERT INTO bench.bare_outbox (job, key, args, created_at, due_at, attempts)
    SELECT 'send_mail', 'credits-granted:' || account_id || ':3', jsonb_build_object('mail', 'credits_granted',
           'user_id', user_id, 'account_id', account_id, 'grants', jsonb_build_array(jsonb_build_array(3, 1000))),
           now(), now(), 0 FROM moved
)
INSERT INTO bench.bare_entitlement_periods (entitlement_id, number, account_id, starts_at, ends_at, credits,
                                            rollover_cap, grant_id, cost_minor, granted_at)
SELECT id, 1, account_id, next_at - interval '1 month', next_at, credits_per_month, rollover_cap, 3, 0, now() FROM moved
"""
_CARRIED = """
rolled AS (
    INSERT INTO bench.bare_grants (account_id, grant_id, source, source_key, amount, remaining, effective_at,
                                   expires_at, burn_rank, description, fingerprint, open)
    SELECT account_id, 4, 'rollover', 'rollover:' || id || ':0', rollover_cap, rollover_cap,
           next_at - interval '1 month', next_at, 0, plan_name, decode(repeat('00', 32), 'hex'), true FROM moved
), noted AS (
    INSERT INTO bench.bare_entries (account_id, seq, kind, amount, balance_after, debt_after, drawn_grants,
                                    drawn_amounts, about_seq, description, fingerprint, actor, occurred_at, booked_at,
                                    hash)
    SELECT account_id, 4, 'grant', rollover_cap, credits_per_month + rollover_cap, 0, ARRAY[4], ARRAY[rollover_cap], 1,
           plan_name, decode(repeat('00', 32), 'hex'), 'plan', next_at - interval '1 month', now(),
           decode(repeat('00', 32), 'hex') FROM moved
), linked AS (
    UPDATE bench.bare_entitlement_periods SET rolled_into = 4
),
"""


def make_due(superuser_url: str, *, prefix: str, accounts: int, carried: int = 0) -> tuple[int, int]:
    """So many accounts are due their second month; returns the lowest and the highest of their ids."""
    lowest, highest = make_accounts(
        superuser_url, prefix=prefix, accounts=accounts, grants=1, credits=CREDITS, expires_in=timedelta(hours=-1)
    )
    given = {"lowest": lowest, "highest": highest, "credits": CREDITS, "carried": carried}
    with psycopg.connect(superuser_url) as connection:
        for statement in (_ENTITLED, _PERIODS, _END):
            connection.execute(statement.encode(), given)
    return lowest, highest


def granting(pool: Pool, servers: Servers, many: tuple[int, int], *, accounts: int, seconds: float) -> list[Line]:
    """Lines about a month's grants of so many accounts, with and without rollover, and about spends beside them."""
    lines = []
    for carried in (0, CARRIED):
        where = make_due(servers.superuser_url, prefix=f"month-{carried}-", accounts=accounts, carried=carried)
        bare = Round(accounts / _run_bare(servers.superuser_url, where, carried=carried), 0, 0)
        run = grant_all(application_on(servers))
        whole = round_of(run.chunks, seconds=1)
        rate = Round(accounts / run.worked, whole.p50_ms, whole.p99_ms)
        what = "with what was left carried over, " if carried else ""
        took = f"{run.worked:.0f} s, with its rests {run.seconds:.0f} s; memory grew by {run.grown_mb:.0f} MB"
        lines += [
            Line(f"floor: one bare statement that writes the rows of a month for {accounts:,} accounts, {what}indexes",
                 1, bare),
            Line(f"`grant_due`, {accounts:,} accounts, {what}chunks of {CHUNK:,}; latencies of chunks; {took}", 1, rate,
                 bare, "bare statement"),
        ]  # fmt: skip
    quiet, beside, share = _bystanders(pool, servers, many, seconds=seconds, accounts=max(accounts // 4, 50_000))
    return [
        *lines,
        Line(f"`ledger.spend` on other accounts, {BYSTANDERS} clients, nobody grants", BYSTANDERS, quiet),
        Line(f"the same beside `grant_due`, which worked {share:.0%} of the time", BYSTANDERS, beside, quiet,
             "line above"),
    ]  # fmt: skip


def _run_bare(superuser_url: str, where: tuple[int, int], *, carried: int) -> float:
    """Seconds that the bare statement takes on copies of the tables."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS bench")
        for table in _COPIED:
            _copy(connection, table, where)
        connection.execute(_FOREIGN_KEY)
        settle(superuser_url)
        query = _BARE.format(
            balance=CREDITS + carried, written=3 if carried else 2, carried=_CARRIED if carried else ""
        )
        began = time.time()
        connection.execute(query.encode())
        taken = time.time() - began
        for table in _COPIED:
            connection.execute(f"DROP TABLE bench.bare_{table.rpartition('.')[2]} CASCADE".encode())
    settle(superuser_url)
    return taken


def _copy(connection: psycopg.Connection, table: str, where: tuple[int, int]) -> None:
    """A table like it with the rows of these accounts; its own rows are left out where it names none."""
    copy = f"bench.bare_{table.rpartition('.')[2]}"
    row = connection.execute("SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = %s::regclass", [table])
    options = row.fetchone()[0]  # type: ignore[index]
    stored = f" WITH ({options})" if options else ""
    connection.execute(f"DROP TABLE IF EXISTS {copy} CASCADE".encode())
    connection.execute(f"CREATE TABLE {copy} (LIKE {table} INCLUDING ALL){stored}".encode())
    if table != "outbox":
        overriding = "OVERRIDING SYSTEM VALUE" if table == "entitlements" else ""
        connection.execute(
            f"INSERT INTO {copy} {overriding} SELECT * FROM {table} WHERE account_id BETWEEN %s AND %s".encode(), where
        )


def grant_all(application: Flask, *, longest_seconds: float = inf) -> Run:
    """Grants as the job does, until nothing is due or so much time has passed."""
    return run_paced(application, grant_chunk, longest_seconds=longest_seconds)


def _bystanders(
    pool: Pool, servers: Servers, many: tuple[int, int], *, seconds: float, accounts: int
) -> tuple[Round, Round, float]:
    """Spends on accounts that are not due: while nobody grants, and beside a job that has enough to do."""
    make_due(servers.superuser_url, prefix="month-too-", accounts=accounts)
    settle(servers.superuser_url)
    return beside_job(pool, servers, many, job=grant_all, seconds=seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="append the result to docs/benchmarks.md")
    parser.add_argument("--accounts", type=int, default=100_000, help="that are due, without and with rollover")
    parser.add_argument("--bystanders", type=int, default=10_000, help="accounts from which others spend meanwhile")
    parser.add_argument("--seconds", type=float, default=10, help="of the rounds of these spends")
    options = parser.parse_args()
    machine = report.machine()
    print(machine, flush=True)
    with private_servers() as servers, new_pool() as pool:
        many = make_accounts(servers.superuser_url, prefix="many-", accounts=options.bystanders)
        lines = granting(pool, servers, many, accounts=options.accounts, seconds=options.seconds)
    report.tell("python -m bench.granting", machine, report.table(lines), write=options.write)


if __name__ == "__main__":
    main()
