"""What everybody sees of the catalog, kept by the process for as long as the database says that it is the same.

Nothing of it is believed without asking: one statement tells the stamp of what is there now, and reads nothing else
(docs/decisions/reading.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import current_app
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from webapp import clock
from webapp.catalog.ceilings import Ceilings, PlanLimit, list_ceilings
from webapp.catalog.package import Package, list_packages
from webapp.catalog.plan import Plan, list_plans
from webapp.catalog.rate_card import RateCard, RatedFeature, list_features, rate_card_in_force

# A sum of the hashes of whole rows: whoever changes anything, by whatever way, changes it.
_STAMP = text(
    "WITH card AS (SELECT version FROM rate_cards WHERE effective_at <= :until"
    " ORDER BY effective_at DESC, version DESC LIMIT 1)"
    " SELECT concat_ws(' ', (SELECT version FROM card),"
    " (SELECT sum(hash_record_extended(r, 1)) FROM packages r),"
    " (SELECT sum(hash_record_extended(r, 2)) FROM package_prices r),"
    " (SELECT sum(hash_record_extended(r, 3)) FROM plans r),"
    " (SELECT sum(hash_record_extended(r, 4)) FROM plan_prices r),"
    " (SELECT sum(hash_record_extended(r, 5)) FROM features r),"
    " (SELECT sum(hash_record_extended(r, 6)) FROM plan_limits r),"
    " (SELECT sum(hash_record_extended(r, 7)) FROM rate_cards r WHERE r.version = (SELECT version FROM card)),"
    " (SELECT sum(hash_record_extended(r, 8)) FROM rates r WHERE r.version = (SELECT version FROM card))) AS stamp"
)
_KEPT = "shop_window"


@dataclass(frozen=True, kw_only=True)
class ShopWindow:
    """The packages and plans on offer, what the rate card in force prices, and what limits plans.

    Its rows belong to no Session, have all their columns and prices, and are for reading only.
    """

    stamp: str
    packages: Sequence[Package]
    plans: Sequence[Plan]
    rate_card: RateCard | None
    features: Sequence[RatedFeature]
    limits: Sequence[PlanLimit]
    free_plan: str | None

    @property
    def ceilings(self) -> Ceilings:
        return Ceilings(self.limits, free_plan=self.free_plan)


def shop_window(session: Session) -> ShopWindow:
    """What is in it now: the very object that was read before, unless something has changed since."""
    stamp: str = session.execute(_STAMP, {"until": clock.now()}).scalar_one()
    kept: ShopWindow | None = current_app.extensions.get(_KEPT)
    if kept is None or kept.stamp != stamp:
        kept = current_app.extensions[_KEPT] = _read(session, stamp)
    return kept


def _read(session: Session, stamp: str) -> ShopWindow:
    """By a Session of its own, so that nobody else has these rows. What changes meanwhile has another stamp."""
    with Session(session.connection(), expire_on_commit=False) as own:
        found = ShopWindow(
            stamp=stamp,
            packages=list_packages(own),
            plans=list_plans(own),
            rate_card=rate_card_in_force(own),
            features=list_features(own),
            limits=list_ceilings(own),
            free_plan=own.scalars(
                select(Plan.code)
                .where(Plan.billed == "never")
                .order_by(Plan.active.desc(), Plan.position, Plan.code)
                .limit(1)
            ).one_or_none(),
        )
        own.expunge_all()
    return found
