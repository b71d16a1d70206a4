"""Many accounts opened at once, and found again by the product's name for them."""

from collections.abc import Iterator
from threading import Barrier, Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import TestServers

OPEN = "SELECT * FROM ledger.open_accounts(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[])"


@pytest.fixture
def as_application(servers: TestServers) -> Iterator[psycopg.Connection]:
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        yield connection


def open_all(connection: psycopg.Connection, names: list[str], **columns: list[Any]) -> dict[str, tuple[int, bool]]:
    others = [columns.get(name, []) for name in ("kinds", "titles", "time_zones", "limits")]
    rows = connection.execute(OPEN, [names, *others]).fetchall()
    return {name: (account_id, created) for name, account_id, created in rows}


def attributes(connection: psycopg.Connection, name: str) -> Any:
    query = "SELECT kind, name, time_zone, overdraft_limit, balance FROM ledger.accounts_v WHERE external_id = %s"
    return connection.execute(query, [name]).fetchone()


def test_new_accounts_take_their_attributes_and_old_ones_stay_as_they_are(as_application: psycopg.Connection) -> None:
    old, new, plain = (f"many-{uuid4()}" for _ in range(3))
    as_application.execute("SELECT ledger.open_account(%s, p_name => 'Old')", [old])
    opened = open_all(
        as_application,
        [old, new, plain],
        kinds=["organization", "organization", None],
        titles=["Other", "New", None],
        time_zones=["Europe/Berlin", "Europe/Berlin", None],
        limits=[5, 5, None],
    )
    assert [created for _id, created in opened.values()] == [False, True, True]
    assert attributes(as_application, old) == ("person", "Old", "UTC", 0, 0)
    assert attributes(as_application, new) == ("organization", "New", "Europe/Berlin", 5, 0)
    assert attributes(as_application, plain) == ("person", None, "UTC", 0, 0)
    again = open_all(as_application, [plain, new, old])
    assert {name: (account_id, False) for name, (account_id, _) in opened.items()} == again


def test_an_account_named_twice_is_opened_once_as_it_was_named_first(as_application: psycopg.Connection) -> None:
    name = f"many-{uuid4()}"
    assert len(open_all(as_application, [name, name], titles=["First", "Second"])) == 1
    assert attributes(as_application, name)[1] == "First"


@pytest.mark.parametrize(
    ("field", "columns"),
    [
        ("external_id", {}),
        ("kind", {"kinds": ["person", "robot"]}),
        ("time_zone", {"time_zones": ["UTC", "Mars/Olympus"]}),
        ("overdraft_limit", {"limits": [0, -1]}),
    ],
)
def test_one_that_cannot_be_opened_leaves_all_of_them_unopened(
    as_application: psycopg.Connection, field: str, columns: dict[str, list[Any]]
) -> None:
    names = [f"many-{uuid4()}", f"many-{uuid4()}" if columns else "a b"]
    with pytest.raises(psycopg.Error) as refused:
        open_all(as_application, names, **columns)
    assert refused.value.sqlstate == "TS001"
    assert f'"field": "{field}"' in str(refused.value.diag.message_detail)
    assert attributes(as_application, names[0]) is None


def test_the_same_names_from_several_connections_are_opened_once(servers: TestServers) -> None:
    names = [f"many-{uuid4()}" for _ in range(50)]
    gate = Barrier(4)
    opened: list[dict[str, tuple[int, bool]]] = []

    def run(shift: int) -> None:
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            gate.wait(timeout=30)
            opened.append(open_all(connection, names[shift:] + names[:shift]))

    threads = [Thread(target=run, args=[10 * n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({tuple(sorted((name, found[0]) for name, found in one.items())) for one in opened}) == 1
    assert sum(created for one in opened for _id, created in one.values()) == 50


def test_an_account_is_found_by_its_name_without_looking_at_the_others(servers: TestServers) -> None:
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        name = f"many-{uuid4()}"
        open_all(connection, [name, *(f"{name}-{n}" for n in range(2_000))])
        connection.execute("ANALYZE ledger.accounts, ledger.account_ids")
        plan = connection.execute("EXPLAIN SELECT * FROM ledger.accounts_v WHERE external_id = %s", [name]).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "account_ids_pkey" in text
    assert "Seq Scan" not in text
