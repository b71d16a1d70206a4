"""Time that is moved passes day by day, with everything that falls due on the way."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from jobs.advance_time import NotASandbox, advance_time
from tests.billing.entitled import take_free
from tests.billing.plans import Member, assert_ledger_sound, make_member
from tests.conftest import TestServers
from webapp import clock, ledger, outbox
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work
from webapp.job_runs import JobRun
from webapp.outbox import OutboxRow
from webapp.people import sessions


@pytest.fixture
def member(fresh_app: Flask) -> Iterator[Member]:
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    member = make_member(fresh_app)
    take_free(member)
    yield member
    clock.forget()


def test_two_months_bring_grants_ends_and_mails_in_their_order(fresh_app: Flask, member: Member) -> None:
    with fresh_app.app_context():
        before = clock.now()
        steps = list(advance_time(by=timedelta(days=62, hours=1)))
        assert len(steps) == 63
        assert abs(steps[-1] - before - timedelta(days=62, hours=1)) < timedelta(minutes=2)
        with unit_of_work() as session:
            assert abs(clock.now() - ledger.now(session)) < timedelta(seconds=2)
            entries = ledger.entries(session, account_id=member.account_id, limit=10).entries
            assert [entry.kind for entry in reversed(entries)] == ["grant", "expire", "grant", "expire", "grant"]
            mails = session.scalars(select(OutboxRow).where(OutboxRow.job == "send_mail").order_by(OutboxRow.id)).all()
            assert [row.args["mail"] for row in mails] == ["credits_expiring", "credits_granted", "credits_expired"] * 2
            assert all(row.done_at is not None for row in mails)
            verified = session.scalar(select(func.count()).where(JobRun.name == "verify_ledger"))
            assert verified is not None
            assert verified >= 31
    assert_ledger_sound(fresh_app)


def test_what_was_asked_for_before_is_done_in_its_own_time(fresh_app: Flask, member: Member) -> None:
    """A worker may be slow; no proof on the way takes what it had no time for as left undone."""
    with fresh_app.app_context():
        with unit_of_work() as session:
            args = {"mail": "password_changed", "user_id": member.user_id}
            asked = outbox.put(session, job="send_mail", key="asked-before", args=args)
        before = clock.now()
        list(advance_time(by=timedelta(days=3)))
        with unit_of_work() as session:
            row = session.get_one(OutboxRow, asked)
            assert row.done_at is not None
            assert row.done_at - before < timedelta(days=1)
            proofs = session.scalars(select(JobRun.counts).where(JobRun.name == "verify_ledger")).all()
            assert [one for one in proofs if one.get("findings")] == []
            assert len(proofs) >= 2


def test_whoever_is_signed_in_stays_so(fresh_app: Flask, member: Member) -> None:
    """Sessions live by the real time: somebody who moves the clock looks at the pages next."""
    with fresh_app.app_context():
        with unit_of_work() as session:
            token = sessions.start(session, user_id=member.user_id, stay=False, ip="", user_agent="")
        list(advance_time(by=timedelta(days=3)))
        with unit_of_work() as session:
            assert sessions.find(session, token=token) is not None


def test_the_command_says_what_time_it_is(fresh_app: Flask, member: Member) -> None:
    ran = fresh_app.test_cli_runner().invoke(args=["sandbox", "advance", "36h"])
    assert ran.exit_code == 0, ran.output
    assert "It is now 2" in ran.output


def test_where_money_is_real_time_cannot_be_moved(make_app: Callable[..., Flask], fresh_database: TestServers) -> None:
    app = make_app(
        fresh_database,
        STRIPE_SECRET_KEY="sk_test_x",
        STRIPE_WEBHOOK_SECRET="whsec_x",
        SECRET_KEY="x" * 40,
    )
    with app.app_context(), pytest.raises(NotASandbox):
        list(advance_time(by=timedelta(days=1)))
    refused = app.test_cli_runner().invoke(args=["sandbox", "advance", "1d"])
    assert refused.exit_code == 1
    assert "sandbox mode only" in refused.output
