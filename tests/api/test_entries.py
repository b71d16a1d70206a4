"""History by pages, and why an entry was charged."""

from datetime import timedelta

import pytest

from tests.api.conftest import Caller, assert_problem
from tests.api.test_spends import MEMBERS
from webapp import clock


def pages(caller: Caller, account: str, **query: object) -> list[list[int]]:
    """The seqs of each page, following the cursor to the end."""
    found, cursor = [], None
    while True:
        asked = query if cursor is None else {**query, "cursor": cursor}
        page = caller.get(f"/accounts/{account}/entries", query_string=asked).get_json()
        assert page.keys() == {"data", "next_cursor"}
        found.append([entry["seq"] for entry in page["data"]])
        cursor = page["next_cursor"]
        if cursor is None:
            return found
        assert isinstance(cursor, str)


def test_history_comes_newest_first_by_pages_without_gap_or_repetition(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    for _ in range(6):
        caller.spend(name, 1)
    assert pages(caller, name, limit=3) == [[7, 6, 5], [4, 3, 2], [1]]
    assert pages(caller, name) == [[7, 6, 5, 4, 3, 2, 1]]
    entry = caller.get(f"/accounts/{name}/entries?limit=1").get_json()["data"][0]
    assert entry.keys() == MEMBERS


def test_what_is_written_while_somebody_pages_moves_no_page(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    for _ in range(3):
        caller.spend(name, 1)
    first = caller.get(f"/accounts/{name}/entries?limit=2").get_json()
    caller.spend(name, 1)
    second = caller.get(f"/accounts/{name}/entries?limit=2&cursor={first['next_cursor']}").get_json()
    assert [entry["seq"] for entry in first["data"] + second["data"]] == [4, 3, 2, 1]


def test_an_account_without_entries_has_one_empty_page(caller: Caller) -> None:
    assert pages(caller, caller.new_account()) == [[]]


def test_history_is_filtered_by_kind_feature_and_time(caller: Caller) -> None:
    name = caller.new_account(credits=100)
    caller.post("/spends", {"account": name, "feature": "image"})
    caller.post("/spends", {"account": name, "feature": "export"})
    caller.post(f"/spends/{name}:3/refund", {"reason": "x"})
    long_ago = clock.now() - timedelta(days=3)
    caller.spend(name, 1, occurred_at=long_ago.isoformat())
    day = timedelta(days=1)
    now = (clock.now() + timedelta(seconds=5)).isoformat()

    def seqs(**query: object) -> list[int]:
        return [seq for page in pages(caller, name, **query) for seq in page]

    assert seqs(kind="grant") == [1]
    assert seqs(kind="spend") == [5, 3, 2]
    assert seqs(kind="refund") == [4]
    assert seqs(kind="expire") == []
    assert seqs(feature="image") == [2]
    assert seqs(kind="spend", feature="export") == [3]
    assert seqs(**{"from": (long_ago - day).isoformat(), "to": (long_ago + day).isoformat()}) == [5]
    assert seqs(**{"from": long_ago.isoformat(), "to": now}) == [5, 4, 3, 2, 1]
    assert seqs(to=long_ago.isoformat()) == []
    assert seqs(**{"from": now}) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1.0", "limit"),
        ("limit=٣", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=abc", "cursor"),
        ("cursor=-1", "cursor"),
        ("cursor=" + "9" * 40, "cursor"),
        ("kind=gift", "kind"),
        ("kind=", "kind"),
        ("feature=", "feature"),
        ("feature=%00", "feature"),
        ("feature=" + "x" * 256, "feature"),
        ("from=yesterday", "from"),
        ("to=2026-11-21", "to"),
        ("to=2026-11-21T25:00:00Z", "to"),
        ("offset=10", "offset"),
    ],
)
def test_a_malformed_query_is_refused_naming_the_parameter(caller: Caller, query: str, field: str) -> None:
    name = caller.new_account()
    assert_problem(caller.get(f"/accounts/{name}/entries?{query}"), 400, "invalid_request", field=field)


def test_a_page_holds_up_to_two_hundred_entries(caller: Caller) -> None:
    name = caller.new_account()
    assert caller.get(f"/accounts/{name}/entries?limit=200").status_code == 200
    assert caller.get(f"/accounts/{name}/entries?limit=1").status_code == 200


def test_an_entry_tells_which_credits_paid_in_the_order_drawn(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    caller.post("/grants", {"account": name, "amount": 20, "priority": -1, "reason": "First", "source_key": "s"})
    entry = caller.spend(name, 25).get_json()
    explained = caller.get(f"/entries/{entry['id']}").get_json()
    assert {key: explained[key] for key in MEMBERS} == entry
    assert [(draw["grant"], draw["amount"]) for draw in explained["draws"]] == [(2, -20), (1, -5)]
    assert explained["draws"][0].keys() == {"grant", "source", "source_key", "amount", "expires_at"}
    assert sum(draw["amount"] for draw in explained["draws"]) == entry["amount"]
    assert explained["arithmetic"] is None
    assert explained["grant"] is None


def test_the_seq_of_an_entry_follows_the_last_colon(caller: Caller) -> None:
    name = "tenant:7:" + caller.new_account()
    caller.put(f"/accounts/{name}", {})
    caller.post("/grants", {"account": name, "amount": 20, "reason": "x"})
    assert caller.get(f"/entries/{name}:1").get_json()["account"] == name
    assert caller.get(f"/entries/{name.replace(':', '%3A')}%3A1").get_json()["seq"] == 1


@pytest.mark.parametrize("entry", ["x", "x:", ":1", "x:0", "x:01", "x:-1", "x:1.0", "x y:1", "%00:1", "x:" + "9" * 30])
def test_an_id_that_no_entry_can_have_is_not_found(caller: Caller, entry: str) -> None:
    assert_problem(caller.get(f"/entries/{entry}"), 404, "entry_not_found")


def test_an_entry_that_does_not_exist_is_not_found(caller: Caller) -> None:
    name = caller.new_account(credits=1)
    assert_problem(caller.get(f"/entries/{name}:2"), 404, "entry_not_found")
