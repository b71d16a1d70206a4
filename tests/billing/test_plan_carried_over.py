"""What was carried over follows the money of the period that it came from, by a model of the rule and at PostgreSQL."""

from datetime import timedelta
from secrets import token_hex
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from tests.billing.plans import Member, Story, advance, assert_ledger_sound, make_member, now_of
from webapp import ledger
from webapp.billing.plan_grants import split_target
from webapp.billing.plan_reversals import find_plan_payment, lock_reversal, stand_as_reversed
from webapp.billing.reversals import RefundFact, Reversals
from webapp.billing.take_back import revoke_target
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work

CREDITS, PRICE = 1000, 1200


@given(
    target=st.integers(0, 2_000),
    carried=st.integers(0, 1_000),
    before=st.integers(0, 1_000),
    later=st.integers(0, 2_000),
)
def test_both_parts_together_are_the_target(target: int, carried: int, before: int, later: int) -> None:
    own, rest = split_target(target=target, carried=carried, taken_before=before)
    assert own + rest == target
    assert 0 <= rest <= carried
    assert own >= min(target, before)
    _, more = split_target(target=max(target, later), carried=carried, taken_before=before)
    assert more >= rest


@pytest.fixture
def app(fresh_database: Any, make_app: Any) -> Flask:
    app: Flask = make_app(fresh_database)
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    return app


class Life:
    """Two months of Pro, of which the first is given back in part, some time or other."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.member: Member = make_member(app)
        self.base = self.member.available()
        self.story = Story(member=self.member, started_at=now_of(app))
        self.first = self.story.pay("pro", self.story.started_at, amount=PRICE)
        self.story.tell()

    def spend(self, amount: int) -> None:
        def act(session: Session) -> None:
            ledger.spend(
                session, account_id=self.member.account_id, amount=amount, idempotency_key=token_hex(8), actor="test"
            )

        if amount:
            self.member.do(act)

    def renew(self) -> None:
        line = self.first.lines[0]
        self.story.pay("pro", line.ends_at, amount=PRICE)
        self.story.tell()

    def give_back(self, amount_minor: int) -> None:
        """So much of the first month's money is refunded by now, and we hear of it."""
        fact = RefundFact(
            stripe_refund_id="re_1", amount_minor=amount_minor, currency="EUR", status="succeeded",
            failure=None, asked_as=None, made_at=now_of(self.app),
        )  # fmt: skip
        facts = Reversals(refunds=(fact,) if amount_minor else (), disputes=())

        def act(session: Session) -> None:
            paid = find_plan_payment(session, payment_intent_id=self.first.payment_intent_id or "")
            assert paid is not None
            stand_as_reversed(session, row=lock_reversal(session, paid=paid), facts=facts)

        self.member.do(act)

    def net(self) -> int:
        """What the account has beside its debt, but for what it had at first."""

        def read(session: Session) -> int:
            found = ledger.balance(session, account_id=self.member.account_id)
            return found.balance

        return int(self.member.do(read)) - self.base

    def rollover(self) -> tuple[int, int]:
        """(amount, remaining) of what was carried over."""
        return next(((one[1], one[2]) for one in self.member.grants() if one[0] == "rollover"), (0, 0))

    def revoked(self) -> int:
        def read(session: Session) -> int:
            grants = [row.grant_id for row in self.member.periods()[:1]] + [
                row.rolled_into for row in self.member.periods()[:1] if row.rolled_into
            ]
            return sum(
                ledger.get_grant(session, account_id=self.member.account_id, grant_id=one or 0).revoked
                for one in grants
            )

        return int(self.member.do(read))


@pytest.mark.parametrize(
    ("spent", "refunded"), [(0, 360), (0, 1200), (500, 600), (500, 1200), (300, 900), (1000, 600), (700, 100)]
)
def test_it_is_the_same_whether_the_money_went_back_before_or_after_it_was_carried_over(
    app: Flask, spent: int, refunded: int
) -> None:
    early, late, twice = Life(app), Life(app), Life(app)
    for life in (early, late, twice):
        life.spend(spent)
    early.give_back(refunded)
    twice.give_back(refunded // 2)
    advance(app, timedelta(days=31.1))
    for life in (early, late, twice):
        life.renew()
    for life in (early, late, late, twice):
        life.give_back(refunded)
    target = revoke_target(credits=CREDITS, price_minor=PRICE, refunded_minor=refunded)
    assert [life.revoked() for life in (early, late, twice)] == [target] * 3
    kept = CREDITS + CREDITS - spent - target
    assert [life.net() for life in (early, late, twice)] == [kept] * 3
    assert_ledger_sound(app)


def test_what_was_carried_over_and_spent_becomes_debt(app: Flask) -> None:
    life = Life(app)
    life.spend(200)
    advance(app, timedelta(days=31.1))
    life.renew()
    assert life.rollover() == (800, 800)
    life.spend(600)
    life.give_back(PRICE)
    assert life.rollover() == (800, 0)
    assert life.net() == CREDITS - 200 - 600
    assert_ledger_sound(app)


def test_a_refund_that_fails_gives_it_back(app: Flask) -> None:
    life = Life(app)
    life.spend(400)
    advance(app, timedelta(days=31.1))
    life.renew()
    life.give_back(900)
    assert life.rollover() == (600, 0)
    life.give_back(0)
    assert life.rollover() == (600, 600)
    assert life.net() == CREDITS + 600
    assert life.revoked() == 0
    assert_ledger_sound(app)


def test_a_period_that_is_granted_late_loses_what_its_payment_had_lost_before(app: Flask) -> None:
    life = Life(app)
    advance(app, timedelta(days=31.1))
    life.give_back(600)  # after it expired, before its rest is carried over
    life.renew()
    assert life.revoked() == 500
    assert life.net() == CREDITS + 500
    assert_ledger_sound(app)
