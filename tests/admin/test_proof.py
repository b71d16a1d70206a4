"""The page of the proof: what was found, the trial balance, the seals, and a button that asks for a proof once."""

import json
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from rq import Queue

from jobs.run_periodic import run_periodic
from tests.credits.member import Member
from tests.people.browser import Browser
from webapp.billing.proofs import MOST_FINDINGS, Proof, keep_proof, last_proof
from webapp.database import unit_of_work
from webapp.queue import queue


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


@pytest.fixture
def waiting(shop: Flask) -> Iterator[Queue]:
    """The queue, empty before and after."""
    with shop.app_context():
        one = queue()
        one.empty()
        yield one
        one.empty()


def report(**more: object) -> dict[str, object]:
    told: dict[str, object] = {
        "holds": True,
        "accounts": 2,
        "grants": 3,
        "entries": 4_000,
        "seals": 1,
        "findings": [],
        "trial_balance": {"sales": -10, "grants": 10},
    }
    return {**told, **more}


def keep(app: Flask, told: dict[str, object]) -> None:
    with app.app_context(), unit_of_work() as session:
        keep_proof(session, report=told)


def test_a_proof_is_kept_and_shown(shop: Flask, finance: Member, member: Member) -> None:
    member.grant(10)
    with shop.app_context():
        counts = run_periodic("verify_ledger")
        run_periodic("seal_ledger")
        with unit_of_work() as session:
            found = last_proof(session)
            assert found is not None
            assert sum(found.report["trial_balance"].values()) == 0
    page = finance.get("/admin/proof")
    assert page.status_code == 200
    assert 'id="verdict"' in page.text
    assert 'id="trial-balance"' in page.text
    assert 'data-seal="1"' in page.text
    told = json.loads(finance.get("/admin/proof.json").text)
    assert told["entries"] == counts["entries"] >= 1
    assert {"holds", "accounts", "findings", "seals", "trial_balance"} <= told.keys()


def test_a_lie_is_told_with_its_account(shop: Flask, finance: Member) -> None:
    lie = {"invariant": 1, "account_id": 7, "account": "<b>evil</b>", "seq": 3, "detail": "balance 5 <i>and</i> 6"}
    keep(shop, report(holds=False, findings=[lie]))
    page = finance.get("/admin/proof").text
    assert 'data-holds="no"' in page
    assert "&lt;b&gt;evil" in page
    assert "<i>and" not in page
    keep(shop, report())
    assert 'data-holds="yes"' in finance.get("/admin/proof").text
    keep(shop, report(holds=False, unknown_seal_keys=["a"]))
    assert 'data-holds="partly"' in finance.get("/admin/proof").text


def test_a_thousand_lies_are_counted_and_few_are_kept(shop: Flask) -> None:
    lie = {"invariant": 1, "account_id": 7, "account": None, "seq": None, "detail": "x"}
    keep(shop, report(holds=False, findings=[lie] * (MOST_FINDINGS + 5)))
    with shop.app_context(), unit_of_work() as session:
        found = last_proof(session)
        assert isinstance(found, Proof)
        assert (found.findings, len(found.report["findings"])) == (MOST_FINDINGS + 5, MOST_FINDINGS)
    keep(shop, report())


def test_pressing_twice_asks_for_one_proof(finance: Member, waiting: Queue) -> None:
    for _ in range(2):
        assert finance.post("/admin/proof/run", {}, form="/settings").status_code == 303
    (job,) = waiting.jobs
    assert (job.func_name, list(job.args)) == ("jobs.run_periodic.run_periodic", ["verify_ledger"])
    page = finance.get("/admin/proof").text
    assert 'data-state="waiting"' in page
    assert 'hx-get="/admin/proof/run"' in page
    fragment = finance.get("/admin/proof/run")
    assert "<html" not in fragment.text
    assert "HX-Refresh" not in fragment.headers
    waiting.empty()
    ended = finance.get("/admin/proof/run")
    assert ended.headers["HX-Refresh"] == "true"
    assert 'data-state="waiting"' not in ended.text


def test_without_a_token_of_the_form_nothing_is_asked(shop: Flask, finance: Member, waiting: Queue) -> None:
    answer = finance.client.post("/admin/proof/run")
    assert answer.status_code in (302, 303, 400, 403)
    assert waiting.count == 0


def test_strangers_find_nothing(shop: Flask) -> None:
    assert Browser(shop).get("/admin/proof").status_code in (302, 303, 404)
