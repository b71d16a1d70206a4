"""CSV and JSON of the history: all of it, and safe to open."""

import csv
import io
import json
import re

import pytest

from tests.credits.member import Member
from webapp.credits import export


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_holds_every_entry_with_plain_numbers(member: Member) -> None:
    member.grant(5000, "Gift")
    member.spend(8, feature="image", quantity=1, reference="job_1")
    response = member.download("/credits/history.csv")
    assert response.mimetype == "text/csv"
    assert response.headers["Content-Disposition"] == 'attachment; filename="credits.csv"'
    assert response.headers["Cache-Control"] == "no-store"
    newest, oldest = table(response.text)
    assert (newest["entry"], newest["kind"], newest["amount"], newest["balance_after"]) == ("2", "spend", "-8", "4992")
    assert (newest["feature"], newest["quantity"], newest["reference"]) == ("image", "1", "job_1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", newest["occurred_at"])
    assert oldest["amount"] == "5000"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_text_that_a_spreadsheet_would_run_is_quoted(member: Member, start: str) -> None:
    evil = start + 'cmd|" /C calc"!A1'
    member.grant(10, evil)
    assert table(member.download("/credits/history.csv").text)[0]["description"] == "'" + evil


def test_commas_quotes_and_line_ends_survive(member: Member) -> None:
    odd = 'a,"b"\nc;д é 日本'
    member.grant(10, odd)
    assert table(member.download("/credits/history.csv").text)[0]["description"] == odd


def test_pages_are_read_by_cursor_until_the_end(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "CHUNK", 4)
    member.grant(100)
    for _ in range(10):
        member.spend(1)
    assert [row["entry"] for row in table(member.download("/credits/history.csv").text)] == [
        str(n) for n in range(11, 0, -1)
    ]
    assert len(json.loads(member.download("/credits/history.json").text)["data"]) == 11


def test_json_has_the_entries_of_the_api(member: Member) -> None:
    member.grant(10, 'A "quoted" <name>')
    response = member.download("/credits/history.json")
    assert response.mimetype == "application/json"
    entry = json.loads(response.text)["data"][0]
    assert entry["id"] == f"{member.external_id}:1"
    assert (entry["amount"], entry["balance_after"], entry["description"]) == (10, 10, 'A "quoted" <name>')
    assert len(entry["hash"]) == 64


def test_nothing_yet_is_an_empty_file(member: Member) -> None:
    assert table(member.download("/credits/history.csv").text) == []
    assert json.loads(member.download("/credits/history.json").text) == {"data": []}


def test_filters_apply_to_the_files_too(member: Member) -> None:
    member.grant(10)
    member.spend(1, feature="image")
    assert [row["kind"] for row in table(member.download("/credits/history.csv?kind=spend").text)] == ["spend"]
    assert [e["kind"] for e in json.loads(member.download("/credits/history.json?kind=grant").text)["data"]] == [
        "grant"
    ]
