"""Credits that end soon: who is told, once, and only where something would be lost."""

import email
import email.policy
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from jobs import send_mail
from jobs.run_periodic import run_periodic
from webapp import ledger
from webapp.billing.free_plan import end_free, start_free
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.plan import Plan
from webapp.database import unit_of_work
from webapp.notifications.expiry import Place, losses, warn_chunk
from webapp.outbox import OutboxRow
from webapp.people.sign_up import sign_up
from webapp.people.user import User

PASSWORD = "hazel-otter-cobalt-7"


def make_person(session: Session, **values: Any) -> User:
    return sign_up(session, email=f"{uuid4().hex}@example.com", password=PASSWORD, name="Ada", **values)


def give(session: Session, user: User, *, amount: int, days: float | None, name: str = "Promotion") -> int:
    expires_at = None if days is None else ledger.now(session) + timedelta(days=days)
    return ledger.grant(
        session,
        account_id=user.account_id,
        amount=amount,
        source="promotion",
        actor="test",
        expires_at=expires_at,
        description=name,
    ).entry.seq


def spend(session: Session, user: User, *, amount: int, days_ago: float) -> None:
    ledger.spend(
        session,
        account_id=user.account_id,
        amount=amount,
        idempotency_key=uuid4().hex,
        actor="test",
        occurred_at=ledger.now(session) - timedelta(days=days_ago),
    )


def mails_of(session: Session, user: User) -> list[OutboxRow]:
    rows = session.scalars(select(OutboxRow).where(OutboxRow.job == "send_mail").order_by(OutboxRow.id))
    return [row for row in rows if row.args.get("user_id") == user.id]


def warn_all(session: Session, *, limit: int = 2) -> int:
    place: Place | None = Place()
    total = 0
    while place is not None:
        place, mails = warn_chunk(session, after=place, limit=limit)
        total += mails
    return total


def test_only_what_the_pace_leaves_over_is_warned_of_and_only_once(fresh_app: Flask) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        idle, busy, later = (make_person(session) for _ in range(3))
        first = give(session, idle, amount=50, days=3)
        second = give(session, idle, amount=30, days=5)
        give(session, busy, amount=50, days=5)
        give(session, busy, amount=500, days=None)
        spend(session, busy, amount=300, days_ago=10)
        give(session, busy, amount=60, days=3)
        give(session, later, amount=50, days=8)
        assert warn_all(session) == 1
        [row] = mails_of(session, idle)
        assert row.args["grants"] == [[first, 50], [second, 30]]
        assert mails_of(session, busy) == mails_of(session, later) == []
        assert warn_all(session) == 0
        third = give(session, idle, amount=10, days=1)
        assert warn_all(session) == 1
        assert mails_of(session, idle)[1].args["grants"] == [[third, 10]]


def test_what_is_lost_is_reckoned_in_the_order_of_burning(fresh_app: Flask) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        user = make_person(session)
        give(session, user, amount=700, days=10)
        spend(session, user, amount=70, days_ago=6.999)  # ten a day
        soon = give(session, user, amount=25, days=2)
        next_one = give(session, user, amount=30, days=4)
        held = give(session, user, amount=8, days=0.5)
        ledger.place_hold(session, account_id=user.account_id, amount=8, idempotency_key="h", actor="test")
        now = ledger.now(session)
        found = {one.grant_id: one.amount for one in losses(session, account_ids=[user.account_id], now=now)}
    assert held not in found
    assert found[soon] in (5, 6)  # 25 there, twenty a day and a bit later spent
    assert found[next_one] in (10, 11)


def test_who_wants_no_mails_gets_none_and_accounts_without_a_person_neither(fresh_app: Flask) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        user = make_person(session)
        user.credit_mails = False
        give(session, user, amount=50, days=3)
        account, _ = ledger.open_account(session, external_id="org_1")
        ledger.grant(
            session,
            account_id=account.account_id,
            amount=5,
            source="s",
            actor="test",
            expires_at=ledger.now(session) + timedelta(days=1),
        )
        assert warn_all(session) == 0


def test_the_end_is_told_once_when_it_is_booked_and_something_was_lost(fresh_app: Flask) -> None:
    with fresh_app.app_context():
        with unit_of_work() as session:
            user, thrifty = make_person(session), make_person(session)
            lost = give(session, user, amount=50, days=3)
            give(session, thrifty, amount=50, days=3)
        run_periodic("warn_expiring")
        with unit_of_work() as session:
            spend(session, thrifty, amount=50, days_ago=0)
            ledger.advance_clock(session, by=timedelta(days=4))
        run_periodic("warn_expiring")
        with unit_of_work() as session:
            assert len(mails_of(session, user)) == 1
        run_periodic("expire_due")
        for _ in range(2):
            run_periodic("warn_expiring")
        with unit_of_work() as session:
            assert [row.args["mail"] for row in mails_of(session, user)] == ["credits_expiring", "credits_expired"]
            assert mails_of(session, user)[1].args["grants"] == [[lost, 50]]
            assert [row.args["mail"] for row in mails_of(session, thrifty)] == ["credits_expiring"]


