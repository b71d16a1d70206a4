"""Campaigns: so many credits for everyone, for who is on a plan, or for a list of accounts, once each."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, DateTime, ForeignKey, Integer, Text, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.extensions import Base

AUDIENCES = ("everyone", "plan", "accounts")
MOST_CREDITS = 10**15
MOST_DAYS = 36_500


class BadCampaign(Exception):
    """The campaign cannot be as it was asked for; nothing was written."""


class Campaign(Base):
    """From `starts_at` until `ends_at` (None: no end) each account of its `audience` gets `credits`, once.

    They expire `expires_days` after they came; None is never. What was promised does not change any more.
    """

    __tablename__ = "campaigns"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    credits: Mapped[int] = mapped_column(BigInteger)
    expires_days: Mapped[int | None] = mapped_column(Integer)
    audience: Mapped[str] = mapped_column(Text)
    plan: Mapped[str | None] = mapped_column(Text)
    starts_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    def runs_at(self, moment: datetime) -> bool:
        """Whether the moment lies in its window, whose end is exclusive."""
        return self.starts_at <= moment and (self.ends_at is None or moment < self.ends_at)


class CampaignAccount(Base):
    """An account on the list of a campaign."""

    __tablename__ = "campaign_accounts"

    campaign: Mapped[str] = mapped_column(ForeignKey("campaigns.code"), primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


def create_campaign(
    session: Session,
    *,
    code: str,
    name: str,
    credits: int,
    expires_days: int | None,
    starts_at: datetime,
    ends_at: datetime | None,
    plan: str | None = None,
    account_ids: Sequence[int] | None = None,
) -> Campaign:
    """There is a campaign of that code; for `account_ids`, for who is on `plan`, or for everyone.

    Raises BadCampaign when a figure is out of range or the code is taken; nothing was written then.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", code):
        raise BadCampaign("the code must be 1 to 40 of a-z, 0-9 and hyphens")
    if not 0 < credits <= MOST_CREDITS or not (expires_days is None or 0 < expires_days <= MOST_DAYS):
        raise BadCampaign("credits and days must be above 0 and within reason")
    if not name.strip() or len(name) > 200 or "\x00" in name:
        raise BadCampaign("the name must have 1 to 200 characters")
    if ends_at is not None and ends_at <= starts_at:
        raise BadCampaign("the window must end after it began")
    if plan is not None and account_ids is not None:
        raise BadCampaign("a campaign is for a plan or for a list, not for both")
    row = {
        "code": code,
        "name": name.strip(),
        "credits": credits,
        "expires_days": expires_days,
        "audience": "plan" if plan is not None else "everyone" if account_ids is None else "accounts",
        "plan": plan,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "created_at": clock.now(),
    }
    made = session.execute(insert(Campaign).values(row).on_conflict_do_nothing().returning(Campaign.code)).first()
    if made is None:
        raise BadCampaign(f"there is already a campaign {code!r}")
    session.add_all(CampaignAccount(campaign=code, account_id=one) for one in sorted(set(account_ids or ())))
    session.flush()
    return session.get_one(Campaign, code)


def list_campaigns(session: Session) -> Sequence[Campaign]:
    """All campaigns, the newest first."""
    return session.scalars(select(Campaign).order_by(Campaign.created_at.desc(), Campaign.code)).all()


def running_campaigns(session: Session, *, now: datetime) -> Sequence[Campaign]:
    """The campaigns in whose window `now` lies, by code."""
    found = session.scalars(select(Campaign).where(Campaign.starts_at <= now).order_by(Campaign.code))
    return [campaign for campaign in found if campaign.runs_at(now)]


def end_campaign(session: Session, *, code: str) -> Campaign | None:
    """The campaign is over now; one that had not begun is gone (None). What it gave stays. Locks it.

    Raises BadCampaign where there is none of that code, or it is over already; nothing was written then.
    """
    found = session.get(Campaign, code, with_for_update=True, populate_existing=True) if "\x00" not in code else None
    now = clock.now()
    if found is None:
        raise BadCampaign(f"there is no campaign {code!r}")
    if found.ends_at is not None and found.ends_at <= now:
        raise BadCampaign(f"the campaign {code!r} is over already")
    if now < found.starts_at:
        session.execute(delete(CampaignAccount).where(CampaignAccount.campaign == code))
        session.delete(found)
        session.flush()
        return None
    found.ends_at = max(now, found.starts_at + timedelta(microseconds=1))
    session.flush()
    return found
