"""The SQL that the guides tell an admin to type does what they say."""

import psycopg
from flask import Flask

from tests.conftest import TestServers
from tests.docs.pages import ROOT, blocks_of
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.package import find_package
from webapp.catalog.rate_card import quote
from webapp.database import unit_of_work


def sql_of(name: str) -> list[str]:
    return [block.code for block in blocks_of(ROOT / name) if block.language == "sql"]


def test_an_admins_sql_runs_as_the_application_and_changes_the_catalog(
    fresh_app: Flask, fresh_database: TestServers
) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    with psycopg.connect(fresh_database.database_url, autocommit=True) as connection:
        for block in sql_of("docs/admin.md"):
            connection.execute(block)
    with fresh_app.app_context(), unit_of_work() as session:
        assert quote(session, feature="image").pricing["rate_card_version"] == 2
        assert quote(session, feature="image").credits == 10
        assert quote(session, feature="export").credits == 12
        starter, premium = find_package(session, code="starter"), find_package(session, code="premium")
        assert starter is not None
        assert starter.price_minor("EUR") == 990
        assert premium is not None
        assert not premium.active


def test_an_operators_sql_runs(servers: TestServers) -> None:
    roles, outbox = sql_of("docs/operator.md")
    assert "CREATE ROLE" in roles
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(outbox)
