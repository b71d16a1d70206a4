"""After an outage: what becomes of the months that nobody granted."""

from collections.abc import Callable
from datetime import timedelta

from flask import Flask

from jobs.run_periodic import run_periodic
from tests.billing.entitled import take_free
from tests.billing.plans import assert_ledger_sound, make_member
from tests.conftest import TestServers
from webapp import clock, ledger
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work
from webapp.extensions import db

OUTAGE = timedelta(days=200)


def let_pass(app: Flask) -> dict[str, int]:
    with app.app_context():
        with unit_of_work() as session:
            ledger.advance_clock(session, by=OUTAGE)
        clock.follow(db.session(), movable=True, at_once=True)
        return run_periodic("grant_due")


def test_every_missed_month_is_granted_and_what_is_over_has_expired(
    make_app: Callable[..., Flask], fresh_database: TestServers
) -> None:
    app = make_app(fresh_database)
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    member = make_member(app)
    take_free(member)
    assert let_pass(app)["periods"] == 6
    assert [row.credits for row in member.periods()] == [100] * 7
    assert [left for _, _, left, _ in member.grants()] == [0] * 6 + [100]
    assert_ledger_sound(app)


def test_with_catch_up_latest_only_the_free_month_that_runs_is_granted(
    make_app: Callable[..., Flask], fresh_database: TestServers
) -> None:
    app = make_app(fresh_database, CATCH_UP="latest")
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    member = make_member(app)
    take_free(member)
    assert let_pass(app)["periods"] == 6
    assert [row.credits for row in member.periods()] == [100, 0, 0, 0, 0, 0, 100]
    assert [left for _, _, left, _ in member.grants()] == [0, 100]
    assert let_pass(app)["periods"] == 7
    assert_ledger_sound(app)
