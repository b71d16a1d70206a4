"""The front page of those who run it: figures that are right, and what waits for a person."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from tests.credits.member import Member, statements
from webapp.admin import waiting
from webapp.billing.proofs import Proof
from webapp.billing.reports import Report, active_accounts, reach_of
from webapp.database import unit_of_work
from webapp.job_runs import JobRun

__all__ = ["statements"]


def figure(page: str, row: str) -> list[str]:
    """The three figures of a row: today, 7 days, 30 days."""
    found = re.search(rf'data-row="{row}">(.*?)</tr>', page, re.DOTALL)
    assert found
    return [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", found[1])]


def number(shown: str) -> int:
    return int(shown.replace(",", "").replace("−", "-"))


def test_what_happens_shows_at_once(person: Callable[..., Member], member: Member) -> None:
    finance = person("finance")
    before = {row: number(figure(finance.get("/admin/overview").text, row)[0]) for row in ("granted", "spent")}
    member.grant(1_000)
    member.spend(40, feature="image")
    page = finance.get("/admin/overview").text
    assert number(figure(page, "granted")[0]) == before["granted"] + 1_000
    assert number(figure(page, "spent")[2]) >= before["spent"] + 40
    assert "<style" not in page
    assert page.count("data-chart=") == 6


def test_the_front_page_leads_here(person: Callable[..., Member]) -> None:
    answer = person("finance").get("/admin")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/overview")


@pytest.mark.parametrize("role", [None, "translator"])
def test_who_lacks_the_role_finds_nothing(person: Callable[..., Member], role: str | None) -> None:
    one = person(role)
    for path in ("/admin/overview", "/admin/reports", "/admin/reports/journal.csv", "/admin/reports/money.csv"):
        assert one.get(path).status_code == 404
    for path in ("/admin/proof", "/admin/proof.json", "/admin/proof/run"):
        assert one.get(path).status_code == 404
    assert one.post("/admin/proof/run", {}, form="/settings").status_code == 404


def test_support_sees_figures_and_no_reports(person: Callable[..., Member]) -> None:
    support = person("support")
    assert support.get("/admin/overview").status_code == 200
    for path in ("/admin/reports", "/admin/proof", "/admin/reports/journal.csv"):
        assert support.get(path).status_code == 404


def test_as_many_statements_whatever_happened(
    person: Callable[..., Member], member: Member, statements: list[str]
) -> None:
    finance = person("finance")
    finance.get("/admin/overview")
    counts = []
    for _ in range(2):
        del statements[:]
        assert finance.get("/admin/overview").status_code == 200
        counts.append(len(statements))
        for n in range(3):
            member.grant(10, f"Gift {n}", source=f"gift-{n}")
    assert counts[0] == counts[1] <= 12


def test_a_currency_is_chosen_and_nonsense_is_none(person: Callable[..., Member]) -> None:
    finance = person("finance")
    for currency in ("USD", "nonsense", "%00", "€"):
        assert finance.get("/admin/overview", query_string={"currency": currency}).status_code == 200


# ---------------------------------------------------------------- what waits


def waits(app: Flask, *, role: str = "owner", proof: Proof | None = None, **runs: JobRun) -> dict[str, waiting.Waiting]:
    with app.test_request_context(), unit_of_work() as session:
        found = waiting.read_waiting(session, role=role, proof=proof, runs=runs, failed_jobs=0, now=datetime.now(UTC))
        return {one.kind: one for one in found}


def test_nothing_waits_in_an_empty_shop(fresh_app: Flask) -> None:
    assert waits(fresh_app) == {}


def test_each_thing_that_waits_is_counted_and_linked(fresh_app: Flask) -> None:
    moment = datetime.now(UTC)
    with fresh_app.app_context(), unit_of_work() as session:
        for number in range(101):
            session.execute(
                text(
                    "INSERT INTO outbox (job, key, args, created_at, due_at, attempts, parked_at)"
                    " VALUES ('send_mail', :key, '{}', now(), now(), 8, now())"
                ),
                {"key": f"k{number}"},
            )
        for number, days in enumerate((2, 9)):
            session.execute(
                text(
                    "INSERT INTO disputes (stripe_dispute_id, mode, stripe_payment_intent_id, amount_minor, currency,"
                    " reason, status, state, evidence_due_at, opened_at)"
                    " VALUES (:id, 'sandbox', 'pi_1', 100, 'EUR', 'fraudulent', 'needs_response', 'open', :due, now())"
                ),
                {"id": f"du_{number}", "due": moment + timedelta(days=days)},
            )
        session.execute(
            text(
                "INSERT INTO approvals (act, arguments, reason, submission, subject, credits, price_minor, currency,"
                " asked_by, asked_by_who, asked_by_actor, asked_at)"
                " VALUES ('x', '{}', '', gen_random_uuid(), 's', 0, 0, '', 1, 'a', 'a', now())"
            )
        )
    lie = Proof(finished_at=moment, findings=3, report={})
    failed = JobRun(name="expire_due", started_at=moment, finished_at=moment, outcome="failed", counts={})
    parked = JobRun(
        name="reconcile_stripe", started_at=moment, finished_at=moment, outcome="done", counts={"parked": 2}
    )
    found = waits(fresh_app, proof=lie, expire_due=failed, reconcile_stripe=parked)
    assert {kind: one.number for kind, one in found.items()} == {
        "findings": 3,
        "failed": 1,
        "outbox": 100,
        "reconciled": 2,
        "disputes": 2,
        "approvals": 1,
    }
    assert found["outbox"].label.startswith("100+ ")
    assert all(one.bad for kind, one in found.items() if kind != "approvals")  # one dispute is due in two days
    assert not found["approvals"].bad
    assert found["findings"].href == "/admin/proof"
    assert set(waits(fresh_app, role="support", proof=lie, expire_due=failed)) == {"approvals"}


@pytest.mark.parametrize("kind", waiting._KINDS)
def test_what_waits_leads_to_a_list_that_shows_it_alone(person: Callable[..., Member], kind: str) -> None:
    path, query, *_ = waiting._KINDS[kind]
    page = person("owner").get(path + query.partition("#")[0])
    assert page.status_code == 200
    if query.startswith("#"):
        assert f'id="{query[1:]}"' in page.text
    for asked in query.lstrip("?").split("&") if query.startswith("?") else []:
        assert f'value="{asked.partition("=")[2]}" selected' in page.text, asked


def test_a_big_ledger_that_nobody_added_up_is_not_added_up_on_a_page(
    fresh_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.billing.reports.MOST_LIVE_ENTRIES", -2)
    with fresh_app.app_context(), unit_of_work() as session:
        reach = reach_of(session)
        assert not reach.complete
        today = datetime.now(UTC).date()
        assert active_accounts(session, since=today, until=today + timedelta(days=1), reach=reach) == {}
        empty = Report(since=today, until=today, figures=[], reach=reach)
        assert empty.total("day").credits == 0
