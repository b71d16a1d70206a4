"""People with accounts and a quarter of history, put into the tables by set-based SQL, and ready to be signed in as.

As in accounts.py the figures agree with each other, and only the hashes are not chained.
"""

import psycopg

GRANTS_EACH = 2
CREDITS_EACH = 1_000
# Of the features of the shipped rate card; the last is rare, so that a search for it has far to go.
FEATURES = ("chat-message", "image", "api-call")
RARE = "export"
RARE_EVERY = 10_000
DAYS = 90

_ACCOUNT_IDS = (
    "INSERT INTO ledger.account_ids (external_id) SELECT %(prefix)s || n FROM generate_series(1, %(people)s) n"
)
_ACCOUNTS = """
INSERT INTO ledger.accounts (account_id, external_id, created_at, booked_at, balance, seq, due_at)
SELECT account_id, external_id, now() - make_interval(days => %(days)s), now(), %(grants)s::bigint * %(credits)s,
       %(grants)s + %(spends)s, now() + interval '30 days'
FROM ledger.account_ids WHERE external_id LIKE %(prefix)s || '%%'
"""
_GRANTS = """
INSERT INTO ledger.grants (account_id, grant_id, source, amount, remaining, effective_at, expires_at, burn_rank,
                           description, fingerprint, open)
SELECT account_id, n, 'bench', CASE n WHEN 1 THEN %(credits)s + %(spends)s ELSE %(credits)s END, %(credits)s,
       now() - make_interval(days => %(days)s), now() + n * interval '30 days', 0, 'A grant', '\\x00', true
FROM ledger.account_ids, generate_series(1, %(grants)s) n WHERE external_id LIKE %(prefix)s || '%%'
"""
_GRANT_ENTRIES = """
INSERT INTO ledger.entries (account_id, seq, kind, amount, balance_after, debt_after, drawn_grants, drawn_amounts,
                            description, fingerprint, actor, occurred_at, booked_at, hash)
SELECT account_id, n, 'grant', %(credits)s + CASE n WHEN 1 THEN %(spends)s ELSE 0 END, n * %(credits)s + %(spends)s, 0,
       ARRAY[n], ARRAY[%(credits)s + CASE n WHEN 1 THEN %(spends)s ELSE 0 END], 'A grant', '\\x00', 'bench',
       now() - make_interval(days => %(days)s), now() - make_interval(days => %(days)s), sha256(int8send(n))
FROM ledger.account_ids, generate_series(1, %(grants)s::bigint) n WHERE external_id LIKE %(prefix)s || '%%'
"""
_SPENDS = """
INSERT INTO ledger.entries (account_id, seq, kind, amount, balance_after, debt_after, drawn_grants, drawn_amounts,
                            feature, quantity, description, idempotency_key, fingerprint, actor, occurred_at,
                            booked_at, hash)
SELECT account_id, %(grants)s + n, 'spend', -1, %(grants)s::bigint * %(credits)s + %(spends)s - n, 0,
       ARRAY[1::bigint], ARRAY[-1::bigint],
       CASE WHEN n %% %(every)s = 0 THEN %(rare)s ELSE (%(features)s::text[])[1 + n %% %(kinds)s] END, 1, 'Work ' || n,
       'old-' || n, '\\x00', 'bench', at, at, sha256(int8send(n))
FROM ledger.account_ids, generate_series(1, %(spends)s::bigint) n,
     LATERAL (SELECT now() - make_interval(days => %(days)s) * (1 - n / %(spends)s::float8) AS at) moment
WHERE external_id LIKE %(prefix)s || '%%'
"""
_USERS = """
INSERT INTO users (email, email_key, password_hash, name, locale, time_zone, account_id, external_id, created_at,
                   password_changed_at, confirmed_at)
SELECT external_id || '@bench.example.com', external_id || '@bench.example.com', '', 'Somebody ' || account_id, 'en',
       'Europe/Berlin', account_id, external_id, now(), now(), now()
FROM ledger.account_ids WHERE external_id LIKE %(prefix)s || '%%'
"""


def make_people(superuser_url: str, *, prefix: str, people: int, spends: int) -> tuple[int, int]:
    """`people` people named by `prefix` exist, each with two open grants and `spends` spends over the last 90 days.

    Returns the lowest and the highest of the ids of their accounts, which are dense.
    """
    given = {
        "prefix": prefix,
        "people": people,
        "spends": spends,
        "grants": GRANTS_EACH,
        "credits": CREDITS_EACH,
        "days": DAYS,
        "features": list(FEATURES),
        "kinds": len(FEATURES),
        "rare": RARE,
        "every": RARE_EVERY,
    }
    with psycopg.connect(superuser_url) as connection:
        for statement in (_ACCOUNT_IDS, _ACCOUNTS, _GRANTS, _GRANT_ENTRIES, _SPENDS, _USERS):
            connection.execute(statement, given)
        row = connection.execute(
            "SELECT min(account_id), max(account_id) FROM ledger.account_ids WHERE external_id LIKE %s || '%%'",
            [prefix],
        ).fetchone()
    assert row is not None
    return row[0], row[1]
