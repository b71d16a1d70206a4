"""Queued usage is charged in order and once, whatever dies, and by however many workers."""

import random
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from jobs import tidy_usage
from jobs.charge_usage import charge_usage
from tests.api.conftest import Caller, make_secret
from tests.api.conftest import secret as secret
from tests.jobs.works import Works, horses
from webapp import clock, ledger
from webapp.api.identifiers import find_account_ids
from webapp.database import unit_of_work
from webapp.usage import charging
from webapp.usage.accepting import accept_usage
from webapp.usage.event import LANES, UsageEvent
from webapp.usage.reading import backlog
from webapp.usage.retrying import retry_parked


@pytest.fixture
def caller(works: Works) -> Caller:
    """Tells the works of usage, with whatever of it is left from another test out of the way."""
    app = works.shop.app
    with app.app_context(), unit_of_work() as session:
        session.execute(text("DELETE FROM usage_events"))
    return Caller(app.test_client(), make_secret(app))


def tell(caller: Caller, items: list[dict[str, Any]]) -> str:
    answer = caller.post("/usage", {"items": items})
    assert answer.status_code == 202, answer.text
    assert answer.get_json()["accepted"] == len(items)
    batch: str = answer.get_json()["batch"]
    return batch


def item(account: str, key: str, amount: int = 1) -> dict[str, Any]:
    return {"account": account, "amount": amount, "description": "Test", "idempotency_key": key}


def waiting(app: Flask) -> int:
    with app.app_context(), unit_of_work() as session:
        return backlog(session).pending


def spent_keys(app: Flask, account: str) -> list[str]:
    """The keys of the account's spends, in the order in which they were booked."""
    with app.app_context(), unit_of_work() as session:
        account_id = find_account_ids(session, external_ids=[account])[account]
        rows = session.execute(
            text("SELECT idempotency_key FROM ledger.entries_v WHERE account_id = :id AND kind = 'spend' ORDER BY seq"),
            {"id": account_id},
        )
        return list(rows.scalars())


def kill_all(works: Works) -> None:
    """The workers and whatever they are doing, at once."""
    found = [psutil.Process(process.pid) for process in works.processes]
    for worker in found:
        worker.suspend()  # first, so that it notices nothing, and its children stay its own
    for process in [child for worker in found for child in worker.children(recursive=True)] + found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for process in works.processes:
        process.wait(30)
    works.processes.clear()


def test_a_worker_charges_within_moments_of_the_answer(works: Works, caller: Caller) -> None:
    works.start("jobs.worker")
    name = caller.new_account(credits=10)
    tell(caller, [item(name, "k", 4)])
    works.wait_until(lambda: caller.balance(name) == 6)
    assert waiting(works.shop.app) == 0
    works.shop.assert_sound()


def test_many_requests_are_one_job_until_a_worker_takes_it(works: Works, caller: Caller) -> None:
    name = caller.new_account(credits=100)
    for number in range(20):
        tell(caller, [item(name, f"k{number}")])
    assert works.redis.llen("rq:queue:default") == 1
    works.start("jobs.worker")
    works.wait_until(lambda: caller.balance(name) == 80)
    assert spent_keys(works.shop.app, name) == [f"k{number}" for number in range(20)]


def test_two_workers_keep_the_order_of_each_account(works: Works, caller: Caller) -> None:
    names = [caller.new_account(credits=10_000) for _ in range(12)]
    told: dict[str, list[str]] = {name: [] for name in names}
    chance = random.Random(7)
    works.start("jobs.worker")
    works.start("jobs.worker")
    for number in range(30):
        items = [item(chance.choice(names), f"{number}-{place}") for place in range(chance.choice([1, 40, 150]))]
        for one in items:
            told[one["account"]].append(one["idempotency_key"])
        tell(caller, items)
    works.wait_until(lambda: waiting(works.shop.app) == 0, seconds=180)
    for name in names:
        assert spent_keys(works.shop.app, name) == told[name]
        assert caller.balance(name) == 10_000 - len(told[name])
    works.shop.assert_sound()


