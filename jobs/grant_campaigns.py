"""Giving what campaigns promise to everybody who qualifies by now."""

from jobs.application import application
from jobs.progress import count
from webapp import clock
from webapp.billing.campaign_grants import grant_chunk
from webapp.billing.stripe_api import mode
from webapp.catalog.campaign import running_campaigns
from webapp.database import retried

CHUNK = 1_000


def grant_campaigns() -> None:
    """Each campaign that runs has granted to all who qualify, in chunks, each a unit of work of its own."""
    with application().app_context():
        for code in retried(lambda session: [one.code for one in running_campaigns(session, now=clock.now())]):
            grant_campaign(code)


def grant_campaign(code: str) -> int:
    """All who qualify for that one campaign have its credits; returns how many got them now."""
    after: int | None = 0
    total = 0
    while after is not None:
        after, granted = _chunk(code, after)
        total += granted
        count(grants=granted)
    return total


def _chunk(code: str, after: int) -> tuple[int | None, int]:
    return retried(lambda session: grant_chunk(session, code=code, mode=mode(), after=after, limit=CHUNK))
