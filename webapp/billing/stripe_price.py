"""By which price Stripe knows a plan: made when first needed, and the only thing that says what is subscribed to."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import BigInteger, Text, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.billing.stripe_api import calling, client
from webapp.catalog.plan import Plan
from webapp.extensions import Base

INTERVALS = {"monthly": "month", "yearly": "year"}


class StripePrice(Base):
    """A price of Stripe's in one mode, and the plan that it is the price of."""

    __tablename__ = "stripe_prices"

    mode: Mapped[str] = mapped_column(Text, primary_key=True)
    stripe_price_id: Mapped[str] = mapped_column(Text, primary_key=True)
    stripe_product_id: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    billed: Mapped[str] = mapped_column(Text)


@dataclass(frozen=True, kw_only=True)
class PricedPlan:
    """The plan that a price of Stripe's means, and how much it is."""

    plan: Plan
    price_minor: int
    currency: str


def ensure_price(session: Session, *, plan: Plan, price_minor: int, currency: str, mode: str) -> str:
    """The id of Stripe's price for that plan at that price, made once.

    Asks Stripe; a kill before the commit leaves a price there that the next call gets again. Raises
    PaymentsUnavailable.
    """
    wanted = (
        StripePrice.mode == mode,
        StripePrice.plan == plan.code,
        StripePrice.currency == currency,
        StripePrice.price_minor == price_minor,
        StripePrice.billed == plan.billed,
    )
    known = session.scalars(select(StripePrice.stripe_price_id).where(*wanted)).one_or_none()
    if known is not None:
        return known
    product_id = _ensure_product(session, plan=plan, mode=mode)
    with calling("create price"):
        made = client().v1.prices.create(
            params={
                "product": product_id,
                "currency": currency.lower(),
                "unit_amount": price_minor,
                "recurring": {"interval": INTERVALS[plan.billed]},
                "metadata": {"plan": plan.code},
            },
            options={"idempotency_key": f"plan-price:{product_id}:{currency}:{price_minor}:{plan.billed}"},
        )
    session.execute(
        insert(StripePrice)
        .values(
            mode=mode,
            stripe_price_id=made.id,
            stripe_product_id=product_id,
            plan=plan.code,
            currency=currency,
            price_minor=price_minor,
            billed=plan.billed,
        )
        .on_conflict_do_nothing()
    )
    return session.scalars(select(StripePrice.stripe_price_id).where(*wanted)).one()


def priced_plans(session: Session, *, price_ids: set[str], mode: str) -> dict[str, PricedPlan]:
    """Which plans those prices mean; one that is not ours is missing."""
    found = session.execute(
        select(StripePrice, Plan)
        .join(Plan, Plan.code == StripePrice.plan)
        .where(StripePrice.mode == mode, StripePrice.stripe_price_id.in_(price_ids))
    )
    return {
        row.stripe_price_id: PricedPlan(plan=plan, price_minor=row.price_minor, currency=row.currency)
        for row, plan in found
    }


def _ensure_product(session: Session, *, plan: Plan, mode: str) -> str:
    known = session.scalars(
        select(StripePrice.stripe_product_id).where(StripePrice.mode == mode, StripePrice.plan == plan.code).limit(1)
    ).one_or_none()
    if known is not None:
        return known
    digest = hashlib.sha256(plan.name.encode()).hexdigest()[:16]
    with calling("create product"):
        made = client().v1.products.create(
            params={"name": plan.name, "metadata": {"plan": plan.code}},
            options={"idempotency_key": f"plan-product:{plan.code}:{digest}"},
        )
    return made.id
