"""A chunk of due entitlements is granted as they would be one by one: both ways, on twins with the same random past."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from tests.billing.entitled import DAY, offer_all
from tests.billing.plans import STUDIO, Member, Story, assert_ledger_sound, make_member, now_of, offer
from webapp import clock, ledger
from webapp.billing import granting_due
from webapp.billing.entitlement import Entitlement, terms_of
from webapp.billing.granting_due import grant_due
from webapp.billing.period_grant import grant_next, grant_period
from webapp.billing.plan_order import PlanOrder
from webapp.billing.plan_reversals import PlanReversal, follow_up
from webapp.catalog.plan import Plan
from webapp.catalog.validity import add_months
from webapp.database import unit_of_work
from webapp.extensions import db

PLANS = [
    {**STUDIO, "code": "free-with-rollover", "billed": "never", "credits_per_month": 50, "rollover_cap": 30},
    {**STUDIO, "code": "life", "billed": "once", "credits_per_month": 70, "rollover_cap": 20},
]
ZONES = ("UTC", "Asia/Kolkata", "America/New_York")
KINDS = (("free", "free-with-rollover"), ("life",), ("pro-yearly", "studio-yearly"))


@dataclass
class Pair:
    """Two people to whom the same happens; the first is granted in chunks, the second by single calls."""

    together: Member
    single: Member

    def do(self, act: Callable[[Session, Member], Any]) -> None:
        for member in (self.together, self.single):
            member.do(lambda session, member=member: act(session, member))


@pytest.fixture
def shop(fresh_app: Flask) -> Flask:
    offer_all(fresh_app)
    with fresh_app.app_context(), unit_of_work() as session:
        for plan in PLANS:
            offer(session, plan)
    return fresh_app


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_due_is_granted_in_chunks_as_one_by_one(shop: Flask, seed: int) -> None:
    chance = random.Random(seed)
    pairs = [make_pair(shop, chance) for _ in range(4)]
    policy = chance.choice(["all", "all", "latest"])
    for _ in range(3):
        pass_time(shop, timedelta(days=chance.choice([20, 31, 45, 100])))
        for pair in pairs:
            happen(pair, chance, now_of(shop))
        for pair in pairs:
            pair.single.do(lambda session, pair=pair: grant_one_by_one(session, pair.single, policy))
        with shop.app_context():
            while _chunk(limit=chance.choice([1, 3, 100]), policy=policy):
                pass
        for number, pair in enumerate(pairs):
            assert story_of(pair.together) == story_of(pair.single), number
    assert_ledger_sound(shop)


def _chunk(*, limit: int, policy: str) -> int:
    with unit_of_work() as session:
        return grant_due(session, limit=limit, catch_up=policy)


def make_pair(app: Flask, chance: random.Random) -> Pair:
    zone = chance.choice(ZONES)
    pair = Pair(make_member(app, time_zone=zone), make_member(app, time_zone=zone))
    start = now_of(app).replace(microsecond=0)
    for kinds in chance.sample(KINDS, chance.choice([1, 1, 2])):
        kind = chance.choice(kinds)
        if kind.endswith("-yearly"):
            for member in (pair.together, pair.single):
                story = Story(member, start)
                story.pay(kind, start, amount=11_999)
                story.tell()
        else:
            pair.do(lambda session, member, kind=kind: entitle(session, member, kind, start, zone))
    return pair


def entitle(session: Session, member: Member, code: str, start: datetime, zone: str) -> None:
    plan = session.get_one(Plan, code)
    user = member.user(session)
    order_id = _order(session, member, plan, start) if plan.kind == "lifetime" else None
    one = Entitlement(
        user_id=user.id,
        account_id=user.account_id,
        external_id=user.external_id,
        mode="sandbox",
        order_id=order_id,
        **terms_of(plan),
        anchor_at=start,
        time_zone=zone,
        starts_at=start,
        created_at=start,
    )
    session.add(one)
    one.set_next(0)
    session.flush()


def _order(session: Session, member: Member, plan: Plan, start: datetime) -> int:
    order = PlanOrder(
        user_id=member.user_id,
        account_id=member.account_id,
        external_id=member.user(session).external_id,
        intent="twin",
        mode="sandbox",
        plan=plan.code,
        plan_name=plan.name,
        shown_name=plan.name,
        billed="once",
        price_minor=9_999,
        currency="EUR",
        trial_days=0,
        locale="en",
        created_at=start,
        state="fulfilled",
        paid_minor=9_999,
        tax_minor=0,
        paid_at=start,
        stripe_payment_intent_id=f"pi_{member.account_id}",
    )
    session.add(order)
    session.flush()
    return order.id


def pass_time(app: Flask, by: timedelta) -> None:
    with app.app_context():
        with unit_of_work() as session:
            ledger.advance_clock(session, by=by)
        clock.follow(db.session(), movable=True, at_once=True)


def happen(pair: Pair, chance: random.Random, now: datetime) -> None:
    """To both alike: they spend, a payment is missing, the end comes near, somebody was faster, money goes back."""
    what = chance.choice(["spend", "spend", "nothing", "pause", "go on", "end", "granted", "refunded"])
    amount, key = chance.choice([1, 20, 60, 900]), f"k{chance.random()}"

    def act(session: Session, member: Member) -> None:
        found = entitlements_of(session, member)
        if what == "spend":
            ledger.spend(
                session, account_id=member.account_id, amount=amount, idempotency_key=key, actor="twin", partial=True
            )
        elif what in ("pause", "go on"):
            found[0].paused = what == "pause"
        elif what == "end":
            found[0].end(now + 20 * DAY)
        elif what == "granted" and found[0].next_at is not None:
            period = found[0].period(found[0].next_period)
            if period.starts_at <= now:
                grant_period(session, entitlement=found[0], period=period, actor="twin", credits=7)
        elif what == "refunded" and found[0].order_id is not None:
            payment = PlanReversal(
                stripe_payment_intent_id=f"pi_{member.account_id}",
                mode="sandbox",
                account_id=member.account_id,
                price_minor=9_999,
                currency="EUR",
                refunded_minor=3_000,
                lost_minor=0,
                version=1,
            )
            session.merge(payment)
            session.flush()
            follow_up(session, account_id=member.account_id)

    try:
        pair.do(act)
    except ledger.InsufficientCredits:
        return  # neither has any: the first to be asked is refused, and the second is in the same place


def entitlements_of(session: Session, member: Member) -> list[Entitlement]:
    query = select(Entitlement).where(Entitlement.account_id == member.account_id).order_by(Entitlement.id)
    return list(session.scalars(query.with_for_update().execution_options(populate_existing=True)))


def grant_one_by_one(session: Session, member: Member, policy: str) -> None:
    """The plain rule: the longest due period of the account, again and again."""
    now = ledger.now(session)
    while True:
        due = [
            one
            for one in entitlements_of(session, member)
            if one.next_at is not None and one.next_at <= now and not one.paused
        ]
        if not due:
            return
        one = min(due, key=lambda one: one.next_at or now)
        period = one.period(one.next_period)
        if policy == "latest" and one.kind == "free" and period.ends_at <= now:
            grant_period(session, entitlement=one, period=period, actor="plan", credits=0)
            one.set_next(one.next_period + 1)
        else:
            grant_next(session, entitlement=one)
        session.flush()


_GRANTS = """
SELECT source, amount, remaining, expired, revoked, priority, effective_at, expires_at, features, cost_minor,
       cost_currency, description