def test_what_the_next_month_takes_over_is_not_called_lost(fresh_app: Flask) -> None:
    """Up to the plan's cap; what is beyond it, and what was carried over once already, is lost."""
    with fresh_app.app_context():
        with unit_of_work() as session:
            install_shipped_catalog(session)
            session.execute(text("UPDATE plans SET rollover_cap = 60 WHERE code = 'free'"))
            user = make_person(session)
            start_free(session, plan=session.get_one(Plan, "free"), user=user, mode="sandbox")
            ledger.advance_clock(session, by=timedelta(days=26))
        run_periodic("warn_expiring")
        with unit_of_work() as session:
            [warning] = mails_of(session, user)
            assert warning.args == {**warning.args, "mail": "credits_expiring", "grants": [[1, 40]]}
            ledger.advance_clock(session, by=timedelta(days=6))
        run_periodic("expire_due")
        run_periodic("warn_expiring")  # the next month has not come yet: nobody knows what it will take over
        with unit_of_work() as session:
            assert len(mails_of(session, user)) == 1
        run_periodic("grant_due")
        run_periodic("warn_expiring")
        with unit_of_work() as session:
            told = {row.args["mail"]: row.args["grants"] for row in mails_of(session, user)}
            assert told["credits_expired"] == [[1, 40]]
            end_free(session, account_id=user.account_id, mode="sandbox", moment=ledger.now(session))
            ledger.advance_clock(session, by=timedelta(days=25))
        run_periodic("warn_expiring")
        with unit_of_work() as session:
            ledger.advance_clock(session, by=timedelta(days=10))
        for job in ("expire_due", "warn_expiring"):
            run_periodic(job)
        with unit_of_work() as session:
            last = mails_of(session, user)[-1]
            assert last.args["mail"] == "credits_expired"
            assert sorted(credits for _grant, credits in last.args["grants"]) == [60, 100]


def test_a_month_that_never_comes_takes_nothing_over_and_that_is_told(fresh_app: Flask) -> None:
    with fresh_app.app_context():
        with unit_of_work() as session:
            install_shipped_catalog(session)
            session.execute(text("UPDATE plans SET rollover_cap = 60 WHERE code = 'free'"))
            user = make_person(session)
            start_free(session, plan=session.get_one(Plan, "free"), user=user, mode="sandbox")
            session.execute(text("UPDATE entitlements SET paused = true"))  # as while a payment is missing
            ledger.advance_clock(session, by=timedelta(days=27))
        run_periodic("warn_expiring")
        for days, mails in ((5, 1), (20, 2)):
            with unit_of_work() as session:
                ledger.advance_clock(session, by=timedelta(days=days))
            for job in ("expire_due", "warn_expiring"):
                run_periodic(job)
            with unit_of_work() as session:
                assert len(mails_of(session, user)) == mails
        with unit_of_work() as session:
            assert mails_of(session, user)[-1].args["grants"] == [[1, 100]]


@pytest.mark.parametrize("locale", ["en", "de", "fr", "es", "pt-BR", "ja", "ar"])
def test_each_mail_is_in_the_language_and_zone_of_the_person(
    fresh_app: Flask, locale: str, midnight: Callable[[Session], datetime]
) -> None:
    with fresh_app.app_context():
        with unit_of_work() as session:
            user = make_person(session, locale=locale, time_zone="Pacific/Kiritimati")
            seq = ledger.grant(
                session,
                account_id=user.account_id,
                amount=1200,
                source="sign-up",
                actor="test",
                description="Welcome credits",
                expires_at=midnight(session),
            ).entry.seq
            session.flush()
            args = {"user_id": user.id, "account_id": user.account_id, "grants": [[seq, 1200]]}
            for mail in ("credits_expiring", "credits_expired", "credits_granted"):
                send_mail.effect(session, mail=mail, **args)
        folder = fresh_app.config["SETTINGS"].data_dir / "mail"
        found = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in folder.iterdir()]
        mine = [one for one in found if one["To"] == user.email]
        assert len(mine) == 3
        for one in mine:
            assert one["Content-Language"] == locale
            plain, rich = (str(one.get_body((kind,)).get_content()) for kind in ("plain", "html"))
            for body in (plain, rich):
                assert "http://localhost:8000/credits" in body
                assert "2040" in body.replace("٠", "0").replace("٢", "2").replace("٤", "4")
                if locale != "en":
                    assert "Welcome" not in body
            assert "{" not in plain
            assert "\n\n\n" not in plain


@pytest.fixture
def midnight() -> Callable[[Session], datetime]:
    """The first moment of 2040 in Kiribati, which is still 2039 in UTC."""
    return lambda _session: datetime.fromisoformat("2039-12-31T10:00:00+00:00")


def test_the_nightly_proof_counts_what_it_found(fresh_app: Flask) -> None:
    with fresh_app.app_context():
        with unit_of_work() as session:
            user = make_person(session)
            give(session, user, amount=5, days=None)
        counts = run_periodic("verify_ledger")
        assert counts["accounts"] == 1
        assert "findings" not in counts
        with unit_of_work() as session:
            session.execute(
                text(
                    "INSERT INTO outbox (job, key, args, created_at, due_at, attempts) VALUES ('send_mail', 'x', '{}',"
                    " now() - interval '3 days', now() - interval '3 days', 1)"
                )
            )
        with capture_logs() as logs:
            assert run_periodic("verify_ledger")["findings"] == 1
        assert [log["invariant"] for log in logs if log["event"] == "ledger_lies"] == [11]
    body = fresh_app.test_client().get("/metrics").text
    assert "tallystick_ledger_findings 1.0" in body
    assert 'tallystick_job_failed{job="verify_ledger"} 0.0' in body
