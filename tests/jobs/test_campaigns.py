"""Campaigns: each account that qualifies gets the credits once, while the window is open."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from jobs import grant_campaigns
from jobs.run_periodic import run_periodic
from tests.billing.entitled import take_free
from tests.billing.plans import assert_ledger_sound, make_member
from tests.jobs.test_grant_due import install_shipped_catalog
from webapp import clock, ledger
from webapp.catalog.campaign import BadCampaign, create_campaign
from webapp.database import unit_of_work
from webapp.outbox import OutboxRow


def make(app: Flask, code: str, **values: Any) -> None:
    terms = {"name": "Summer", "credits": 25, "expires_days": 10, "ends_at": None, **values}
    with app.app_context(), unit_of_work() as session:
        terms.setdefault("starts_at", clock.now() - timedelta(minutes=1))
        create_campaign(session, code=code, **terms)


def run(app: Flask) -> dict[str, int]:
    with app.app_context():
        return run_periodic("grant_campaigns")


def test_everyone_gets_it_once_chunk_by_chunk_and_hears_of_it(
    fresh_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grant_campaigns, "CHUNK", 2)
    members = [make_member(fresh_app) for _ in range(5)]
    make(fresh_app, "summer")
    assert run(fresh_app) == {"grants": 5}
    assert run(fresh_app) == {}
    late = make_member(fresh_app)
    assert run(fresh_app) == {"grants": 1}
    for member in (*members, late):
        [(_, amount, left, ends)] = member.grants()
        assert (amount, left) == (25, 25)
        assert ends is not None
    with fresh_app.app_context(), unit_of_work() as session:
        mails = session.scalars(select(OutboxRow).where(OutboxRow.job == "send_mail")).all()
        assert sorted(row.args["account_id"] for row in mails) == sorted(m.account_id for m in (*members, late))
    assert_ledger_sound(fresh_app)


def test_only_who_is_on_the_plan_or_on_the_list_and_only_in_its_window(fresh_app: Flask) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    free, listed, other = (make_member(fresh_app) for _ in range(3))
    take_free(free)
    make(fresh_app, "for-free", plan="free")
    make(fresh_app, "for-list", account_ids=[listed.account_id])
    make(fresh_app, "over", starts_at=datetime(2020, 1, 1, tzinfo=UTC), ends_at=datetime(2020, 2, 1, tzinfo=UTC))
    make(fresh_app, "to-come", starts_at=clock.now() + timedelta(days=5))
    assert run(fresh_app) == {"grants": 2}
    assert [len(member.grants()) for member in (free, listed, other)] == [2, 1, 0]


@pytest.mark.parametrize(
    "values",
    [
        {"credits": 0},
        {"credits": 10**16},
        {"expires_days": 0},
        {"name": " "},
        {"name": "a\x00b"},
        {"plan": "free", "account_ids": [1]},
        {"ends_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_campaign_that_makes_no_sense_is_refused(fresh_app: Flask, values: dict[str, Any]) -> None:
    with pytest.raises(BadCampaign):
        make(fresh_app, "summer", **values)


def test_the_commands_make_list_and_run_one(fresh_app: Flask, tmp_path: Path) -> None:
    member = make_member(fresh_app)
    with fresh_app.app_context(), unit_of_work() as session:
        name = ledger.get_account(session, account_id=member.account_id).external_id
    listed = tmp_path / "accounts.txt"
    listed.write_text(f"{name}\n\n")
    runner = fresh_app.test_cli_runner()
    create = ["campaign", "create", "thanks", "--name", "With thanks", "--credits", "40"]
    made = runner.invoke(args=[*create, "--accounts", str(listed)])
    assert made.output == "thanks: 40 credits for accounts.\n"
    assert "already a campaign" in runner.invoke(args=create).output
    assert "there is no plan" in runner.invoke(args=[*create, "--plan", "x"]).output
    listed.write_text("nobody\n")
    assert "there is no account" in runner.invoke(args=[*create, "--accounts", str(listed)]).output
    assert "thanks  40 for accounts" in runner.invoke(args=["campaign", "list"]).output
    assert runner.invoke(args=["campaign", "run", "thanks"]).output == "thanks: granted to 1 accounts.\n"
    assert runner.invoke(args=["campaign", "run", "thanks"]).output == "thanks: granted to 0 accounts.\n"
    assert runner.invoke(args=["campaign", "run", "x"]).exit_code == 1
    assert [left for _, _, left, _ in member.grants()] == [40]
