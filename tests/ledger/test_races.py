"""Races of several processes on real connections: whoever comes at the same moment, the credits add up."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from tests.conftest import TestServers, _new_database
from tests.ledger.racers import Call, Outcome, Racers, call
from webapp import ledger
from webapp.database import sqlalchemy_url
from webapp.ledger.verify import verify

ACTOR = "race"
HOUR = timedelta(hours=1)
ROUNDS = range(20)

each_round = pytest.mark.parametrize("round_", range(4))


# ---------------------------------------------------------------- the track


@pytest.fixture(scope="module")
def servers_of_races(server_addresses: Any) -> TestServers:
    """A database of our own: its clock is moved on."""
    return _new_database(server_addresses)


@pytest.fixture(scope="module")
def engine(servers_of_races: TestServers) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(servers_of_races.database_url))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def racers(servers_of_races: TestServers, engine: Engine) -> Iterator[Racers]:
    """Five processes. When they have gone, there was no deadlock and the books are right."""
    before = deadlocks(servers_of_races)
    superuser_url = servers_of_races.superuser_url
    with Racers(url=servers_of_races.database_url, watch_url=superuser_url, processes=5) as racers:
        yield racers
    assert deadlocks(servers_of_races) == before
    with Session(engine) as session:
        while ledger.expire_due(session, limit=500)[0]:
            session.commit()
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        assert connection.execute("SELECT * FROM ledger.violations_v").fetchall() == []
    with engine.connect() as connection_of_app:
        assert verify(connection_of_app).findings == []


def deadlocks(servers: TestServers) -> int:
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def in_an_hour(engine: Engine) -> Any:
    with Session(engine) as session:
        return ledger.now(session) + HOUR


def open_account(engine: Engine, *grants: int, **attributes: Any) -> int:
    with Session(engine) as session, session.begin():
        account, _ = ledger.open_account(session, external_id=f"race-{uuid4()}")
        for amount in grants:
            ledger.grant(
                session, account_id=account.account_id, amount=amount, source="race", actor=ACTOR, **attributes
            )
    return account.account_id


def spending(account_id: int, amount: int, key: str) -> Call:
    return call("spend", account_id=account_id, amount=amount, idempotency_key=key, actor=ACTOR)


def advancing() -> Call:
    """Two hours pass."""
    return call("advance_clock", by=7200)


def sweeping(account_id: int) -> Call:
    return call("expire_account", account_id=account_id)


def done(outcomes: list[Outcome], *refusals: str) -> list[Outcome]:
    """Those that were done; all others were refused as `refusals` say."""
    assert {outcome.refusal for outcome in outcomes} <= {None, *refusals}
    return [outcome for outcome in outcomes if outcome.done]


def assert_whole(engine: Engine, account_id: int, *, balance: int, held: int = 0) -> None:
    with Session(engine) as session:
        found = ledger.balance(session, account_id=account_id)
        assert (found.balance, found.held) == (balance, held)
    with engine.connect() as connection:
        assert verify(connection, account_ids=[account_id]).findings == []


# ---------------------------------------------------------------- spends


def test_of_fifty_simultaneous_spends_of_ten_from_a_hundred_exactly_ten_succeed(racers: Racers, engine: Engine) -> None:
    """Twenty rounds, each on an account of its own, with lots of seven."""
    for _ in ROUNDS:
        account_id = open_account(engine, *[7] * 14, 2)
        outcomes = racers.at_once([spending(account_id, 10, f"k{n}") for n in range(50)])
        assert len(done(outcomes, "InsufficientCredits")) == 10
        assert_whole(engine, account_id, balance=0)


def test_fifty_simultaneous_requests_with_one_key_spend_once(racers: Racers, engine: Engine) -> None:
    account_id = open_account(engine, 1_000)
    outcomes = done(racers.at_once([spending(account_id, 10, "same")] * 50))
    assert {outcome.data["entry"]["seq"] for outcome in outcomes} == {2}
    assert sum(outcome.data["replayed"] for outcome in outcomes) == 49
    assert_whole(engine, account_id, balance=990)


def test_of_different_requests_with_one_key_one_is_done_and_the_others_conflict(racers: Racers, engine: Engine) -> None:
    account_id = open_account(engine, 1_000)
    calls = [spending(account_id, 1 + n % 2, "same") for n in range(20)]
    calls += [
        call("place_hold", account_id=account_id, amount=1, idempotency_key="same", actor=ACTOR) for _ in range(10)
    ]
    outcomes = racers.at_once(calls)
    firsts = [outcome for outcome in done(outcomes, "IdempotencyKeyReused") if not outcome.data["replayed"]]
    assert len(firsts) == 1
    with Session(engine) as session:
        found = ledger.balance(session, account_id=account_id)
        assert 1_000 - found.balance + found.held in (1, 2)
    assert_whole(engine, account_id, balance=found.balance, held=found.held)


def test_one_source_key_from_twenty_connections_grants_once(racers: Racers, engine: Engine) -> None:
    account_id = open_account(engine)
    granting = call("grant", account_id=account_id, amount=500, source="purchase", source_key="bought", actor=ACTOR)
    outcomes = done(racers.at_once([granting] * 20))
    assert {outcome.data["entry"]["seq"] for outcome in outcomes} == {1}
    assert sum(not outcome.data["replayed"] for outcome in outcomes) == 1
    assert_whole(engine, account_id, balance=500)


def test_one_external_id_from_twenty_connections_opens_one_account(racers: Racers) -> None:
    outcomes = done(racers.at_once([call("open_account", external_id=f"race-{uuid4()}")] * 20))
    opened = [outcome.data["result"] for outcome in outcomes]
    assert len({account["account_id"] if isinstance(account, dict) else account for account, _ in opened}) == 1
    assert sum(created for _, created in opened) == 1


def test_simultaneous_refunds_never_return_more_than_was_spent(racers: Racers, engine: Engine) -> None:
    account_id = open_account(engine, *[7] * 10)
    with Session(engine) as session, session.begin():
        seq = ledger.spend(session, account_id=account_id, amount=50, idempotency_key="spend", actor=ACTOR).entry.seq
    refunding = call("refund_spend", account_id=account_id, seq=seq, amount=8, actor=ACTOR, reason="race")
    assert len(done(racers.at_once([refunding] * 20), "ExceedsSpend")) == 6
    assert_whole(engine, account_id, balance=68)


@each_round
def test_spends_and_a_revoke_leave_the_revoked_credits_owed_or_taken(
    racers: Racers, engine: Engine, round_: int
) -> None:
    account_id = open_account(engine, 100)
    calls = [spending(account_id, 10, f"k{n}") for n in range(20)]
    revoking = call("revoke", account_id=account_id, grant_id=1, target=100, actor=ACTOR, reason="race")
    calls.insert(5 * round_, revoking)
    outcomes = racers.at_once(calls)
    revoked = outcomes.pop(5 * round_)
    spent = 10 * len(done(outcomes, "InsufficientCredits"))
    assert (revoked.data["amount"], revoked.data["debt_after"]) == (-100, spent)
    assert_whole(engine, account_id, balance=-spent)


@each_round
def test_spends_and_sweeps_across_an_expiry_lose_no_credit(
    racers: Racers, engine: Engine, in_an_hour: Any, round_: int
) -> None:
    account_id = open_account(engine, *[5] * 10, expires_at=in_an_hour)
    calls = [one for n in range(20) for one in (spending(account_id, 2, f"k{n}"), sweeping(account_id))]
    calls.insert(10 * round_, advancing())
    spent = [outcome.data for outcome in racers.at_once(calls) if outcome.done and "entry" in outcome.data]
    assert all(data["entry"]["booked_at"] < str(in_an_hour) for data in spent)
    with Session(engine) as session, session.begin():
        ledger.expire_account(session, account_id=account_id)
    assert_whole(engine, account_id, balance=0)
    assert sum(-data["entry"]["amount"] for data in spent) == 2 * len(spent) <= 50


# ---------------------------------------------------------------- the clock is read after the lock


@pytest.mark.parametrize(
    ("function", "arguments", "refusal"),
    [
        ("spend", {"amount": 10, "idempotency_key": "late"}, "InsufficientCredits"),
        ("place_hold", {"amount": 10, "idempotency_key": "late"}, "InsufficientCredits"),
        ("capture_hold", {"number": 1, "idempotency_key": "late"}, "HoldClosed"),
        ("void_hold", {"number": 1}, "HoldClosed"),
    ],
)
def test_what_waited_for_the_lock_until_its_time_was_over_is_refused(
    racers: Racers,
    engine: Engine,
    in_an_hour: Any,
    function: str,
    arguments: dict[str, Any],
    refusal: str,
) -> None:
    """It had begun before the credits expired, or before the hold lapsed; what counts is when its turn came."""
    account_id = open_account(engine, 10, expires_at=in_an_hour)
    if "hold" in function and function != "place_hold":
        place(engine, account_id, 10)
    with Session(engine) as holder, Session(engine) as clock:
        ledger.grant(holder, account_id=account_id, amount=1, source="race", actor=ACTOR)
        racers.begin([call(function, account_id=account_id, actor=ACTOR, **arguments)])
        racers.until_waiting()
        ledger.advance_clock(clock, by=2 * HOUR)
        clock.commit()
        holder.commit()
        (outcome,) = racers.outcomes(1)
    assert outcome.refusal == refusal
    if refusal == "InsufficientCredits":
        assert outcome.data == {"required": 10, "available": 1}
    with Session(engine) as session, session.begin():
        ledger.expire_account(session, account_id=account_id)
    assert_whole(engine, account_id, balance=1)


# ---------------------------------------------------------------- holds


def place(engine: Engine, account_id: int, amount: int, **more: Any) -> int:
    with Session(engine) as session, session.begin():
        placed = ledger.place_hold(
            session, account_id=account_id, amount=amount, idempotency_key=f"hold-{uuid4()}", actor=ACTOR, **more
        )
    return placed.hold.number


def capturing(account_id: int, key: str, **more: Any) -> Call:
    return call("capture_hold", account_id=account_id, number=1, idempotency_key=key, actor=ACTOR, **more)


def voiding(account_id: int, key: str | None = None) -> Call:
    return call("void_hold", account_id=account_id, number=1, actor=ACTOR, idempotency_key=key)


def state_of_hold(engine: Engine, account_id: int) -> tuple[str, int]:
    with Session(engine) as session:
        hold = ledger.get_hold(session, account_id=account_id, number=1)
    return hold.state, hold.captured


def test_of_fifty_simultaneous_holds_of_ten_on_a_hundred_exactly_ten_are_placed(racers: Racers, engine: Engine) -> None:
    account_id = open_account(engine, *[7] * 14, 2)
    calls = [
        call("place_hold", account_id=account_id, amount=10, idempotency_key=f"k{n}", actor=ACTOR) for n in range(50)
    ]
    placed = done(racers.at_once(calls), "InsufficientCredits")
    assert sorted(outcome.data["hold"]["number"] for outcome in placed) == list(range(1, 11))
    assert_whole(engine, account_id, balance=100, held=100)


def test_holds_and_spends_never_pay_with_the_same_credits(racers: Racers, engine: Engine) -> None:
    account_id = open_account(engine, *[7] * 14, 2)
    calls = [spending(account_id, 10, f"s{n}") for n in range(25)]
    calls += [
        call("place_hold", account_id=account_id, amount=10, idempotency_key=f"h{n}", actor=ACTOR) for n in range(25)
    ]
    outcomes = done(racers.at_once(calls), "InsufficientCredits")
    held = 10 * sum("hold" in outcome.data for outcome in outcomes)
    assert len(outcomes) == 10
    assert_whole(engine, account_id, balance=held, held=held)


@each_round
def test_of_many_captures_of_one_hold_one_is_done(racers: Racers, engine: Engine, round_: int) -> None:
    account_id = open_account(engine, *[7] * 10)
    place(engine, account_id, 20)
    outcomes = racers.at_once([capturing(account_id, f"k{n}", amount=15) for n in range(10)])
    assert len(done(outcomes, "HoldClosed")) == 1
    assert state_of_hold(engine, account_id) == ("captured", 15)
    assert_whole(engine, account_id, balance=55)


def test_captures_under_one_key_are_one_capture(racers: Racers, engine: Engine) -> None:
    account_id = open_account(engine, 50)
    place(engine, account_id, 20)
    outcomes = done(racers.at_once([capturing(account_id, "same")] * 20))
    assert {outcome.data["entry"]["seq"] for outcome in outcomes} == {2}
    assert sum(not outcome.data["replayed"] for outcome in outcomes) == 1
    assert_whole(engine, account_id, balance=30)


@each_round
def test_a_hold_is_captured_or_voided_and_never_both(racers: Racers, engine: Engine, round_: int) -> None:
    account_id = open_account(engine, *[7] * 10)
    place(engine, account_id, 20)
    calls = [one for n in range(5) for one in (capturing(account_id, f"c{n}"), voiding(account_id, f"v{n}"))]
    (winner,) = done(racers.at_once(calls[round_ % 2 :]), "HoldClosed")
    if "entry" in winner.data:
        assert state_of_hold(engine, account_id) == ("captured", 20)
        assert_whole(engine, account_id, balance=50)
    else:
        assert state_of_hold(engine, account_id) == ("voided", 0)
        assert_whole(engine, account_id, balance=70)


@each_round
@pytest.mark.parametrize("ending", ["capture", "void"])
def test_a_hold_ends_before_its_deadline_or_lapses_and_never_both(
    racers: Racers, engine: Engine, ending: str, round_: int
) -> None:
    account_id = open_account(engine, *[7] * 10)
    place(engine, account_id, 20)
    endings = [
        capturing(account_id, f"k{n}") if ending == "capture" else voiding(account_id, f"k{n}") for n in range(8)
    ]
    calls = [one for each in endings for one in (each, sweeping(account_id))]
    calls.insert(4 * round_, advancing())
    ended = [outcome for outcome in racers.at_once(calls) if outcome.done and "replayed" in outcome.data]
    state, captured = state_of_hold(engine, account_id)
    if ended:
        assert (len(ended), state) == (1, {"capture": "captured", "void": "voided"}[ending])
    else:
        assert state == "lapsed"
    with Session(engine) as session, session.begin():
        ledger.expire_account(session, account_id=account_id)
    assert_whole(engine, account_id, balance=70 - captured)


@each_round
def test_a_hold_is_captured_whether_or_not_its_grant_expires_at_that_moment(
    racers: Racers, engine: Engine, in_an_hour: Any, round_: int
) -> None:
    """What is not captured never comes back to life."""
    account_id = open_account(engine, *[7] * 10, expires_at=in_an_hour)
    place(engine, account_id, 20, expires_in=4 * HOUR)
    calls = [sweeping(account_id)] * 10
    calls.insert(3 * round_, advancing())
    calls.insert(5, capturing(account_id, "k", amount=12))
    (captured,) = [outcome for outcome in racers.at_once(calls) if "entry" in outcome.data]
    assert captured.data["entry"]["amount"] == -12
    assert state_of_hold(engine, account_id) == ("captured", 12)
    with Session(engine) as session, session.begin():
        ledger.expire_account(session, account_id=account_id)
    assert_whole(engine, account_id, balance=0)


@each_round
@pytest.mark.parametrize("ending", ["capture", "void"])
def test_a_revoke_and_the_end_of_a_hold_come_to_the_same_in_any_order(
    racers: Racers, engine: Engine, ending: str, round_: int
) -> None:
    account_id = open_account(engine, 50)
    place(engine, account_id, 20)
    revoking = call("revoke", account_id=account_id, grant_id=1, target=50, actor=ACTOR, reason="race")
    end = capturing(account_id, "k", amount=12) if ending == "capture" else voiding(account_id)
    calls = [revoking, end] if round_ % 2 else [end, revoking]
    done(racers.at_once([*calls, *[sweeping(account_id)] * 4]))
    with Session(engine) as session:
        found = ledger.balance(session, account_id=account_id)
        assert found.debt == (12 if ending == "capture" else 0)
        assert ledger.get_grant(session, account_id=account_id, grant_id=1).revoked == 50
    assert_whole(engine, account_id, balance=-found.debt)
