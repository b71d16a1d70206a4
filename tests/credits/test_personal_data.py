"""Everything that is kept about oneself, as one file; and that a long history streams in flat memory."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.credits.member import Member
from tests.forks import Forks
from tests.servers import TestServers
from webapp import ledger
from webapp.credits import personal_data


def data_of(member: Member) -> dict[str, Any]:
    response = member.download("/settings/data.json")
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.headers["Content-Disposition"] == 'attachment; filename="my-data.json"'
    assert response.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = json.loads(response.text)
    return found


def test_it_holds_the_person_the_account_and_every_entry_with_its_draws(member: Member) -> None:
    member.grant(5000, "Gift")
    member.spend(8, feature="image", quantity=1, reference="job_1", metadata={"who": "ж"})
    member.write(ledger.place_hold, amount=5, idempotency_key="work", actor="api:test")
    data = data_of(member)
    assert (data["person"]["email"], data["person"]["name"]) == (member.email, "Mem Ber")
    assert (data["account"]["external_id"], data["account"]["balance"]["available"]) == (member.external_id, 4987)
    newest, oldest = data["entries"]
    assert (newest["amount"], newest["metadata"], newest["draws"]) == (-8, {"who": "ж"}, [{"grant": 1, "amount": -8}])
    assert oldest["id"] == f"{member.external_id}:1"
    assert [(grant["grant_id"], grant["remaining"]) for grant in data["grants"]] == [(1, 4992)]
    assert [(hold["number"], hold["state"]) for hold in data["holds"]] == [(1, "open")]
    assert len(data["sessions"]) == 1
    for name in (
        "portal_sessions",
        "purchases",
        "plan_orders",
        "subscriptions",
        "plans",
        "unlocks",
        "invoices",
        "plan_periods",
    ):
        assert data[name] == [], name


def test_it_holds_no_secret(member: Member) -> None:
    text = member.download("/settings/data.json").text
    assert "of nothing: nobody logs in with it" not in text
    assert "token" not in text
    assert "fingerprint" not in text


def test_nobody_gets_what_is_kept_about_somebody_else(new_member: Callable[..., Member]) -> None:
    ada, eve = new_member(), new_member()
    ada.grant(10, "a secret gift")
    text = eve.download("/settings/data.json").text
    assert "a secret gift" not in text
    assert ada.email not in text


def test_lists_are_read_by_key_until_the_end(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_data, "CHUNK", 3)
    for number in range(7):
        member.grant(1, str(number))
    data = data_of(member)
    assert [grant["grant_id"] for grant in data["grants"]] == [1, 2, 3, 4, 5, 6, 7]
    assert [entry["seq"] for entry in data["entries"]] == [7, 6, 5, 4, 3, 2, 1]


def test_empty_values_and_hostile_text_survive(member: Member) -> None:
    odd = '</script>"\\\u202e\u2066😀' + "x" * 400
    member.grant(10**15, odd)
    data = data_of(member)
    assert data["entries"][0]["description"] == odd
    assert data["entries"][0]["feature"] is None


def test_a_long_history_streams_in_flat_memory(fresh_database: TestServers, forks: Forks) -> None:
    """Ten times the entries take no more memory, measured where nothing else of the tests' runs."""
    output = fresh_database.data_dir / "memory.log"
    environment = {
        "DATABASE_URL": fresh_database.database_url,
        "DATABASE_OWNER_URL": fresh_database.owner_url,
        "REDIS_URL": fresh_database.redis_url,
        "DATA_DIR": str(fresh_database.data_dir),
        "SIGN_UP_CREDITS": "0",
    }
    assert forks.start("tests.credits.reading", environment=environment, output=output).wait(120) == 0, (
        output.read_text()
    )
    peaks: dict[str, list[int]] = json.loads(output.read_text().splitlines()[-1])
    assert set(peaks) == {"/credits/history.csv", "/credits/history.json", "/settings/data.json"}
    for path, (short, long) in peaks.items():
        assert long < short * 1.3 + 100_000, path
