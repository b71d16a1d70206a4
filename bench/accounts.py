"""Accounts with grants and history, put into the tables by set-based SQL: hours of spending in seconds.

The figures agree with each other as the invariants want; only the hashes are not chained, which nothing here reads.
"""

from datetime import timedelta

import psycopg

GRANTS_EACH = 5
CREDITS_EACH = 1_000

_ACCOUNT_IDS = """
INSERT INTO ledger.account_ids (external_id) SELECT %(prefix)s || n FROM generate_series(1, %(accounts)s) n
"""
_ACCOUNTS = """
INSERT INTO ledger.accounts (account_id, external_id, created_at, booked_at, balance, seq, due_at)
SELECT account_id, external_id, now(), now(), %(grants)s::bigint * %(credits)s, %(grants)s + %(spends)s,
       now() + %(expires_in)s
FROM ledger.account_ids WHERE external_id LIKE %(prefix)s || '%%'
"""
_GRANTS = """
INSERT INTO ledger.grants (account_id, grant_id, source, amount, remaining, effective_at, expires_at, burn_rank,
                           fingerprint, open)
SELECT account_id, n, 'bench', CASE n WHEN 1 THEN %(credits)s + %(spends)s ELSE %(credits)s END,
       %(credits)s, now(), now() + %(expires_in)s + (n - 1) * interval '1 day', 0, '\\x00', true
FROM ledger.account_ids, generate_series(1, %(grants)s) n WHERE external_id LIKE %(prefix)s || '%%'
"""
_GRANT_ENTRIES = """
INSERT INTO ledger.entries (account_id, seq, kind, amount, balance_after, debt_after, drawn_grants, drawn_amounts,
                            description, fingerprint, actor, occurred_at, booked_at, hash)
SELECT account_id, n, 'grant', %(credits)s + CASE n WHEN 1 THEN %(spends)s ELSE 0 END,
       n * %(credits)s + %(spends)s, 0, ARRAY[n], ARRAY[%(credits)s + CASE n WHEN 1 THEN %(spends)s ELSE 0 END],
       'A grant', '\\x00', 'bench', now(), now(), sha256(int8send(n))
FROM ledger.account_ids, generate_series(1, %(grants)s::bigint) n WHERE external_id LIKE %(prefix)s || '%%'
"""
_SPEND_ENTRIES = """
INSERT INTO ledger.entries (account_id, seq, kind, amount, balance_after, debt_after, drawn_grants, drawn_amounts,
                            feature, quantity, description, idempotency_key, fingerprint, actor, occurred_at,
                            booked_at, hash)
SELECT account_id, n, 'spend', -1, %(grants)s::bigint * %(credits)s + %(spends)s - (n - %(grants)s), 0,
       ARRAY[1::bigint], ARRAY[-1::bigint], 'api-call', 1, '', 'old-' || n, sha256(int8send(n)), 'bench', now(), now(),
       sha256(int8send(n))
FROM ledger.account_ids, generate_series(%(grants)s::bigint + 1, %(grants)s + %(spends)s) n
WHERE external_id LIKE %(prefix)s || '%%'
"""

_OLD_HOLDS = """
INSERT INTO ledger.holds (account_id, number, amount, drawn_grants, drawn_amounts, state, idempotency_key, fingerprint,
                          actor, placed_at, placed_after, placed_version, expires_at, closed_at, closed_after,
                          closed_version, closed_by)
SELECT account_id, n, 1, ARRAY[1], ARRAY[1], 'voided', 'old-hold-' || n, '\\x00', 'bench', now(), 1, 1, now(), now(), 1,
       1, 'bench'
FROM ledger.accounts, generate_series(1, %(each)s) n WHERE account_id BETWEEN %(lowest)s AND %(highest)s
"""
_COUNT_HOLDS = "UPDATE ledger.accounts SET holds = %(each)s WHERE account_id BETWEEN %(lowest)s AND %(highest)s"


def make_accounts(
    superuser_url: str,
    *,
    prefix: str,
    accounts: int,
    grants: int = GRANTS_EACH,
    credits: int = CREDITS_EACH,
    spends: int = 0,
    expires_in: timedelta = timedelta(days=30),
) -> tuple[int, int]:
    """`accounts` accounts named by `prefix` exist, each with `grants` open grants of `credits` and `spends` entries.

    The first grant expires after `expires_in` (negative: it has), each other a day after the one before.
    Returns the lowest and the highest of their ids, which are dense.
    """
    given = {
        "prefix": prefix,
        "accounts": accounts,
        "grants": grants,
        "credits": credits,
        "spends": spends,
        "expires_in": expires_in,
    }
    with psycopg.connect(superuser_url) as connection:
        for statement in (_ACCOUNT_IDS, _ACCOUNTS, _GRANTS, _GRANT_ENTRIES, _SPEND_ENTRIES):
            connection.execute(statement, given)
        row = connection.execute(
            "SELECT min(account_id), max(account_id) FROM ledger.account_ids WHERE external_id LIKE %s || '%%'",
            [prefix],
        ).fetchone()
    assert row is not None
    return row[0], row[1]


def make_old_holds(superuser_url: str, *, where: tuple[int, int], each: int) -> None:
    """Each of these accounts has placed and voided `each` holds."""
    given = {"lowest": where[0], "highest": where[1], "each": each}
    with psycopg.connect(superuser_url) as connection:
        connection.execute(_OLD_HOLDS, given)
        connection.execute(_COUNT_HOLDS, given)


def settle(superuser_url: str) -> None:
    """Statistics are fresh and what was built is on disk, so that no round pays for it."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
