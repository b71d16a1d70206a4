"""Ceilings: how much of a feature who is on a plan may use in an hour, a day or a month."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Text, case, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.catalog.plan import Plan, find_plan
from webapp.catalog.pricing import MOST_CREDITS
from webapp.catalog.rate_card import Feature
from webapp.catalog.windows import PERS
from webapp.extensions import Base

_WRITTEN = re.compile(r"([0-9]{1,16})/([a-z]+)")


class PlanLimit(Base):
    """At most `quantity` units of `feature` in each `per` of the calendar for who is on `plan`; 0: none at all."""

    __tablename__ = "plan_limits"

    plan: Mapped[str] = mapped_column(ForeignKey("plans.code"), primary_key=True)
    feature: Mapped[str] = mapped_column(ForeignKey("features.key"), primary_key=True)
    per: Mapped[str] = mapped_column(Text, primary_key=True)
    quantity: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(Text)
    set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


_SHORTEST_FIRST = case({per: place for place, per in enumerate(PERS)}, value=PlanLimit.per)


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """At most `quantity` units in each `per`."""

    quantity: int
    per: str


class CeilingRefused(Exception):
    """There is no such plan or feature, or the ceiling means nothing; `what` says which: plan, feature, ceiling."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(what)


def read_ceiling(written: str) -> Ceiling:
    """`50/day` as a ceiling. Raises CeilingRefused."""
    found = _WRITTEN.fullmatch(written)
    if found is None or found[2] not in PERS or int(found[1]) > MOST_CREDITS:
        raise CeilingRefused("ceiling")
    return Ceiling(quantity=int(found[1]), per=found[2])


def set_ceiling(session: Session, *, plan: str, feature: str, ceiling: Ceiling, actor: str) -> None:
    """Who is on `plan` may use no more than that of `feature` from now on; it replaces the one of the same window.

    Raises CeilingRefused for a plan or feature that does not exist; nothing was written then.
    """
    if find_plan(session, code=plan) is None:
        raise CeilingRefused("plan")
    if "\x00" in feature or session.get(Feature, feature) is None:
        raise CeilingRefused("feature")
    what = {"quantity": ceiling.quantity, "actor": actor, "set_at": clock.now()}
    session.execute(
        insert(PlanLimit)
        .values(plan=plan, feature=feature, per=ceiling.per, **what)
        .on_conflict_do_update(index_elements=["plan", "feature", "per"], set_=what)
    )


def remove_ceilings(session: Session, *, plan: str, feature: str, per: str | None = None) -> int:
    """Nothing limits the feature on that plan any more, or nothing by that window; returns how many ceilings went."""
    gone = delete(PlanLimit).where(PlanLimit.plan == plan, PlanLimit.feature == feature)
    if per is not None:
        gone = gone.where(PlanLimit.per == per)
    return len(session.execute(gone.returning(PlanLimit.per)).all())


def list_ceilings(session: Session, *, plan: str | None = None) -> list[PlanLimit]:
    """All ceilings, or those of one plan, in the order of the shop window."""
    ordered = (
        select(PlanLimit)
        .join(Plan, Plan.code == PlanLimit.plan)
        .join(Feature, Feature.key == PlanLimit.feature)
        .order_by(Plan.position, Plan.code, Feature.position, Feature.key, _SHORTEST_FIRST)
    )
    if plan is not None:
        ordered = ordered.where(PlanLimit.plan == plan)
    return list(session.scalars(ordered))


class Ceilings:
    """Ceilings as they were read, by plan and feature. Who is on no plan is held to those of the free one."""

    def __init__(self, rows: Collection[PlanLimit], *, free_plan: str | None) -> None:
        self._free_plan = free_plan
        self._of: dict[tuple[str, str], list[Ceiling]] = {}
        for row in rows:
            found = self._of.setdefault((row.plan, row.feature), [])
            found.append(Ceiling(quantity=row.quantity, per=row.per))

    def of(self, plan: str | None, feature: str) -> list[Ceiling]:
        """What limits the feature for who is on `plan` (None: on none), the shortest window in front."""
        held_to = plan or self._free_plan
        return [] if held_to is None else self._of.get((held_to, feature), [])

    def features(self, plan: str | None) -> list[str]:
        """What is limited at all for who is on `plan`."""
        held_to = plan or self._free_plan
        return [feature for of_plan, feature in self._of if of_plan == held_to]


def read_ceilings(session: Session, *, features: Collection[str] | None = None) -> Ceilings:
    """The ceilings of those features, or of all, on every plan; two statements."""
    wanted = (
        select(PlanLimit)
        .join(Feature, Feature.key == PlanLimit.feature)
        .order_by(Feature.position, Feature.key, _SHORTEST_FIRST)
    )
    if features is not None:
        wanted = wanted.where(PlanLimit.feature.in_(features))
    first = (Plan.active.desc(), Plan.position, Plan.code)
    free = select(Plan.code).where(Plan.billed == "never").order_by(*first).limit(1)
    return Ceilings(session.scalars(wanted).all(), free_plan=session.scalars(free).one_or_none())
