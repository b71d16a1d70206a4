"""Three years of monthly grants: whatever the calendar, the schedulers and the clocks do, one grant a period."""

import random
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from tests.billing.plans import Member, assert_ledger_sound, book_expired, grant_now, make_member
from tests.billing.shop import at_once
from tests.conftest import TestServers
from webapp import clock, ledger
from webapp.billing.entitlement import Entitlement, EntitlementPeriod, terms_of
from webapp.billing.free_plan import end_free, start_free
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.plan import Plan
from webapp.database import unit_of_work

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Australia/Lord_Howe",
)
BEGIN = datetime(2027, 12, 31, tzinfo=UTC)  # a leap year follows
MONTHS = 36


class Years:
    """People on the free plan, one for each anchor day and zone, and what ought to be granted to them."""

    def __init__(self, app: Flask, servers: TestServers, *, days: list[int], seed: int) -> None:
        self.app = app
        self.servers = servers
        self.chance = random.Random(seed)
        with app.app_context(), unit_of_work() as session:
            install_shipped_catalog(session)
        self.move(BEGIN - self.now())
        self.people: list[tuple[Member, datetime, str]] = []
        for zone in ZONES:
            for day in days:
                anchor = datetime(2028, 1, day, self.chance.choice([0, 2, 12, 23]), 30, tzinfo=ZoneInfo(zone))
                member = make_member(app, time_zone=zone)
                self.people.append((member, anchor.astimezone(UTC), zone))
                self.begin(member, anchor.astimezone(UTC), zone)
        self.active: dict[int, list[list[datetime | None]]] = {
            member.account_id: [[anchor, None]] for member, anchor, _ in self.people
        }

    def begin(self, member: Member, anchor: datetime, zone: str) -> None:
        with self.app.app_context(), unit_of_work() as session:
            user, plan = member.user(session), session.get_one(Plan, "free")
            session.add(
                Entitlement(
                    user_id=user.id,
                    account_id=user.account_id,
                    external_id=user.external_id,
                    mode="sandbox",
                    **terms_of(plan),
                    anchor_at=anchor,
                    time_zone=zone,
                    starts_at=anchor,
                    next_period=0,
                    next_at=anchor,
                    created_at=anchor,
                )
            )

    def now(self) -> datetime:
        with self.app.app_context(), unit_of_work() as session:
            return ledger.now(session)

    def move(self, by: timedelta) -> None:
        """Also back: what no application may do, a wrong machine does."""
        with psycopg.connect(self.servers.owner_url, autocommit=True) as owner:
            owner.execute("UPDATE ledger.clock SET ahead = ahead + %s", [by])

    def grant(self) -> None:
        """The job runs, sometimes on two machines at once."""
        if self.chance.random() < 0.3:
            at_once([partial(grant_now, self.app)] * 2)
        while grant_now(self.app):
            pass

    def live(self) -> None:
        until = BEGIN + timedelta(days=365 * MONTHS // 12)
        while self.now() < until:
            outage = self.chance.random() < 0.2
            self.move(timedelta(hours=self.chance.uniform(1, 24 * (90 if outage else 12))))
            self.grant()
            if self.chance.random() < 0.3:
                self.move(-timedelta(hours=2))
                self.grant()
                self.move(timedelta(hours=2))
            if self.chance.random() < 0.5:
                book_expired(self.app)
            self.change_plans()

    def change_plans(self) -> None:
        """Somebody leaves the plan, or comes back to it."""
        member, anchor, _zone = self.chance.choice(self.people)
        stretches = self.active[member.account_id]
        now = self.now()
        if now <= anchor:
            return
        with self.app.app_context(), unit_of_work() as session:
            if stretches[-1][1] is None:
                end_free(session, account_id=member.account_id, mode="sandbox", moment=now)
                stretches[-1][1] = now
            else:
                plan = session.get_one(Plan, "free")
                stretches.append([ledger.now(session), None])
                start_free(session, plan=plan, user=member.user(session), mode="sandbox")

    def check(self) -> None:
        self.grant()
        book_expired(self.app)
        now, total = self.now(), 0
        for member, anchor, zone in self.people:
            wanted = self.expected(member, anchor, zone, now)
            with self.app.app_context(), unit_of_work() as session:
                rows = session.scalars(
                    select(EntitlementPeriod)
                    .where(EntitlementPeriod.account_id == member.account_id)
                    .order_by(EntitlementPeriod.number)
                ).all()
                found = [(row.number, row.starts_at, row.ends_at) for row in rows]
            assert found == wanted, (anchor, zone)
            assert len(member.grants()) == len(wanted)
            total += len(wanted)
        assert total > 15 * len(self.people)  # some were away for long, but most were there
        assert_ledger_sound(self.app)

    def expected(
        self, member: Member, anchor: datetime, zone: str, now: datetime
    ) -> list[tuple[int, datetime, datetime]]:
        """The periods that begin, or were begun anew, while the person was on the plan."""
        bounds = [nth_month(anchor, number, zone) for number in range(MONTHS + 3)]
        wanted = set()
        for began, ended in self.active[member.account_id]:
            assert began is not None
            until = min(ended or now, now)
            wanted |= {n for n in range(MONTHS + 2) if bounds[n] < until and bounds[n + 1] > began and bounds[n] <= now}
        return [(n, bounds[n], bounds[n + 1]) for n in sorted(wanted)]


def nth_month(anchor: datetime, number: int, zone: str) -> datetime:
    """Reckoned in another way than by the code: field by field on the wall, then through UTC and back."""
    wall = anchor.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    year, month = divmod(wall.year * 12 + wall.month - 1 + number, 12)
    wanted = wall.replace(year=year, month=month + 1, day=min(wall.day, monthrange(year, month + 1)[1]))
    moment = wanted.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return moment if number else anchor


def simulate(app: Flask, servers: TestServers, *, days: list[int], seed: int) -> None:
    years = Years(app, servers, days=days, seed=seed)
    try:
        years.live()
        years.check()
    finally:
        clock.forget()


def test_three_years_of_the_hard_days_in_six_zones(fresh_app: Flask, fresh_database: TestServers) -> None:
    simulate(fresh_app, fresh_database, days=[1, 29, 31], seed=1180)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(5))
def test_three_years_of_every_day_in_six_zones(fresh_app: Flask, fresh_database: TestServers, seed: int) -> None:
    simulate(fresh_app, fresh_database, days=list(range(1, 32)), seed=seed)
