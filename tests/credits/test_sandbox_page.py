"""The page that moves time: in sandbox mode, and nowhere else."""

import re
from collections.abc import Callable
from datetime import timedelta

from flask import Flask
from sqlalchemy import select

from jobs.move_time import move_time
from tests.billing.entitled import take_free
from tests.billing.plans import make_member
from tests.conftest import TestServers
from tests.credits.member import Member
from webapp import clock, ledger
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work
from webapp.outbox import OutboxRow


def test_the_page_asks_for_a_log_in_and_shows_the_time(member: Member, app: Flask) -> None:
    assert app.test_client().get("/sandbox").status_code == 303
    html = member.get("/sandbox").text
    assert re.search(r'id="sandbox-now"><time datetime="\d{4}-', html)
    assert 'value="31"' in html


def test_outside_of_a_sandbox_there_is_no_such_page(
    make_app: Callable[..., Flask], fresh_database: TestServers
) -> None:
    app = make_app(fresh_database, STRIPE_SECRET_KEY="sk_test_x", STRIPE_WEBHOOK_SECRET="whsec_x", SECRET_KEY="x" * 40)
    assert "sandbox" not in {rule.endpoint for rule in app.url_map.iter_rules()}
    assert app.test_client().get("/sandbox").status_code == 404


def test_what_is_asked_for_is_done_by_a_job_once(fresh_app: Flask) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    member = make_member(fresh_app)
    take_free(member)
    with fresh_app.app_context():
        with unit_of_work() as session:
            before = ledger.now(session)
            until = (before + timedelta(days=2)).isoformat()
            from webapp import outbox

            row_id = outbox.put(session, job="move_time", key=f"move-time:{until}", args={"until": until})
        for _ in range(2):
            move_time(row_id)
        with unit_of_work() as session:
            assert timedelta(days=2) <= ledger.now(session) - before < timedelta(days=2, minutes=2)
            row = session.scalars(select(OutboxRow).where(OutboxRow.id == row_id)).one()
            assert row.done_at is not None
    clock.forget()


def test_a_press_puts_the_job_in_the_outbox_and_nonsense_does_not(member: Member, shop: Flask) -> None:
    page = member.get("/sandbox").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    for days in ("2", "-1", "x", "999", ""):
        assert member.client.post("/sandbox", data={"days": days, "csrf_token": token[1]}).status_code == 303
    with shop.app_context(), unit_of_work() as session:
        assert session.scalars(select(OutboxRow).where(OutboxRow.job == "move_time")).all() == []
