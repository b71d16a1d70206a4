"""People made for a benchmark are as the ledger would have made them, but for the hashes, and their pages are shown."""

from collections.abc import Callable
from typing import Any

import psycopg
from flask import Flask

from bench.admins import make_owner, make_sales
from bench.pages import EVERYBODYS, OF_MANY_ENTRIES, Asker, Built, as_owner, ask, sign_in, statements_of, table
from bench.people import GRANTS_EACH, make_people
from tests.conftest import TestServers
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work


def test_people_of_a_benchmark_break_no_invariant_and_see_every_page(
    fresh_database: TestServers, make_app: Callable[..., Flask]
) -> None:
    lowest, highest = make_people(fresh_database.superuser_url, prefix="p-", people=3, spends=7)
    assert highest - lowest == 2
    with psycopg.connect(fresh_database.database_url) as connection:
        broken: list[Any] = connection.execute("SELECT DISTINCT detail FROM ledger.violations_v").fetchall()
    assert all("hash" in detail for (detail,) in broken), broken
    app = make_app(fresh_database)
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    askers = [Asker(client, GRANTS_EACH + 7) for client in sign_in(app, [lowest, highest])]
    with statements_of(app) as sent:
        asked = [ask(path, askers, sent=sent) for path in (*EVERYBODYS, *OF_MANY_ENTRIES)]
        make_sales(fresh_database.superuser_url)
        make_owner(fresh_database.superuser_url, account_id=lowest)
        built = Built((lowest, highest), spends=7, one=lowest, longest=7)
        asked += as_owner(askers[0].client, [lowest, highest], built, sent=sent)
    assert {len(one.milliseconds) for one in asked} == {2}
    assert max(max(one.statements) for one in asked) <= 20
    assert table(asked).count("\n") == 1 + len(asked)
