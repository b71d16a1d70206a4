"""Keeping the order of accounts by balance, which the list of accounts at the admin pages may be asked for."""

from functools import partial

from jobs.application import application
from jobs.progress import count
from webapp.admin import account_ranks
from webapp.database import retried


def rank_accounts() -> None:
    """Every account has the rank of its balance, a chunk at a time; only ranks that have changed are written."""
    with application().app_context():
        after: int | None = 0
        while after is not None:
            after, changed = retried(partial(account_ranks.rank_accounts, after=after))
            count(ranks=changed)
