"""Accounts by their balance, for the list's order alone: a copy that a job keeps, so that no spend touches an index."""

from sqlalchemy import BigInteger, column, table, text
from sqlalchemy.orm import Session

CHUNK = 20_000

RANKS = table("account_ranks", column("account_id", BigInteger), column("balance", BigInteger))

_RANK = text(
    """
    WITH chunk AS MATERIALIZED (
        SELECT account_id, balance FROM ledger.accounts_v WHERE account_id > :after ORDER BY account_id LIMIT :limit
    ), changed AS (
        INSERT INTO account_ranks (account_id, balance)
        SELECT c.account_id, c.balance FROM chunk c LEFT JOIN account_ranks r ON r.account_id = c.account_id
        WHERE r.balance IS DISTINCT FROM c.balance
        ON CONFLICT (account_id) DO UPDATE SET balance = excluded.balance
        RETURNING account_id
    )
    SELECT max(account_id) AS last, (SELECT count(*) FROM changed) AS changed FROM chunk
    """
)


def rank_accounts(session: Session, *, after: int, limit: int = CHUNK) -> tuple[int | None, int]:
    """The next `limit` accounts beyond the id `after` have the rank of their balance, in credits, as it is booked.

    Returns (the last of them, how many had another one); (None, 0) when there are no more. Locks no account.
    """
    row = session.execute(_RANK, {"after": after, "limit": limit}).one()
    return row.last, row.changed
