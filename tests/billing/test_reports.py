"""Reports: random histories come to the same in credits and money, whichever way they are added up."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import settings
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from jobs.roll_up_reports import roll_up_reports
from tests.billing.busy_accounts import BusyAccount
from tests.conftest import TestServers
from tests.ledger.asking import HOUR, T0
from tests.ledger.conftest import new_clocked_database
from tests.ledger.database_account import DatabaseAccount
from webapp import ledger
from webapp.billing import report_days, reports
from webapp.billing.journal import CREDITS, journal_lines
from webapp.billing.proof import violations
from webapp.billing.reports import Report, Sums
from webapp.database import sqlalchemy_url, unit_of_work
from webapp.extensions import db

FIRST, LAST = date(2031, 1, 1), date(2031, 4, 1)
LATER = datetime(2031, 3, 15, tzinfo=UTC)
CURRENCIES = ("EUR", "USD")
HOUSE = {
    "sales": ("purchase",),
    "promotions": ("grant",),
    "rollover": ("rollover",),
    "usage": ("spend", "refund"),
    "breakage": ("expire",),
    "refunds": ("revoke", "restore"),
}


@pytest.fixture(scope="module")
def servers(server_addresses: Any) -> TestServers:
    return new_clocked_database(server_addresses)


@pytest.fixture(scope="module")
def engine(servers: TestServers) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(servers.database_url))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def lived(engine: Engine) -> Engine:
    """The histories of a few accounts, whose grants cost odd sums in two currencies; of many in a nightly run."""
    for seed in range(4 if settings().max_examples < 1_000 else 300):
        BusyAccount(engine, seed).live(steps=70)
    return engine


@pytest.fixture
def session(lived: Engine) -> Iterator[Session]:
    """At a time after all of it. Nothing is kept: each test rolls up for itself."""
    with Session(lived) as session:
        session.execute(text("SELECT set_config('test.now', '2031-03-31', true)"))
        yield session


def roll_up(session: Session, *limits: datetime) -> None:
    for limit in limits:
        while report_days.roll_up(session, limit=limit):
            pass


def report(session: Session) -> Report:
    return reports.read_report(session, since=FIRST, until=LAST, unit="month")


def by_the_grants(session: Session, currency: str) -> tuple[int, int]:
    """What paid grants have cost, and what of it is still owed."""
    row = session.execute(
        text(
            "SELECT sum(cost_minor) FILTER (WHERE source <> 'rollover'),"
            " sum(cost_minor - div(cost_minor::numeric * (amount - remaining), amount))"
            " FROM ledger.grants_v WHERE cost_minor > 0 AND cost_currency = :currency"
        ),
        {"currency": currency},
    ).one()
    return int(row[0]), int(row[1])


@pytest.mark.parametrize("currency", CURRENCIES)
def test_what_was_sold_is_what_was_used_lost_given_back_and_still_owed(session: Session, currency: str) -> None:
    found = report(session)
    money = found.total("month", currency=currency)
    assert min(money.recognised_minor, money.breakage_minor, money.refunded_minor) > 0, "a history too short"
    assert money.sold_minor == (
        money.recognised_minor + money.breakage_minor + money.refunded_minor + money.deferred_minor
    )
    assert (money.sold_minor, money.deferred_minor) == by_the_grants(session, currency)
    for by in ("item", "feature"):
        assert found.total(by, currency=currency) == money


def test_where_each_grant_stands_is_what_the_ledger_says(session: Session) -> None:
    roll_up(session, T0 + 40 * HOUR, T0 + 200 * HOUR, LATER)
    rows = session.execute(
        text(
            "SELECT g.amount - g.remaining, r.out_credits, g.revoked_as_debt, r.reclaimed, g.open, r.emptied_on"
            " FROM ledger.grants_v g JOIN report_grants r USING (account_id, grant_id)"
        )
    ).all()
    assert len(rows) > 20
    for out, told_out, debt, told_debt, is_open, emptied_on in rows:
        assert (out, debt, is_open) == (told_out, told_debt, emptied_on is None)


def test_credits_tie_to_the_trial_balance(session: Session) -> None:
    found = report(session)
    balance = {row[0]: int(row[1]) for row in session.execute(text("SELECT * FROM ledger.trial_balance_v"))}
    for account, movements in HOUSE.items():
        assert found.total("month", movements=movements).credits == -balance.get(account, 0), account
    assert found.total("month", movements=("repay",)).credits == 0
    assert found.total("month").credits == balance["grants"] + balance["debt"]


def test_what_is_rolled_up_and_what_is_not_come_to_the_same(session: Session) -> None:
    live = report(session)
    lines = reports.read_days(session, since=FIRST, until=LAST)
    roll_up(session, T0 + HOUR, T0 + 2 * HOUR, T0 + 26 * HOUR)
    assert dict.fromkeys(report(session).figures, 1) == dict.fromkeys(live.figures, 1)
    roll_up(session, LATER)
    assert dict.fromkeys(report(session).figures, 1) == dict.fromkeys(live.figures, 1)
    assert reports.read_days(session, since=FIRST, until=LAST) == lines
    roll_up(session, LATER)  # again: nothing is added twice
    assert report(session).total("month") == live.total("month")


def test_a_period_begins_where_the_one_before_ended(session: Session) -> None:
    for _way in range(2):
        whole = report(session).total("month")
        middle = (T0 + timedelta(days=4)).date()
        late = reports.read_report(session, since=middle, until=LAST)
        early = reports.read_report(session, since=FIRST, until=middle)
        before, late_days = late.total("before"), late.total("day")
        assert (before.credits, before.deferred_minor) == (
            early.total("day").credits,
            early.total("day").deferred_minor,
        )
        assert early.total("day") + late_days == whole
        roll_up(session, T0 + 150 * HOUR)


def test_what_there_was_before_a_month_is_not_added_up_anew(session: Session) -> None:
    march = date(2031, 3, 1)
    live = reports.read_report(session, since=march, until=LAST).total("before")
    roll_up(session, LATER)
    opening = session.execute(text("SELECT sum(credits) FROM report_days WHERE movement = 'opening'")).scalar_one()
    for first in (march, date(2031, 2, 1), T0.date(), date(2031, 3, 9)):
        found = reports.read_report(session, since=first, until=LAST)
        whole, days = report(session).total("month"), found.total("day")
        before = found.total("before")
        assert before.credits + days.credits == whole.credits
        assert before.deferred_minor + days.deferred_minor == whole.deferred_minor
    told = reports.read_report(session, since=march, until=LAST).total("before")
    assert (told.credits, told.deferred_minor) == (live.credits, live.deferred_minor)
    in_january = report(session).total("month", key="2031-01").credits
    assert opening == in_january + told.credits  # of February, and of March


def test_the_journal_balances_on_each_day_and_by_each_number(session: Session) -> None:
    lines = reports.read_days(session, since=FIRST, until=LAST)
    for currency in (*CURRENCIES, CREDITS):
        balance: dict[Any, int] = {}
        for line in journal_lines(lines, currency=currency):
            assert (line.debit > 0) != (line.credit > 0)
            for key in (line.day, line.number):
                balance[key] = balance.get(key, 0) + line.debit - line.credit
        assert set(balance.values()) <= {0}
    deferred = sum(
        line.credit - line.debit for line in journal_lines(lines, currency="EUR") if line.account.code == "2000"
    )
    assert deferred == by_the_grants(session, "EUR")[1]


def test_a_grant_gives_all_of_its_money_and_takes_it_all_back(engine: Engine) -> None:
    now = T0 - timedelta(days=20)
    account = DatabaseAccount(engine, now=now - HOUR)
    account.grant(now=now, amount=7, source="purchase", cost_minor=100)
    for _ in range(7):
        account.spend(now=now, amount=1, feature="image")

    def sums(since: datetime, until: datetime) -> Sums:
        with Session(engine) as session:
            session.execute(text("SELECT set_config('test.now', '2031-03-31', true)"))
            return reports.read_report(session, since=since.date(), until=until.date()).total("day", currency="EUR")

    day = timedelta(days=1)
    assert sums(now, now + day) == Sums(sold_minor=100, recognised_minor=100)
    account.revoke(now=now, grant_id=1, target=7)  # all of it was spent: it becomes debt
    assert sums(now, now + day) == Sums(credits=-7, sold_minor=100, recognised_minor=0, refunded_minor=100)
    account.revoke(now=now, grant_id=1, target=0)
    assert sums(now, now + day) == Sums(sold_minor=100, recognised_minor=100)


def test_half_of_what_was_used_up_is_gone_after_so_many_days(engine: Engine) -> None:
    with Session(engine) as session:
        for number, emptied in enumerate(("2029-03-02", "2029-03-11", "2029-04-30", None)):
            session.execute(
                text(
                    "INSERT INTO report_grants (account_id, grant_id, currency, out_credits, reclaimed, granted_on,"
                    " emptied_on) VALUES (-1, :number, 'EUR', 0, 0, '2029-03-01', :emptied)"
                ),
                {"number": number, "emptied": emptied},
            )
        (cohort,) = reports.depletion(session, since=date(2029, 1, 1), until=date(2030, 1, 1), currency="EUR")
        assert (cohort.month, cohort.grants, cohort.emptied, cohort.median_days) == ("2029-03", 4, 3, 10)
        session.rollback()


@pytest.mark.parametrize("job_runs", [2])
def test_the_job_goes_on_where_it_stopped(fresh_app: Flask, job_runs: int, make_accounts: Callable[..., None]) -> None:
    make_accounts(fresh_app)
    with fresh_app.app_context():
        for _ in range(job_runs):
            roll_up_reports()
        with unit_of_work() as session:
            reach = reports.reach_of(session)
            assert reach.rolled_until is not None
            today = reach.until.date()
            found = reports.read_report(session, since=today - timedelta(days=3), until=today + timedelta(days=1))
            assert (found.total("day").credits, found.total("day", movements=("spend",)).credits) == (70, -30)
            active = reports.active_accounts(
                session, since=today - timedelta(days=3), until=today + timedelta(days=1), reach=reach
            )
            assert active.get(today) == 1


def test_nothing_is_added_up_while_an_earlier_write_goes_on(
    fresh_app: Flask, make_accounts: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.roll_up_reports.PATIENCE_SECONDS", 0.0)
    make_accounts(fresh_app)
    with fresh_app.app_context():
        with Session(db.engine) as slow:
            account_id = slow.execute(text("SELECT account_id FROM ledger.accounts_v")).scalar_one()
            ledger.grant(slow, account_id=account_id, amount=5, source="admin", actor="me")
            roll_up_reports()
            with unit_of_work() as session:
                assert reports.reach_of(session).rolled_until is None
            slow.commit()
        roll_up_reports()
        with unit_of_work() as session:
            assert reports.reach_of(session).rolled_until is not None


def test_the_proof_finds_reports_that_do_not_say_what_entries_do(session: Session) -> None:
    def found() -> list[str]:
        far = datetime(1970, 1, 1, tzinfo=UTC)
        return [one.detail for one in violations(session, undone_since=far) if one.invariant == 10]

    assert found() == []
    roll_up(session, T0 + 50 * HOUR, LATER)
    assert found() == []
    session.execute(text("UPDATE report_days SET credits = credits + 1 WHERE movement = 'expire'"))
    (lie,) = found()
    assert "of expire instead of" in lie
    session.execute(text("DELETE FROM report_days"))
    assert len(found()) > 3


@pytest.fixture
def make_accounts() -> Callable[..., None]:
    def make(app: Flask) -> None:
        with app.app_context(), unit_of_work() as session:
            one, _ = ledger.open_account(session, external_id="reported")
            ledger.grant(session, account_id=one.account_id, amount=100, source="admin", actor="me")
            ledger.spend(
                session, account_id=one.account_id, amount=30, idempotency_key="a", actor="me", feature="image"
            )

    return make
