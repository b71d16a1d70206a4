"""Seals: whoever rewrites a whole history consistently is found out by a key that the database does not have."""

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import text

from jobs.schedule import SCHEDULE
from jobs.seal_ledger import seal_ledger as seal_job
from tests.conftest import TestServers
from tests.ledger.asking import T0, TICK
from tests.test_config import LIVE
from webapp import ledger, sealing
from webapp.config import Settings, UnsafeSettings
from webapp.database import unit_of_work
from webapp.ledger.seals import Seal, SealKeys, key_id, seal, seals

Run = Callable[..., Result]
KEY, OTHER_KEY = "k" * 40, "n" * 40

# As `ledger.append` would have written it: the chain agrees with itself afterwards.
REWRITE = """
DO $$
DECLARE
    e ledger.entries;
    v_head bytea := decode(repeat('00', 32), 'hex');
BEGIN
    FOR e IN SELECT * FROM ledger.entries WHERE account_id = {account_id} ORDER BY seq LOOP
        IF e.seq = 2 THEN
            e.description := 'what never was';
        END IF;
        e.hash := sha256(v_head || ledger.entry_content(e));
        v_head := e.hash;
        UPDATE ledger.entries SET description = e.description, hash = e.hash
        WHERE account_id = e.account_id AND seq = e.seq;
    END LOOP;
    UPDATE ledger.accounts SET head = v_head WHERE account_id = {account_id};
END
$$
"""


@pytest.fixture
def sealing_app(make_app: Callable[..., Flask], fresh_database: TestServers) -> Flask:
    """An application on a database of its own, with a key to seal with."""
    return make_app(fresh_database, LEDGER_SEAL_KEY=KEY)


@pytest.fixture
def run(sealing_app: Flask) -> Run:
    return lambda *arguments: sealing_app.test_cli_runner().invoke(args=["ledger", *arguments])


def new_account(app: Flask) -> int:
    with app.app_context(), unit_of_work() as session:
        account, _ = ledger.open_account(session, external_id=f"sealed-{uuid4()}")
        ledger.grant(session, account_id=account.account_id, amount=10, source="test", actor="test")
    spend(app, account.account_id)
    return account.account_id


def spend(app: Flask, account_id: int) -> None:
    with app.app_context(), unit_of_work() as session:
        ledger.spend(session, account_id=account_id, amount=1, idempotency_key=str(uuid4()), actor="test")


@pytest.fixture
def account_id(sealing_app: Flask) -> int:
    return new_account(sealing_app)


def tamper(servers: TestServers, statement: str) -> None:
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(statement)  # type: ignore[arg-type]


def made_seals(app: Flask) -> list[Seal]:
    with app.app_context(), unit_of_work() as session:
        return seals(session)


# -- making them ------------------------------------------------------------------------------------------


def test_a_seal_covers_each_account_that_changed_since_its_last(run: Run, sealing_app: Flask, account_id: int) -> None:
    other = new_account(sealing_app)
    assert "seal 1: 2 accounts" in run("seal").output
    assert run("seal").output == "Nothing has changed since the last seal.\n"
    spend(sealing_app, other)
    assert "seal 2: 1 accounts" in run("seal").output
    with sealing_app.app_context(), unit_of_work() as session:
        heads = session.execute(text("SELECT number, account_id, seq FROM ledger.sealed_heads_v ORDER BY 1, 2")).all()
    assert [tuple(row) for row in heads] == [(1, account_id, 2), (1, other, 2), (2, other, 3)]


def test_seals_are_chained(run: Run, sealing_app: Flask, account_id: int) -> None:
    run("seal")
    spend(sealing_app, account_id)
    run("seal")
    first, second = made_seals(sealing_app)
    assert (first.previous, second.previous) == (b"", first.hmac)
    assert {first.key_id, second.key_id} == {key_id(KEY)}


