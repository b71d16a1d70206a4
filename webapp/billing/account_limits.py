"""What an account may still use: the ceilings of its plan, and what its prices have free."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.plan_of_account import plan_of
from webapp.catalog.ceilings import read_ceilings
from webapp.catalog.pricing import Pricing
from webapp.catalog.pricing_terms import PLAN
from webapp.catalog.rate_card import list_features
from webapp.catalog.shop_window import ShopWindow
from webapp.catalog.windows import Window, window_at


@dataclass(frozen=True, kw_only=True)
class Measure:
    """`used` of `quantity` units of `feature` were used in the `per` that ends at `resets_at`.

    Where it is not known by how much more than `quantity` was used, `used` is at least that. `when` is what has to be
    chosen for it to apply (model: small); empty where nothing has.
    """

    feature: str
    per: str
    quantity: int
    used: int
    resets_at: datetime
    when: Mapping[str, str]

    @property
    def left(self) -> int:
        return max(self.quantity - self.used, 0)


_Wanted = tuple[str, str, int, dict[str, str]]  # feature, per, quantity, when


@dataclass(frozen=True, kw_only=True)
class AccountLimits:
    """How things stand: the plan that the account is on, its ceilings, and what of its prices is free."""

    plan: str | None
    time_zone: str
    ceilings: list[Measure]
    allowances: list[Measure]


def limits_of(session: Session, *, account_id: int, window: ShopWindow | None = None) -> AccountLimits:
    """What the account may still use now, in the order of the shop window. Reads only. Raises AccountNotFound.

    Who has looked at the shop window already, gives it.
    """
    account = ledger.get_account(session, account_id=account_id)
    now = ledger.now(session)
    plan = plan_of(session, account_id=account_id)
    ceilings = window.ceilings if window is not None else read_ceilings(session)
    wanted: list[_Wanted] = [
        (feature, one.per, one.quantity, {})
        for feature in ceilings.features(plan)
        for one in ceilings.of(plan, feature)
    ]
    split = len(wanted)
    for rated in window.features if window is not None else list_features(session):
        wanted += [(rated.key, per, quantity, when) for per, quantity, when in _allowances(rated.pricing, plan)]
    windows: list[Window] = [window_at(per, now, account.time_zone) for _feature, per, _quantity, _when in wanted]
    used = ledger.units_used(
        session,
        wanted=[
            ledger.UnitsOf(
                account_id=account_id, feature=feature, since=window.starts_at, until=window.ends_at, most=quantity
            )
            for (feature, _per, quantity, _when), window in zip(wanted, windows, strict=True)
        ],
    )
    measures = [
        Measure(feature=feature, per=per, quantity=quantity, used=units, resets_at=window.ends_at, when=when)
        for (feature, per, quantity, when), window, units in zip(wanted, windows, used, strict=True)
    ]
    return AccountLimits(plan=plan, time_zone=account.time_zone, ceilings=measures[:split], allowances=measures[split:])


def _allowances(pricing: Pricing, plan: str | None) -> list[tuple[str, int, dict[str, str]]]:
    """Of each price that can apply on that plan: per what, how many, and what has to be chosen for it."""
    chosen = pricing.variant_for({PLAN: plan})
    found: list[tuple[Pricing, dict[str, str]]] = [] if chosen else [(pricing, {})]
    for variant in pricing.variants:
        when = dict(variant.when)
        if when.pop(PLAN, plan) == plan:
            found.append((variant.pricing, when))
    return [(one.free.per, one.free.quantity, when) for one, when in found if one.free is not None]
