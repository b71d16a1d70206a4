"""CSV and JSON of the usage page: its figures, for its URL, and safe to open."""

import csv
import io
import json
from datetime import timedelta

import pytest

from tests.credits.member import Member
from webapp import clock, ledger


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def yesterday() -> str:
    return (clock.now().date() - timedelta(days=1)).isoformat()


@pytest.fixture
def user(member: Member) -> Member:
    member.grant(1000)
    noon = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=12)
    spent = member.spend(40, feature="image", occurred_at=noon)
    member.spend(8, feature="chat-message", occurred_at=noon - timedelta(days=1))
    member.spend(2, description="By hand", occurred_at=noon - timedelta(days=1))
    member.write(ledger.refund_spend, seq=spent.seq, amount=15, actor="api:test", reason="It failed")
    return member


def test_csv_has_a_line_for_each_stretch_and_feature(user: Member) -> None:
    response = user.download("/credits/usage.csv?range=7d")
    assert response.mimetype == "text/csv"
    assert response.headers["Cache-Control"] == "no-store"
    first, last = clock.now().date() - timedelta(days=6), clock.now().date()
    assert response.headers["Content-Disposition"] == f'attachment; filename="usage-{first}-{last}.csv"'
    lines = table(response.text)
    assert [(line["feature"], line["spends"], line["used"]) for line in lines] == [
        ("chat-message", "1", "8"),
        ("", "1", "2"),
        ("image", "1", "25"),
    ]
    day = {"from": yesterday(), "to": yesterday(), "time_zone": "UTC"}
    assert lines[-1] == {**day, "feature": "image", "spends": "1", "spent": "40", "refunded": "15", "used": "25"}


def test_json_has_the_same_figures_and_their_totals(user: Member) -> None:
    response = user.download("/credits/usage.json?range=7d&group=month&zone=Asia/Tokyo")
    assert response.mimetype == "application/json"
    told = json.loads(response.text)
    assert (told["time_zone"], told["group"]) == ("Asia/Tokyo", "month")
    assert told["total"] == {"spends": 3, "spent": 50, "refunded": 15, "used": 35}
    assert told["before"] == {"spends": 0, "spent": 0, "refunded": 0, "used": 0}
    assert sum(line["used"] for line in told["data"]) == 35
    assert {line["feature"] for line in told["data"]} == {"image", "chat-message", None}


def test_a_feature_alone_is_exported_alone(user: Member) -> None:
    assert [line["feature"] for line in table(user.download("/credits/usage.csv?feature=image").text)] == ["image"]


def test_nothing_yet_is_an_empty_file(member: Member) -> None:
    assert table(member.download("/credits/usage.csv").text) == []
    assert json.loads(member.download("/credits/usage.json").text)["data"] == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_feature_that_a_spreadsheet_would_run_is_quoted(member: Member, start: str) -> None:
    member.grant(10)
    member.spend(1, feature=start + "cmd|' /C calc'!A1")
    (line,) = table(member.download("/credits/usage.csv").text)
    assert line["feature"] == "'" + start + "cmd|' /C calc'!A1"
