"""The SQL that the guides tell an admin to type does what they say."""

from pathlib import Path

import psycopg
from flask import Flask

from tests.conftest import TestServers
from tests.docs.pages import ROOT, blocks_of
from webapp.catalog.counted import settle
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.rate_book import quote
from webapp.database import unit_of_work


def sql_of(name: str) -> list[str]:
    return [block.code for block in blocks_of(ROOT / name) if block.language == "sql"]


def test_an_admins_sql_runs_as_the_application(fresh_app: Flask, fresh_database: TestServers) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    blocks = sql_of("docs/admin.md")
    assert blocks
    with psycopg.connect(fresh_database.database_url, autocommit=True) as connection:
        for block in blocks:
            connection.execute(block)


def test_an_admins_rate_card_can_be_published_and_costs_what_the_guide_says(fresh_app: Flask, tmp_path: Path) -> None:
    draft, by_dimensions, with_free = [
        block.code for block in blocks_of(ROOT / "docs/admin.md") if block.language == "toml"
    ]
    file = tmp_path / "rate-card.toml"
    file.write_text(draft)
    with fresh_app.app_context():
        with unit_of_work() as session:
            install_shipped_catalog(session)
        published = fresh_app.test_cli_runner().invoke(args=["rate-card", "publish", str(file)])
        assert published.exit_code == 0, published.output
        with unit_of_work() as session:
            assert quote(session, feature="image").pricing["rate_card_version"] == 2
            assert quote(session, feature="image", quantity=2).credits == 20
            assert quote(session, feature="chat-message", quantity=100_500).credits == 301
            assert quote(session, feature="chat-message").credits == 2
            assert quote(session, feature="api-call", quantity=1_001).credits == 10
            assert quote(session, feature="export", quantity=7).credits == 12
        file.write_text(by_dimensions)
        published = fresh_app.test_cli_runner().invoke(args=["rate-card", "publish", str(file)])
        assert published.exit_code == 0, published.output
        with unit_of_work() as session:
            used = {"input_tokens": 1500, "output_tokens": 400, "model": "large"}
            assert quote(session, feature="chat-message", dimensions=used).credits == 11
            assert quote(session, feature="chat-message", dimensions={"model": "small"}, quantity=3).credits == 6
        file.write_text(with_free)
        published = fresh_app.test_cli_runner().invoke(args=["rate-card", "publish", str(file)])
        assert published.exit_code == 0, published.output
        with unit_of_work() as session:
            pricing = quote(session, feature="image", quantity=7).pricing
            assert [settle(pricing, used=used)["credits"] for used in (0, 4, 5)] == [20, 60, 70]


def test_an_operators_sql_runs(servers: TestServers) -> None:
    roles, *questions = sql_of("docs/operator.md")
    assert "CREATE ROLE" in roles
    assert len(questions) == 2
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        for question in questions:
            connection.execute(question)
