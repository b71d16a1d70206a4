"""What an operator types."""

import time
from datetime import timedelta

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import text

from tests.billing.shop import Buyer, Shop
from webapp import ledger
from webapp.catalog.package import list_packages
from webapp.database import unit_of_work


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=list(arguments))


def test_replay_fetches_an_event_that_never_came(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    (completed,) = shop.events(purchase.stripe_session_id)
    result = run(shop.app, "stripe", "replay", completed["id"])
    assert result.exit_code == 0, result.output
    assert "handled" in result.output
    assert buyer.bought() == [500]
    assert shop.event(completed["id"]).payload == completed
    assert shop.outbox_row(f"stripe-event:{completed['id']}").done_at is not None
    assert run(shop.app, "stripe", "replay", completed["id"]).exit_code == 0
    assert buyer.bought() == [500]


@pytest.mark.parametrize("event", ["evt_nobody", "", "../x", "ä"])
def test_replay_of_an_event_that_nobody_knows_says_so(shop: Shop, event: str) -> None:
    result = run(shop.app, "stripe", "replay", event)
    assert result.exit_code == 1
    assert "know an event" in result.output


def test_reconcile_settles_what_no_event_told(shop: Shop, buyer: Buyer) -> None:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id, "pay")
    result = run(shop.app, "stripe", "reconcile", "--since", "5m")
    assert f"repaired  {purchase.stripe_session_id} was paid and has its credits now" in result.output
    assert "Compared with Stripe: " in result.output
    assert buyer.bought() == [500]


def test_reconcile_says_when_stripe_is_away(shop: Shop, make_app: object, servers: object, buyer: Buyer) -> None:
    buyer.start()
    away = make_app(servers, STRIPE_API_BASE="http://127.0.0.1:9")  # type: ignore[operator]
    result = run(away, "stripe", "reconcile", "--since", "5m")
    assert result.exit_code == 1
    assert "did not answer" in result.output


def test_the_clock_is_moved_in_sandbox_mode(fresh_app: Flask) -> None:
    began = time.monotonic()
    with fresh_app.app_context(), unit_of_work() as session:
        before = ledger.now(session)
    for duration in ("31d", "2h", "15m", "90s"):
        assert run(fresh_app, "sandbox", "advance", duration).exit_code == 0
    with fresh_app.app_context(), unit_of_work() as session:
        passed = (ledger.now(session) - before).total_seconds() - (31 * 86400 + 7200 + 900 + 90)
    assert -1 < passed < time.monotonic() - began + 1, "beside what the commands took themselves"
    with fresh_app.app_context():
        from webapp import clock
        from webapp.extensions import db

        db.session.execute(text("SELECT 1"))
        clock.follow(db.session(), movable=False)


def test_moving_the_clock_books_what_expired_so_that_the_proof_holds(fresh_app: Flask) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        soon = ledger.now(session) + timedelta(days=30)
        for number in range(3):
            account, _created = ledger.open_account(session, external_id=f"moved-{number}")
            terms = {"amount": 10, "source": "test", "actor": "test", "expires_at": soon}
            ledger.grant(session, account_id=account.account_id, **terms)  # type: ignore[arg-type]
    moved = run(fresh_app, "sandbox", "advance", "31d")
    assert moved.exit_code == 0, moved.output
    proof = run(fresh_app, "ledger", "verify")
    assert proof.exit_code == 0
    assert proof.output.startswith("every invariant holds: 3 accounts, 3 grants, 6 entries, ")
    with fresh_app.app_context(), unit_of_work() as session:
        assert session.execute(text("SELECT * FROM ledger.violations_v")).all() == []


def test_the_clock_does_not_leave_the_years_that_can_be_written(fresh_app: Flask) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        for by in (timedelta.max, timedelta(days=400_000)):
            with pytest.raises(ledger.InvalidRequest) as refused:
                ledger.advance_clock(session, by=by)
            assert refused.value.field == "by"
            session.rollback()


@pytest.mark.parametrize("duration", ["", "0s", "-1d", "1", "d", "1.5h", "1w", "9999999999d", "١d"])
def test_nonsense_does_not_move_the_clock(shop: Shop, duration: str) -> None:
    result = run(shop.app, "sandbox", "advance", "--", duration)
    assert result.exit_code == 2
    assert "write for example" in result.output


def test_a_periodic_job_runs_by_name(shop: Shop) -> None:
    assert run(shop.app, "jobs", "run", "sweep_outbox").exit_code == 0
    assert "expire_due" in run(shop.app, "jobs", "run", "nothing").output


def test_the_first_upgrade_fills_an_empty_shop_and_later_ones_leave_it_alone(fresh_app: Flask) -> None:
    def on_sale() -> list[str]:
        with fresh_app.app_context(), unit_of_work() as session:
            return [package.code for package in list_packages(session)]

    assert on_sale() == []
    assert run(fresh_app, "db", "upgrade").exit_code == 0
    assert on_sale() == ["starter", "standard", "premium", "enterprise"]
    with fresh_app.app_context(), unit_of_work() as session:
        session.execute(text("DELETE FROM package_prices WHERE package = 'premium'"))
        session.execute(text("DELETE FROM packages WHERE code = 'premium'"))
    assert run(fresh_app, "db", "upgrade").exit_code == 0
    assert on_sale() == ["starter", "standard", "enterprise"]
    assert run(fresh_app, "seed", "catalog").exit_code == 0
    assert on_sale() == ["starter", "standard", "premium", "enterprise"]
