"""Giving what a campaign promises to who qualifies, set-based and once an account."""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import ledger, outbox
from webapp.catalog.campaign import Campaign

# The ledger itself knows who has it already: by the source key, which its index finds.
_NOT_YET = """
    AND NOT EXISTS (SELECT FROM ledger.grants_v g WHERE g.account_id = q.account_id
                    AND g.source_key = 'campaign:' || :code || ':' || q.external_id)
    ORDER BY q.account_id LIMIT :limit
"""
_PEOPLE = "SELECT q.account_id, q.external_id, q.id AS user_id FROM users q WHERE q.account_id > :after"
_ON_PLAN = """
    AND EXISTS (SELECT FROM entitlements e WHERE e.account_id = q.account_id AND e.mode = :mode AND e.plan = :plan
                AND e.starts_at <= :now AND (e.ends_at IS NULL OR e.ends_at > :now))
"""
_LISTED = """
    SELECT q.account_id, q.external_id, u.id AS user_id FROM campaign_accounts c
    JOIN ledger.accounts_v q ON q.account_id = c.account_id LEFT JOIN users u ON u.account_id = c.account_id
    WHERE c.campaign = :code AND c.account_id > :after
"""
_QUALIFY = {
    "everyone": text(_PEOPLE + _NOT_YET),
    "plan": text(_PEOPLE + _ON_PLAN + _NOT_YET),
    "accounts": text(_LISTED + _NOT_YET),
}


def grant_chunk(session: Session, *, code: str, mode: str, after: int, limit: int) -> tuple[int | None, int]:
    """The next accounts that qualify have the campaign's credits, and their people a mail on its way.

    Returns the account to go on behind (None: that was the last, or the campaign does not run), and how many were
    granted. Safe to run twice at once and to be killed. Locks the accounts in the order of their ids.
    """
    now = ledger.now(session)
    campaign = session.get(Campaign, code)
    if campaign is None or not campaign.runs_at(now):
        return None, 0
    asked = {"code": code, "after": after, "limit": limit}
    if campaign.audience == "plan":
        asked |= {"mode": mode, "plan": campaign.plan, "now": now}
    found = session.execute(_QUALIFY[campaign.audience], asked).all()
    if not found:
        return None, 0
    ends = None if campaign.expires_days is None else now + timedelta(days=campaign.expires_days)
    items = [
        ledger.GrantItem(
            account_id=row.account_id,
            amount=campaign.credits,
            source="promotion",
            source_key=f"campaign:{code}:{row.external_id}",
            actor=f"campaign:{code}",
            expires_at=ends,
            description=campaign.name,
        )
        for row in found
    ]
    granted = 0
    for row, outcome in zip(found, ledger.grant_many(session, items=items), strict=True):
        if isinstance(outcome, ledger.LedgerRefusal) or outcome.replayed:
            continue  # somebody else was faster
        granted += 1
        if row.user_id is not None:
            grants = [[outcome.entry.seq, campaign.credits]]
            args = {"user_id": row.user_id, "account_id": row.account_id, "grants": grants}
            key = f"credits-granted:{row.account_id}:{outcome.entry.seq}"
            outbox.put(session, job="send_mail", key=key, args={"mail": "credits_granted", **args})
    return found[-1].account_id, granted
