"""What the pricing page compares: each package against the dearest credit, in one currency."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from webapp.catalog.package import Package, list_packages
from webapp.catalog.plan import Plan, list_plans


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A package in one currency. `rate` is its price for 1,000 credits in minor units, to draw and to compare;
    `saving` the share saved against the smallest package, 0 where there is none."""

    package: Package
    price_minor: int
    rate: int
    saving: float


@dataclass(frozen=True, kw_only=True)
class PlanOffer:
    """A plan in one currency, with its yearly sister and its price where there is one."""

    plan: Plan
    price_minor: int
    yearly: Plan | None
    yearly_minor: int | None


@dataclass(frozen=True, kw_only=True)
class Pricing:
    """Everything on offer in `currency`; `dearest` and `top` are the gauge's marks, in the unit of Offer.rate.

    `elsewhere` are the packages that are on sale in other currencies only.
    """

    currency: str
    offers: list[Offer]
    elsewhere: list[Package]
    plans: list[PlanOffer]
    dearest: int
    top: int


def compare_offers(session: Session, *, currency: str) -> Pricing:
    """All that is on sale in `currency`, ready to be shown side by side."""
    return compare(list_packages(session), list_plans(session), currency=currency)


def compare(packages: Sequence[Package], plans: Sequence[Plan], *, currency: str) -> Pricing:
    """The same of what was read already."""
    offers = _offers(packages, currency)
    dearest = max((offer.rate for offer in offers), default=1)
    return Pricing(
        currency=currency,
        offers=offers,
        elsewhere=[package for package in packages if package.prices and package.price_minor(currency) is None],
        plans=_plan_offers(plans, currency),
        dearest=dearest,
        top=_round_up(dearest),
    )


def _offers(packages: Sequence[Package], currency: str) -> list[Offer]:
    priced = [(package, price) for package in packages if (price := package.price_minor(currency)) is not None]
    if not priced:
        return []
    smallest, smallest_price = min(priced, key=lambda pair: pair[0].credits)
    return [
        Offer(
            package=package,
            price_minor=price,
            rate=max(1, price * 1000 // package.credits),
            saving=max(0.0, 1 - (price * smallest.credits) / (package.credits * smallest_price)),
        )
        for package, price in priced
    ]


def _plan_offers(plans: Sequence[Plan], currency: str) -> list[PlanOffer]:
    """A plan called X-yearly is shown with the monthly plan X, as another way to pay for it."""
    by_code = {plan.code: plan for plan in plans}
    found = []
    for plan in plans:
        price = plan.price_minor(currency)
        monthly = by_code.get(plan.code.removesuffix("-yearly")) if plan.billed == "yearly" else None
        shown_there = monthly is not None and monthly is not plan and monthly.price_minor(currency) is not None
        if price is None or shown_there:
            continue
        yearly = by_code.get(f"{plan.code}-yearly")
        yearly_minor = yearly.price_minor(currency) if yearly is not None else None
        sister = yearly if yearly_minor is not None else None
        found.append(PlanOffer(plan=plan, price_minor=price, yearly=sister, yearly_minor=yearly_minor))
    return found


def _round_up(value: int) -> int:
    """The end of a scale that `value` fits on: 1, 2 or 5 times a power of ten."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if value <= factor * step:
                return factor * step
        step *= 10
