"""Plans: credits each month, by subscription, for free or for life."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, ForeignKey, Integer, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from webapp.extensions import Base


class Plan(Base):
    """`credits_per_month` credits each month; `billed` is never, monthly, yearly or once."""

    __tablename__ = "plans"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    credits_per_month: Mapped[int] = mapped_column(BigInteger)
    rollover_cap: Mapped[int] = mapped_column(BigInteger)
    billed: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(Integer)
    active: Mapped[bool]
    prices: Mapped[list["PlanPrice"]] = relationship(lazy="selectin", order_by="PlanPrice.currency")

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
