"""Plans: credits each month, by subscription, for free or for life."""

from collections.abc import Sequence

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Integer, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from webapp.extensions import Base

# how a plan is billed → what kind of entitlement it gives
KINDS = {"never": "free", "monthly": "monthly", "yearly": "yearly", "once": "lifetime"}


class Plan(Base):
    """`credits_per_month` credits each month; `billed` is never, monthly, yearly or once.

    Each month's credits expire with the month (`expiry` = period), `expiry_days` days after it began, or never. What
    of them is unspent then carries over once, up to `rollover_cap`. They pay for `features` only, where that names
    any, and are burnt by `grant_priority`. A trial lasts `trial_days` and comes with `trial_credits`.
    `version` counts the changes: who changes it says which one they saw.
    """

    __tablename__ = "plans"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    credits_per_month: Mapped[int] = mapped_column(BigInteger)
    rollover_cap: Mapped[int] = mapped_column(BigInteger)
    billed: Mapped[str] = mapped_column(Text)
    expiry: Mapped[str] = mapped_column(Text, default="period")
    expiry_days: Mapped[int | None] = mapped_column(Integer)
    grant_priority: Mapped[int] = mapped_column(Integer, default=0)
    features: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    trial_days: Mapped[int] = mapped_column(Integer, default=0)
    trial_credits: Mapped[int] = mapped_column(BigInteger, default=0)
    position: Mapped[int] = mapped_column(Integer)
    active: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    prices: Mapped[list["PlanPrice"]] = relationship(lazy="selectin", order_by="PlanPrice.currency")

    @property
    def kind(self) -> str:
        """What being on it is called: free, monthly, yearly or lifetime."""
        return KINDS[self.billed]

    def price_minor(self, currency: str) -> int | None:
        """The price of one billing period in the minor unit of `currency`; 0 for what is free."""
        if self.billed == "never":
            return 0
        return next((price.price_minor for price in self.prices if price.currency == currency), None)


class PlanPrice(Base):
    """What a plan costs in one currency, in its minor unit, for each time that it is billed."""

    __tablename__ = "plan_prices"

    plan: Mapped[str] = mapped_column(ForeignKey("plans.code"), primary_key=True)
    currency: Mapped[str] = mapped_column(Text, primary_key=True)
    price_minor: Mapped[int] = mapped_column(BigInteger)


def list_plans(session: Session) -> Sequence[Plan]:
    """The plans on offer, in the order of the shop window, with their prices."""
    return session.scalars(select(Plan).where(Plan.active).order_by(Plan.position, Plan.code)).all()


def find_plan(session: Session, *, code: str) -> Plan | None:
    """The plan of that code, on offer or not."""
    if "\x00" in code:  # PostgreSQL's text cannot hold it
        return None
    return session.get(Plan, code)