FROM ledger.grants_v WHERE account_id = :id ORDER BY effective_at, source, amount, description
"""
_PERIODS = """
SELECT p.number, p.starts_at, p.ends_at, p.credits, p.rollover_cap, p.grant_id IS NULL, r.amount, p.cost_minor,
       p.currency
FROM entitlement_periods p
LEFT JOIN ledger.grants_v r ON r.account_id = p.account_id AND r.grant_id = p.rolled_into
WHERE p.account_id = :id ORDER BY p.starts_at, p.credits, p.number
"""
_ENTRIES = """
SELECT kind, amount, metadata - 'entitlement', description, actor FROM ledger.entries_v
WHERE account_id = :id ORDER BY kind, amount, metadata ->> 'period', description, actor
"""
_NEXT = "SELECT kind, next_period, next_at FROM entitlements WHERE account_id = :id ORDER BY id"
_MAILS = "SELECT count(*) FROM outbox WHERE key LIKE 'credits-granted:' || :id || ':%'"
_OWED = "SELECT balance, debt FROM ledger.accounts_v WHERE account_id = :id"


def story_of(member: Member) -> dict[str, list[Any]]:
    """All that was written for somebody, but for ids and the moments of writing."""

    def read(session: Session) -> dict[str, list[Any]]:
        ledger.expire_account(session, account_id=member.account_id)
        queries = {"grants": _GRANTS, "periods": _PERIODS, "entries": _ENTRIES, "next": _NEXT, "mails": _MAILS}
        return {
            name: [tuple(row) for row in session.execute(text(query), {"id": member.account_id})]
            for name, query in {**queries, "owed": _OWED}.items()
        }

    return member.do(read)


def test_two_remainders_of_one_line_are_carried_over_as_one_by_one(shop: Flask) -> None:
    start = now_of(shop).replace(microsecond=0)
    pair = Pair(make_member(shop), make_member(shop))
    for member in (pair.together, pair.single):
        story = Story(member, start)
        story.pay("pro-yearly", start, amount=12_000)
        story.change("pro-yearly", "studio-yearly", start + DAY / 2, add_months(start, 12), back=11_900, rest=48_900)
        pass_time(shop, DAY)
        story.tell()
    for _ in range(2):
        pass_time(shop, timedelta(days=31))
        pair.single.do(lambda session: grant_one_by_one(session, pair.single, "all"))
        with shop.app_context():
            while _chunk(limit=100, policy="all"):
                pass
        assert story_of(pair.together) == story_of(pair.single)
    carried = [row.rolled_into for row in pair.together.periods()]
    assert len(carried) == 4
    assert sum(one is not None for one in carried) >= 2
    assert_ledger_sound(shop)


# ---------------------------------------------------------------- what is refused


def test_what_the_ledger_refuses_is_told_and_keeps_nobody_else_waiting(shop: Flask) -> None:
    start = now_of(shop).replace(microsecond=0)
    unlucky, lucky = make_member(shop), make_member(shop)
    for member in (unlucky, lucky):
        member.do(lambda session, member=member: entitle(session, member, "free", start, "UTC"))

    def take_the_key(session: Session) -> None:
        key = f"grant:{entitlements_of(session, unlucky)[0].id}:0"
        ledger.grant(
            session, account_id=unlucky.account_id, amount=1, source="api", source_key=key, actor="somebody else"
        )

    unlucky.do(take_the_key)
    with shop.app_context(), capture_logs() as logs:
        assert [_chunk(limit=10, policy="all") for _ in range(2)] == [1, 0]
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["period_refused"] * 2
    assert (lucky.available(), unlucky.available()) == (100, 1)
    assert unlucky.periods() == []


def test_a_chunk_is_bounded_and_those_due_longest_come_first(shop: Flask) -> None:
    start = now_of(shop).replace(microsecond=0)
    early, late = make_member(shop), make_member(shop)
    early.do(lambda session: entitle(session, early, "free", add_months(start, -2), "UTC"))
    late.do(lambda session: entitle(session, late, "free", start, "UTC"))
    with shop.app_context():
        assert _chunk(limit=1, policy="all") == 1
        assert (len(early.periods()), len(late.periods())) == (1, 0)
        assert [_chunk(limit=100, policy="all") for _ in range(2)] == [3, 0]
    assert (len(early.periods()), len(late.periods())) == (3, 1)


def test_who_is_due_is_found_by_an_index_and_not_among_everybody(shop: Flask) -> None:
    """A chunk of a million must not read the million: it did, a thousand times over."""
    with shop.app_context(), unit_of_work() as session:
        query = granting_due._due(now=ledger.now(session), limit=1_000)
        session.execute(text("SET LOCAL enable_seqscan = off"))  # tables of tests are small; an index that fits is used
        statement = query.compile(session.connection(), compile_kwargs={"literal_binds": True})
        plan = "\n".join(session.execute(text(f"EXPLAIN {statement}".replace(":", "\\:"))).scalars())
        assert "entitlements_next_at_idx" in plan, plan
        assert "Seq Scan" not in plan, plan
