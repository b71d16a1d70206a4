"""What a spend would cost, and which credits it would draw."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.answers import DrawAnswer, EstimateAnswer
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.fields import Time
from webapp.api.identifiers import find_account_id
from webapp.api.pricing import Priced, price_of
from webapp.api.unit import one_snapshot
from webapp.billing.price_now import PriceNow, price_now, refused_now

ENDPOINTS: list[Endpoint] = []


class EstimateRequest(Priced):
    """What a spend would ask for; a description is not needed."""

    partial: bool = False
    occurred_at: Time | None = None


@endpoint(
    ENDPOINTS,
    "POST",
    "/estimates",
    scopes=("credits:spend", "accounts:read"),
    body=EstimateRequest,
    answer=EstimateAnswer,
    unit=one_snapshot,
    is_write=False,
    problems=(404,),
)
def create_estimate(session: Session, call: Call[EstimateRequest]) -> Reply:
    """What a spend would cost now and which credits it would draw; changes nothing."""
    body = call.body
    account_id = find_account_id(session, external_id=body.account)
    price = price_of(session, body=body, account_id=account_id)
    if price.quoted:
        now = price_now(session, account_id=account_id, quote=price.quoted, occurred_at=body.occurred_at)
    else:
        now = PriceNow(credits=price.credits, refusal=refused_now(session, account_id=account_id))
    available = ledger.spendable(session, account_id=account_id, feature=body.feature)
    affordable = now.credits <= available and now.refusal is None
    draws = _draws(session, account_id=account_id, feature=body.feature, cost=now.credits) if affordable else []
    answer = EstimateAnswer(
        cost=now.credits,
        available=available,
        affordable=affordable,
        share_of_balance=round(min(now.credits / available, 1), 4) if available else None,
        draws=draws,
        free=now.free,
        refused=now.refusal.code if now.refusal else None,
        rate_card_version=price.quoted.rate_card_version if price.quoted else None,
    )
    return Reply(body=answer)


# What a hold reserves is not free, unless the hold has lapsed and nobody has booked that yet; of that, a grant that is
# to be revoked gets nothing back.
_DRAWS = text(
    """
    WITH lapsed AS (
        SELECT d.grant_id, sum(d.amount) AS amount
        FROM ledger.holds_v h
        JOIN ledger.hold_draws_v d ON d.account_id = h.account_id AND d.number = h.number
        WHERE h.account_id = :account_id AND h.state = 'open' AND h.expires_at <= ledger.now()
        GROUP BY d.grant_id
    ), free AS (
        SELECT g.*, g.remaining - g.held + coalesce(l.amount, 0)
               - least(coalesce(l.amount, 0), greatest(g.revoked - g.revoked_taken - g.revoked_as_debt, 0)) AS credits
        FROM ledger.grants_v g LEFT JOIN lapsed l ON l.grant_id = g.grant_id
        WHERE g.account_id = :account_id AND g.open AND NOT g.frozen AND g.effective_at <= ledger.now()
          AND (g.expires_at IS NULL OR g.expires_at > ledger.now())
          AND (g.features IS NULL OR :feature = ANY (g.features))
    ), ordered AS (
        SELECT f.*, row_number() OVER burn_order AS place, sum(f.credits) OVER burn_order - f.credits AS before
        FROM free f WHERE f.credits > 0
        WINDOW burn_order AS (ORDER BY f.priority, f.expires_at, f.burn_rank, f.effective_at, f.grant_id)
    )
    SELECT grant_id, source, source_key, expires_at, least(credits, :cost - before)::bigint AS amount
    FROM ordered WHERE before < :cost ORDER BY place
    """
)


def _draws(session: Session, *, account_id: int, feature: str | None, cost: int) -> list[DrawAnswer]:
    """The slices that a spend would draw now, in burn order; what debt would cover is in none of them."""
    rows = session.execute(_DRAWS, {"account_id": account_id, "feature": feature, "cost": cost})
    return [
        DrawAnswer(
            grant=row.grant_id,
            source=row.source,
            source_key=row.source_key,
            amount=row.amount,
            expires_at=row.expires_at,
        )
        for row in rows
    ]