def test_a_worker_killed_while_it_charges_loses_and_doubles_nothing(works: Works, caller: Caller) -> None:
    names = [caller.new_account(credits=100) for _ in range(3)]
    with psycopg.connect(works.servers.owner_url) as other:
        other.execute("SELECT FROM ledger.accounts a JOIN ledger.account_ids i USING (account_id)"
                      " WHERE i.external_id = %s FOR UPDATE OF a", [names[0]])  # fmt: skip
        worker = works.start("jobs.worker")
        tell(caller, [item(name, f"k{number}") for number in range(5) for name in names])
        with psycopg.connect(works.servers.superuser_url, autocommit=True) as watcher:
            stuck = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'spend_many'"
            works.wait_until(lambda: watcher.execute(stuck).fetchone())
        (horse,) = horses(worker)
        worker.kill()
        horse.kill()
        psutil.wait_procs([worker, horse], timeout=30)
    works.start("jobs.worker")
    works.start("jobs.cron")
    works.wait_until(lambda: waiting(works.shop.app) == 0, seconds=180)
    assert [caller.balance(name) for name in names] == [95] * 3
    assert spent_keys(works.shop.app, names[0]) == [f"k{number}" for number in range(5)]
    works.shop.assert_sound()


def test_workers_killed_again_and_again_charge_everything_once_and_in_order(works: Works, caller: Caller) -> None:
    app = works.shop.app
    names = [caller.new_account(credits=10_000) for _ in range(LANES)]
    told: dict[str, list[str]] = {name: [] for name in names}
    for number in range(4):
        items = [item(names[place % len(names)], f"{number}-{place}") for place in range(1000)]
        for one in items:
            told[one["account"]].append(one["idempotency_key"])
        tell(caller, items)
    seen = waiting(app)
    assert seen == 4000
    for _ in range(3):
        works.redis.flushall()
        tell(caller, [item(names[0], uuid4().hex)])  # whoever comes next tells a worker of all that waits
        told[names[0]].append("any")
        works.start("jobs.worker")
        works.start("jobs.worker")
        works.wait_until(lambda before=seen: waiting(app) < before)  # type: ignore[misc]
        kill_all(works)
        seen = waiting(app)
    works.start("jobs.worker")
    works.start("jobs.worker")
    works.start("jobs.cron")
    works.wait_until(lambda: waiting(app) == 0, seconds=180)
    for name in names[1:]:
        assert spent_keys(app, name) == told[name]
    assert len(set(spent_keys(app, names[0]))) == len(told[names[0]])
    works.shop.assert_sound()


def test_a_flushed_redis_loses_no_usage(works: Works, caller: Caller) -> None:
    name = caller.new_account(credits=10)
    tell(caller, [item(name, "k", 4)])
    works.redis.flushall()
    works.start("jobs.worker")
    works.start("jobs.cron")
    works.wait_until(lambda: caller.balance(name) == 6)


def test_usage_parked_for_long_is_left_to_a_person(works: Works, caller: Caller) -> None:
    from jobs.sweep_usage import sweep_usage

    app = works.shop.app
    name = caller.new_account()
    batch = tell(caller, [item(name, "k", 4)])

    def sweep() -> str:
        with app.app_context():
            sweep_usage()
        status: str = caller.get(f"/usage/{batch}").get_json()["results"][0]["status"]
        return status

    assert sweep() == "parked"
    works.pass_time(timedelta(days=31))
    caller.post("/grants", {"account": name, "amount": 9, "reason": "Too late"})
    assert sweep() == "parked"
    with app.app_context(), unit_of_work() as session:
        ids = find_account_ids(session, external_ids=[name]).values()
        assert retry_parked(session, account_ids=list(ids)) == 1
    assert sweep() == "charged"
    assert caller.balance(name) == 5


# ---------------------------------------------------------------- without processes of their own


@pytest.fixture
def own(app: Flask, secret: str) -> Caller:
    return Caller(app.test_client(), secret)


@pytest.fixture
def quiet_app(app: Flask) -> Flask:
    """All usage that other tests have left behind is charged."""
    with app.app_context():
        charge_usage()
    return app


