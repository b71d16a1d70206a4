"""What pages read by: one connection a request, each statement by itself, errors as everywhere."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DataError, OperationalError

from webapp import ledger
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.plan import Plan
from webapp.database import unit_of_work
from webapp.extensions import db
from webapp.reading import Reader, close_reader, reader


@pytest.fixture
def reading(app: Flask) -> Iterator[Reader]:
    with app.app_context():
        yield reader()
        close_reader()


def test_plain_sql_and_the_orm_say_the_same(reading: Reader) -> None:
    with unit_of_work() as session:
        install_shipped_catalog(session)
    rows = reading.execute(text("SELECT code, features, position FROM plans ORDER BY code")).all()
    plans = reading.scalars(select(Plan).order_by(Plan.code)).all()
    assert [tuple(row) for row in rows] == [(plan.code, plan.features, plan.position) for plan in plans]
    assert rows[0].code == plans[0].code


def test_a_statement_with_a_colon_and_a_per_cent_sign_is_understood(reading: Reader) -> None:
    sql = text("SELECT '100 %'::text AS share, CAST(:day AS timestamptz) AS day")
    moment = datetime(2027, 3, 3, tzinfo=UTC)
    assert reading.execute(sql, {"day": moment}).one() == ("100 %", moment)


def test_what_is_committed_elsewhere_shows_in_the_next_statement(reading: Reader) -> None:
    count = text("SELECT count(*) FROM suspensions WHERE account_id = -1")
    assert reading.execute(count).scalar_one() == 0
    with unit_of_work() as session:
        session.execute(
            text("INSERT INTO suspensions (account_id, reason, actor, since) VALUES (-1, 'test', 'test', now())")
        )
    assert reading.execute(count).scalar_one() == 1


def test_a_refusal_of_the_ledger_is_one_and_leaves_the_reader_usable(reading: Reader) -> None:
    with pytest.raises(ledger.AccountNotFound):
        ledger.balance(reading, account_id=10**15)
    assert ledger.now(reading).tzinfo is not None


def test_what_postgresql_refuses_is_the_error_that_sqlalchemy_makes_of_it(reading: Reader) -> None:
    with pytest.raises(DataError) as refused:
        reading.execute(text("SELECT 1 / CAST(:number AS integer)"), {"number": 0})
    assert refused.value.hide_parameters


def test_a_connection_that_was_ended_is_told_of_and_the_next_reader_has_another(reading: Reader) -> None:
    number = reading.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with unit_of_work() as session:
        session.execute(text("SELECT pg_terminate_backend(:number)"), {"number": number})
    with pytest.raises(OperationalError):
        reading.execute(text("SELECT 1"))
    close_reader()
    assert reader().execute(text("SELECT 1")).scalar_one() == 1


def test_the_connection_is_given_back_with_the_request(app: Flask) -> None:
    with app.test_request_context("/pricing"):
        reader().execute(text("SELECT 1"))
        assert db.engine.pool.checkedout() == 1  # type: ignore[attr-defined]
        app.do_teardown_request()
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
