"""Everything that is kept about oneself, as one file; and that a long history streams in flat memory."""

import gc
import json
import tracemalloc
from collections.abc import Callable
from contextvars import Context
from typing import Any

import pytest

from tests.credits.member import Member
from webapp import ledger
from webapp.credits import export, personal_data
from webapp.database import unit_of_work


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


def test_a_long_history_streams_in_flat_memory(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the entries take no more memory; threads that listen to Redis take some meanwhile."""
    monkeypatch.setattr(export, "CHUNK", 50)
    monkeypatch.setattr(personal_data, "CHUNK", 50)
    paths = ("/credits/history.csv", "/credits/history.json", "/settings/data.json")
    member.grant(10**9)
    spend_often(member, 150)
    for path in paths:  # what is loaded once and kept
        assert member.download(path).status_code == 200
    short = {path: peak_of(member, path) for path in paths}
    for _ in range(3):
        spend_often(member, 450)
    for path in paths:
        most = short[path] * 1.3 + 300_000
        assert any(peak_of(member, path, times=1) < most for _ in range(3)), path


def spend_often(member: Member, times: int) -> None:
    with member.app.app_context(), unit_of_work() as session:
        before = ledger.balance(session, account_id=member.account_id).seq
        ledger.spend_many(
            session,
            items=[
                ledger.SpendItem(
                    account_id=member.account_id,
                    amount=1,
                    idempotency_key=f"often:{before + number}",
                    actor="api:test",
                    description="something of some length to be written out again and again",
                )
                for number in range(times)
            ],
        )


def peak_of(member: Member, path: str, *, times: int = 3) -> int:
    """The most that was allocated at once while the answer was read piece by piece and dropped; the least of `times`.

    What else this process has to clear away meanwhile is not the answer's.
    """

    def read() -> int:
        with member.client.get(path, environ_overrides={"REMOTE_ADDR": member.ip}) as response:
            assert response.status_code == 200
            gc.collect()
            tracemalloc.start()
            try:
                assert sum(len(piece) for piece in response.iter_encoded()) > 10_000
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    return min(Context().run(read) for _ in range(times))