def results(caller: Caller, batch: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.get(f"/usage/{batch}").get_json()["results"]
    return found


def test_an_event_that_makes_charging_fail_is_parked_alone(
    quiet_app: Flask, own: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [own.new_account(credits=1000) for _ in range(5)]
    batch = tell(own, [item(names[place % 5], f"k{place}") for place in range(100)])
    real = ledger.spend_many

    def fail(session: Any, *, items: Any) -> Any:
        if any(one.idempotency_key == "k42" and one.account_id for one in items):
            raise ValueError("nobody thought of this")
        return real(session, items=items)

    monkeypatch.setattr(charging.ledger, "spend_many", fail)
    with quiet_app.app_context():
        charge_usage()
    told = results(own, batch)
    assert Counter(one["status"] for one in told) == {"charged": 99, "parked": 1}
    assert (told[42]["status"], told[42]["problem"]["code"]) == ("parked", "internal_error")
    assert "nobody" not in str(told[42])
    monkeypatch.undo()
    with quiet_app.app_context():
        with unit_of_work() as session:
            ids = find_account_ids(session, external_ids=names).values()
            assert retry_parked(session, account_ids=list(ids)) == 1
        charge_usage()
    assert results(own, batch)[42]["status"] == "charged"
    assert [own.balance(name) for name in names] == [980] * 5


def test_a_lane_that_another_worker_has_is_passed_over(
    quiet_app: Flask, own: Caller, superuser_connection: psycopg.Connection
) -> None:
    names = [own.new_account(credits=10) for _ in range(2)]
    batch = tell(own, [item(name, "k") for name in names])
    with quiet_app.app_context(), unit_of_work() as session:
        ids = find_account_ids(session, external_ids=names)
        lane = ids[names[0]] % LANES
    assert lane != ids[names[1]] % LANES
    with superuser_connection.transaction():
        superuser_connection.execute("SELECT FROM usage_lanes WHERE lane = %s FOR UPDATE", [lane])
        with quiet_app.app_context():
            charge_usage()
        assert [one["status"] for one in results(own, batch)] == ["pending", "charged"]
    with quiet_app.app_context():
        charge_usage()
    assert [one["status"] for one in results(own, batch)] == ["charged", "charged"]


def random_spend(chance: random.Random) -> dict[str, Any]:
    wanted: dict[str, Any] = {"idempotency_key": f"k{chance.randrange(40)}"}
    if chance.random() < 0.5:
        wanted |= {
            "feature": chance.choice(["image", "api-call", "chat-message"]),
            "quantity": chance.choice([1, 1, 3]),
        }
    else:
        wanted |= {"amount": chance.choice([1, 2, 5, 30]), "description": "x", "reference": chance.choice(["a", "b"])}
    if chance.random() < 0.1:
        wanted |= {"partial": True}
    return wanted


@pytest.mark.parametrize("seed", range(6))
def test_usage_comes_to_the_same_as_its_spends_one_by_one(quiet_app: Flask, own: Caller, seed: int) -> None:
    chance = random.Random(seed)
    queued, alone = (own.new_account() for _ in range(2))
    outcomes: list[list[str]] = [[], []]
    for _ in range(8):
        grant = {"amount": chance.choice([5, 20]), "reason": "x", "features": chance.choice([None, ["image"]])}
        limit = chance.choice([0, 0, 4])
        for name in (queued, alone):
            given = {key: value for key, value in grant.items() if value is not None}
            assert own.post("/grants", {"account": name, **given}).status_code == 201
            own.put(f"/accounts/{name}", {"overdraft_limit": limit})
        spends = [random_spend(chance) for _ in range(chance.randrange(1, 12))]
        batch = tell(own, [{"account": queued, **one} for one in spends])
        with quiet_app.app_context():
            charge_usage()
        outcomes[0] += [
            (one["problem"] or {}).get("code", f"replayed {one['replayed']}") for one in results(own, batch)
        ]
        for one in spends:
            body = {key: value for key, value in one.items() if key != "idempotency_key"}
            answer = own.post("/spends", {"account": alone, **body}, key=one["idempotency_key"])
            replayed = f"replayed {'Idempotent-Replayed' in answer.headers}"
            outcomes[1].append(replayed if answer.status_code == 201 else answer.get_json()["code"])
    assert outcomes[0] == outcomes[1]
    assert state_of(quiet_app, queued) == state_of(quiet_app, alone)


def state_of(app: Flask, account: str) -> Any:
    """All that a spend changes, without names and moments."""
    with app.app_context(), unit_of_work() as session:
        given = {"id": find_account_ids(session, external_ids=[account])[account]}
        entries = session.execute(
            text(
                "SELECT seq, kind, amount, balance_after, debt_after, feature, quantity, description, reference,"
                " metadata, pricing, drawn_grants, drawn_amounts, actor,"
                " CASE kind WHEN 'spend' THEN idempotency_key END"
                " FROM ledger.entries_v WHERE account_id = :id ORDER BY seq"
            ),
            given,
        ).all()
        grants = session.execute(
            text("SELECT grant_id, remaining, held FROM ledger.grants_v WHERE account_id = :id ORDER BY 1"), given
        ).all()
        whole = session.execute(
            text("SELECT balance, held, debt, seq FROM ledger.accounts_v WHERE account_id = :id"), given
        ).one()
        return entries, grants, whole


def test_what_was_settled_ninety_days_ago_is_dropped_and_nothing_else(
    fresh_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidy_usage, "CHUNK", 3)
    ages = [200, 91, 400, 91, 400, 400, 89, 0]  # the first four are charged, the others parked
    with fresh_app.app_context():
        with unit_of_work() as session:
            account = ledger.open_account(session, external_id="a")[0].account_id
            ledger.grant(session, account_id=account, amount=4, source="s", actor="t")
            spends = [ledger.SpendItem(account_id=account, amount=1, idempotency_key=str(n), actor="t") for n in ages]
            for place, one in enumerate(spends):
                accept_usage(session, events=[replace(one, idempotency_key=str(place))])
        charge_usage()
        with unit_of_work() as session:
            for event, days in zip(all_events(session), ages, strict=True):
                event.since = event.accepted_at = clock.now() - timedelta(days=days)
            all_events(session)[1].since = clock.now()  # it was parked, and paid yesterday
        for _ in range(2):
            tidy_usage.tidy_usage()
            with unit_of_work() as session:
                assert [event.idempotency_key for event in all_events(session)] == ["1", "4", "5", "6", "7"]
        with unit_of_work() as session:
            assert len(ledger.entries(session, account_id=account, kinds=["spend"]).entries) == 4


def all_events(session: Session) -> list[UsageEvent]:
    return list(session.scalars(select(UsageEvent).order_by(UsageEvent.id)))


def test_the_operator_sees_what_is_parked_and_retries_or_gives_it_up(quiet_app: Flask, own: Caller) -> None:
    paid, lost = own.new_account(), own.new_account()
    batch = tell(own, [item(paid, "k", 4), item(lost, "k", 5), item(lost, "j", 6)])
    with quiet_app.app_context():
        charge_usage()
    run = quiet_app.test_cli_runner().invoke
    shown = run(args=["usage", "parked"]).output
    assert f"{paid}  1 events  4 credits" in shown
    assert f"{lost}  2 events  11 credits" in shown
    assert run(args=["usage", "reject", lost]).output == f"2 events of {lost} are rejected.\n"
    own.post("/grants", {"account": paid, "amount": 9, "reason": "Top-up"})
    assert run(args=["usage", "retry", paid]).output == f"Pending again: 1 events of {paid}.\n"
    with quiet_app.app_context():
        charge_usage()
    assert [one["status"] for one in results(own, batch)] == ["charged", "rejected", "rejected"]
    assert results(own, batch)[1]["problem"]["code"] == "insufficient_credits"
    assert run(args=["usage", "retry", "nobody at all"]).exit_code == 1


def test_usage_left_pending_for_a_day_is_found_by_the_proof(quiet_app: Flask, own: Caller) -> None:
    from webapp.billing.proof import violations

    name = own.new_account()
    tell(own, [item(name, "k", 4)])
    with quiet_app.app_context(), unit_of_work() as session:
        account_id = find_account_ids(session, external_ids=[name])[name]

    def found(ahead: timedelta) -> list[int | None]:
        with quiet_app.app_context(), unit_of_work() as session:
            return [one.account_id for one in violations(session, undone_since=clock.now() + ahead)]

    assert account_id not in found(-timedelta(hours=1))
    assert account_id in found(timedelta(hours=1))
    with quiet_app.app_context():
        charge_usage()
    assert account_id not in found(timedelta(hours=1))