def test_many_accounts_are_sealed_a_part_at_a_time(sealing_app: Flask) -> None:
    ids = sorted(new_account(sealing_app) for _ in range(3))
    keys = SealKeys([KEY])
    found: list[tuple[int, int]] = []
    after, more = 0, True
    while more:
        with sealing_app.app_context(), unit_of_work() as session:
            made, after = seal(session, keys=keys, after=after, limit=2)
        found.append((made.accounts if made else 0, after))
        more = after > 0
    assert found == [(2, ids[1]), (1, 0)]


def test_a_round_that_broke_off_is_made_good_by_the_next(run: Run, sealing_app: Flask) -> None:
    for _ in range(3):
        new_account(sealing_app)
    with sealing_app.app_context(), unit_of_work() as session:
        seal(session, keys=SealKeys([KEY]), limit=1)
    assert "seal 2: 2 accounts" in run("seal").output


def test_sealers_at_the_same_time_take_turns(sealing_app: Flask, fresh_database: TestServers, account_id: int) -> None:
    with psycopg.connect(fresh_database.database_url) as first, psycopg.connect(fresh_database.database_url) as second:
        first.execute("SELECT * FROM ledger.begin_seal()")
        second.execute("SET lock_timeout = '1ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            second.execute("SELECT * FROM ledger.begin_seal()")


def test_a_seal_cannot_get_heads_once_it_is_closed(
    run: Run, sealing_app: Flask, fresh_database: TestServers, account_id: int
) -> None:
    run("seal")
    spend(sealing_app, account_id)
    with psycopg.connect(fresh_database.database_url) as connection, pytest.raises(psycopg.errors.RaiseException):
        connection.execute("SELECT * FROM ledger.seal_heads(1, 0, 10)")


@pytest.mark.parametrize("table", ["seals", "sealed_heads"])
@pytest.mark.parametrize(
    "statement", ["DELETE FROM ledger.{}", "UPDATE ledger.{} SET number = 7", "TRUNCATE ledger.{}"]
)
def test_their_owner_cannot_change_or_remove_them(
    run: Run, fresh_database: TestServers, account_id: int, table: str, statement: str
) -> None:
    run("seal")
    with (
        psycopg.connect(fresh_database.owner_url) as owner,
        pytest.raises(psycopg.errors.RaiseException, match="written once"),
    ):
        owner.execute(statement.format(table))  # type: ignore[arg-type]


def test_the_job_seals_each_hour_and_twice_does_no_harm(sealing_app: Flask, account_id: int) -> None:
    assert [periodic.every_seconds for periodic in SCHEDULE if periodic.job is seal_job] == [3600]
    with sealing_app.app_context():
        seal_job()
        seal_job()
    assert len(made_seals(sealing_app)) == 1


# -- the exported file --------------------------------------------------------------------------------------


def exported(app: Flask) -> Path:
    return sealing.export_path(app.config["SETTINGS"])


def test_each_seal_is_exported_as_a_line(run: Run, sealing_app: Flask, account_id: int) -> None:
    run("seal")
    spend(sealing_app, account_id)
    run("seal")
    lines = exported(sealing_app).read_text().splitlines()
    assert [Seal.of_line(line) for line in lines] == made_seals(sealing_app)
    assert set(json.loads(lines[0])) == {"number", "sealed_at", "accounts", "digest", "previous", "hmac", "key_id"}


def test_another_file_gets_all_seals_and_a_half_written_line_is_mended(
    run: Run, sealing_app: Flask, account_id: int, tmp_path: Path
) -> None:
    run("seal")
    spend(sealing_app, account_id)
    path = tmp_path / "elsewhere" / "seals.jsonl"
    run("seal", "--export", str(path))
    whole = path.read_text()
    assert whole.count("\n") == 2
    path.write_text(whole[:-20])
    run("seal", "--export", str(path))
    assert path.read_text() == whole


def test_a_file_that_holds_no_seals_is_a_usage_error(run: Run, account_id: int, tmp_path: Path) -> None:
    path = tmp_path / "seals.jsonl"
    path.write_text("{}\n")
    result = run("verify", "--seals", str(path))
    assert result.exit_code == 2
    assert "not a seal" in result.output


# -- what they show -----------------------------------------------------------------------------------------


def test_an_honest_ledger_agrees_with_its_seals_and_with_the_file(
    run: Run, sealing_app: Flask, account_id: int
) -> None:
    run("seal")
    spend(sealing_app, account_id)
    result = run("verify", "--seals", str(exported(sealing_app)))
    assert (result.exit_code, result.output) == (0, "every invariant holds: 1 account, 1 grant, 3 entries, 1 seal\n")


def test_a_chain_rewritten_to_agree_with_itself_is_shown_by_the_seals_alone(
    run: Run, sealing_app: Flask, fresh_database: TestServers, account_id: int
) -> None:
    tamper(fresh_database, REWRITE.format(account_id=account_id))
    assert run("verify").exit_code == 0, "nothing but a seal could show it"
    tamper(fresh_database, REWRITE.format(account_id=account_id).replace("what never was", ""))
    run("seal")
    tamper(fresh_database, REWRITE.format(account_id=account_id))
    result = run("verify", "--json")
    assert result.exit_code == 1
    (found,) = json.loads(result.output)["findings"]
    assert (found["account_id"], found["seq"]) == (account_id, 2)
    assert found["detail"] == "is another one than seal 1 covers"


@pytest.mark.parametrize("account", [True, False])
def test_a_sealed_entry_that_was_removed_with_all_its_traces_is_named(
    run: Run, fresh_database: TestServers, sealing_app: Flask, account_id: int, account: bool
) -> None:
    run("seal")
    for statement in (
        "DELETE FROM ledger.entries WHERE account_id = {0} AND seq = 2",
        "UPDATE ledger.accounts SET seq = 1, balance = 10, booked_at = (SELECT max(booked_at) FROM ledger.entries"
        " WHERE account_id = {0}), head = (SELECT hash FROM ledger.entries WHERE account_id = {0})"
        " WHERE account_id = {0}",
        "UPDATE ledger.grants SET remaining = 10 WHERE account_id = {0}",
    ):
        tamper(fresh_database, statement.format(account_id))
    with sealing_app.app_context(), unit_of_work() as session:
        name = ledger.get_account(session, account_id=account_id).external_id
    result = run("verify", *(["--account", name] if account else []))
    assert result.exit_code == 1
    assert f"account {account_id} ({name}) entry 2: is gone, and seal 1 covers it" in result.output


@pytest.mark.parametrize(
    ("statement", "detail"),
    [
        ("UPDATE ledger.seals SET accounts = 7 WHERE number = 1", "seal 1 was not made with the key that it names"),
        ("UPDATE ledger.seals SET digest = sha256('') WHERE number = 1", "the heads under seal 1 are not the 1"),
        ("UPDATE ledger.seals SET hmac = sha256('') WHERE number = 1", "seal 2 does not follow the seal before it"),
        ("DELETE FROM ledger.seals WHERE number = 1", "seal 1 is missing before seal 2"),
        ("DELETE FROM ledger.seals WHERE number = 2", "seal 2 is gone"),
        ("DELETE FROM ledger.sealed_heads WHERE number = 1", "the heads under seal 1 are not the 1"),
        ("UPDATE ledger.sealed_heads SET head = sha256('') WHERE number = 1", "is another one than seal 1 covers"),
        (
            "INSERT INTO ledger.sealed_heads SELECT account_id, 1, 2, hash FROM ledger.entries WHERE seq = 1",
            "are not the 1",
        ),
    ],
)
def test_a_seal_that_was_tampered_with_is_told(
    run: Run, fresh_database: TestServers, sealing_app: Flask, account_id: int, statement: str, detail: str
) -> None:
    run("seal")
    spend(sealing_app, account_id)
    run("seal")
    tamper(fresh_database, statement)
    result = run("verify")
    assert result.exit_code == 1
    assert detail in result.output


def test_seals_that_were_all_removed_are_shown_by_the_exported_file(
    run: Run, fresh_database: TestServers, sealing_app: Flask, account_id: int
) -> None:
    run("seal")
    for table in ("seals", "sealed_heads"):
        tamper(fresh_database, f"DELETE FROM ledger.{table}")
    assert run("verify").exit_code == 0
    result = run("verify", "--seals", str(exported(sealing_app)))
    assert result.exit_code == 1
    assert "seal 1 was exported and is gone" in result.output


def test_seals_that_were_made_anew_with_the_key_differ_from_the_exported_file(
    run: Run, fresh_database: TestServers, sealing_app: Flask, account_id: int, tmp_path: Path
) -> None:
    run("seal")
    for table in ("seals", "sealed_heads"):
        tamper(fresh_database, f"DELETE FROM ledger.{table}")
    tamper(fresh_database, REWRITE.format(account_id=account_id))
    run("seal", "--export", str(tmp_path / "forged.jsonl"))
    assert run("verify").exit_code == 0
    result = run("verify", "--seals", str(exported(sealing_app)))
    assert result.exit_code == 1
    assert "seal 1 is another one than was exported" in result.output


# -- keys ---------------------------------------------------------------------------------------------------


def test_a_key_can_be_replaced_while_the_old_one_is_still_named(
    make_app: Callable[..., Flask], fresh_database: TestServers, run: Run, sealing_app: Flask, account_id: int
) -> None:
    run("seal")
    spend(sealing_app, account_id)
    rotated = make_app(fresh_database, LEDGER_SEAL_KEY=f"{OTHER_KEY}, {KEY}").test_cli_runner()
    rotated.invoke(args=["ledger", "seal"])
    assert [made.key_id for made in made_seals(sealing_app)] == [key_id(KEY), key_id(OTHER_KEY)]
    assert rotated.invoke(args=["ledger", "verify"]).exit_code == 0


def test_without_the_key_verify_says_that_it_could_not_check(
    make_app: Callable[..., Flask], fresh_database: TestServers, run: Run, account_id: int
) -> None:
    run("seal")
    for environment in ({"LEDGER_SEAL_KEY": OTHER_KEY}, {}):
        result = make_app(fresh_database, **environment).test_cli_runner().invoke(args=["ledger", "verify"])
        assert result.exit_code == 2
        assert f"Seals made with the key {key_id(KEY)} were not checked" in result.stderr
        assert "every invariant holds" not in result.stdout


def test_a_sandbox_without_a_key_makes_its_own(fresh_app: Flask, fresh_database: TestServers) -> None:
    new_account(fresh_app)
    runner = fresh_app.test_cli_runner()
    assert "seal 1: 1 accounts" in runner.invoke(args=["ledger", "seal"]).output
    assert "Nothing has changed" in runner.invoke(args=["ledger", "seal"]).output
    key = fresh_database.data_dir / "seal-key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert made_seals(fresh_app)[0].key_id == key_id(key.read_text())
    assert runner.invoke(args=["ledger", "verify"]).exit_code == 0


def test_a_line_of_the_file_is_read_as_it_was_written() -> None:
    made = Seal(
        number=1,
        sealed_at=T0 + TICK,
        accounts=1,
        digest=b"d",
        previous=b"",
        hmac=b"h",
        key_id="k",
    )
    assert Seal.of_line(made.as_line()) == made


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"number": 1}', "no json", '{"number": 1, "sealed_at": 5}'])
def test_a_line_that_no_seal_was_written_as_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"seal|Expecting"):
        Seal.of_line(line)


@pytest.mark.parametrize("weak", ["short", "sandbox-only-not-a-seal", ""])
def test_a_weak_key_among_several_is_refused_beside_live_money(weak: str) -> None:
    Settings.from_environment({**LIVE, "LEDGER_SEAL_KEY": f"{KEY},{OTHER_KEY}"})
    with pytest.raises(UnsafeSettings, match="LEDGER_SEAL_KEY"):
        Settings.from_environment({**LIVE, "LEDGER_SEAL_KEY": f"{KEY},{weak}"})
