"""What no column can hold is refused by field, before the database is asked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tests.ledger.asking import T0
from tests.ledger.database_account import DatabaseAccount
from webapp import ledger
from webapp.ledger.arguments import as_json, checked, checked_column

Ask = Callable[[Session, dict[str, Any]], Any]

GRANT: dict[str, Any] = {"amount": 1, "source": "test", "actor": "test"}
SPEND: dict[str, Any] = {"amount": 1, "idempotency_key": "k", "actor": "test"}
REFUND: dict[str, Any] = {"seq": 1, "actor": "test", "reason": "test"}
REVOKE: dict[str, Any] = {"grant_id": 1, "target": 0, "actor": "test", "reason": "test"}

WRITES: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (ledger.grant, GRANT),
    (ledger.spend, SPEND),
    (ledger.refund_spend, REFUND),
    (ledger.revoke, REVOKE),
]
NUMBERS = {"amount", "priority", "cost_minor", "quantity", "seq", "grant_id", "target", "account_id"}
TEXTS = {"source", "actor", "source_key", "cost_currency", "description", "reference", "idempotency_key", "feature"}
MOMENTS = {"expires_at", "effective_at", "occurred_at"}

NOT_NUMBERS = [2**63, -(2**63) - 1, 10**5000, True, 1.5, float("nan"), Decimal(1)]
NOT_TEXTS = ["a\0b", "\ud800", "ä\udfff"]
NOT_MOMENTS = [
    datetime(2031, 1, 31),  # noqa: DTZ001
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
]
NOT_JSON: list[Any] = [
    {"a": "b\0"},
    {"a\0": 1},
    {"a": ["\ud800"]},
    {"a": float("inf")},
    {"a": object()},
    {"a": 10**5000},
    {1: 1, "b": 2},
    ["not an object"],
]


@pytest.fixture
def account(clocked_engine: Engine) -> DatabaseAccount:
    account = DatabaseAccount(clocked_engine, now=T0)
    account.grant(now=T0, amount=10)
    return account


def refused_field(account: DatabaseAccount, ask: Callable[..., Any], arguments: dict[str, Any]) -> str:
    """The field that a refusal names; the database transaction goes on, as nothing was sent."""
    with Session(account.engine) as session:
        with pytest.raises(ledger.InvalidRequest) as refused:
            ask(session, **{"account_id": account.account_id, **arguments})
        assert ledger.balance(session, account_id=account.account_id).seq == 1
    return refused.value.field


@pytest.mark.parametrize(("write", "sound"), WRITES, ids=lambda value: getattr(value, "__name__", ""))
def test_no_write_takes_what_its_columns_cannot_hold(
    account: DatabaseAccount, write: Callable[..., Any], sound: dict[str, Any]
) -> None:
    assert write.__kwdefaults__ is not None
    names = {*sound, *write.__kwdefaults__, "account_id"}
    bad = [(name, value) for name in names & NUMBERS for value in NOT_NUMBERS]
    bad += [(name, value) for name in names & TEXTS for value in NOT_TEXTS]
    bad += [(name, value) for name in names & MOMENTS for value in NOT_MOMENTS]
    bad += [(name, value) for name in names & {"metadata", "pricing"} for value in NOT_JSON]
    bad += [(name, "k" * 501) for name in names & {"idempotency_key", "source_key"}]
    bad += [("features", value) for value in (["\0"], ["\ud800"], [1], [["image"]]) if "features" in names]
    assert len(bad) > 10
    for name, value in bad:
        assert refused_field(account, write, {**sound, name: value}) == name


def test_a_priority_has_four_bytes(account: DatabaseAccount) -> None:
    for value in (2**31, -(2**31) - 1):
        assert refused_field(account, ledger.grant, {**GRANT, "priority": value}) == "priority"
    for value in (2**31 - 1, -(2**31)):
        account.grant(now=T0, amount=1, priority=value)


@pytest.mark.parametrize(
    ("read", "field", "value"),
    [
        (ledger.balance, "account_id", 2**63),
        (ledger.get_account, "account_id", -(2**63) - 1),
        (ledger.balance_at, "at", datetime(2031, 1, 31)),  # noqa: DTZ001
        (ledger.spendable, "feature", "\0"),
        (ledger.expiring, "limit", 0),
        (ledger.open_grants, "limit", 2**31),
        (ledger.entry, "seq", 2**63),
        (ledger.draws, "seq", 2**63),
        (ledger.get_grant, "grant_id", 2**63),
        (ledger.grant_by_source_key, "source_key", "\ud800"),
        (ledger.entries, "before", 2**63),
        (ledger.entries, "limit", -1),
        (ledger.entries, "kinds", ["spend\0"]),
        (ledger.entries, "feature", "\0"),
        (ledger.entries, "since", NOT_MOMENTS[1]),
        (ledger.entries, "until", NOT_MOMENTS[2]),
        (ledger.set_spend_order, "spend_order", "\0"),
        (ledger.expire_account, "account_id", 2**63),
    ],
)
def test_no_read_takes_what_no_column_holds(
    account: DatabaseAccount, read: Callable[..., Any], field: str, value: Any
) -> None:
    assert refused_field(account, read, {field: value}) == field


def test_no_account_is_opened_or_found_by_what_is_no_text(account: DatabaseAccount) -> None:
    with Session(account.engine) as session:
        for name, value in [("external_id", "a\0"), ("name", "\ud800"), ("metadata", {"a": "\0"}), ("time_zone", "\0")]:
            with pytest.raises(ledger.InvalidRequest) as refused:
                ledger.open_account(session, **{"external_id": "sound", name: value})
            assert refused.value.field == name
        with pytest.raises(ledger.InvalidRequest):
            ledger.find_account(session, external_id="\ud800")
        with pytest.raises(ledger.InvalidRequest):
            ledger.expire_due(session, limit=2**31)


def test_the_first_and_the_last_moment_are_kept_as_they_are(account: DatabaseAccount) -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    account.grant(now=T0, amount=1, effective_at=first, expires_at=last)
    account.spend(now=T0, amount=1, occurred_at=first)
    grant, entry = account.grants[2], account.entries[-1]
    assert (grant.effective_at, grant.expires_at, entry.occurred_at) == (first, last, first)
    assert account.balance_at(last) == account.balance_at(first) + 11 == 10


def test_a_moment_with_an_odd_offset_is_kept_in_utc(account: DatabaseAccount) -> None:
    odd = timezone(timedelta(hours=1, microseconds=7))
    account.grant(now=T0, amount=1, expires_at=T0.astimezone(odd))
    assert account.grants[2].expires_at == T0


def test_a_backslash_that_only_looks_like_nul_is_kept(account: DatabaseAccount) -> None:
    metadata = {"path": "\\u0000", "name": "ä😀", "deeper": {"a": ["\\\\u0000"]}}
    account.grant(now=T0, amount=1, metadata=metadata)
    [row] = account.read("SELECT metadata FROM ledger.entries_v WHERE account_id = :account_id AND seq = 2")
    assert row.metadata == metadata


def test_nul_is_found_behind_any_number_of_backslashes() -> None:
    for backslashes in range(5):
        with pytest.raises(ledger.InvalidRequest):
            as_json("metadata", {"a": "\\" * backslashes + "\0"})


VALUES: dict[str, list[Any]] = {
    "amount": [1, 2**63 - 1, None, *NOT_NUMBERS],
    "description": ["", "ä", None, "x" * 501, *NOT_TEXTS],
    "idempotency_key": ["k" * 500, "k" * 501, *NOT_TEXTS],
    "partial": [True, False],
    "quantity": [True, Decimal(1)],
    "occurred_at": [T0, T0.astimezone(timezone(timedelta(hours=5))), None, *NOT_MOMENTS],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field in VALUES for value in VALUES[field]], ids=lambda _: ""
)
def test_a_column_of_values_is_taken_exactly_when_each_of_them_is(field: str, value: Any) -> None:
    others = {"description": ["a", None, "b"], "idempotency_key": ["a"], "partial": [False], "occurred_at": [T0]}
    column = [*others.get(field, [1, None]), value, value]
    try:
        taken = [checked({field: one})[field] for one in column]
    except ledger.InvalidRequest:
        with pytest.raises(ledger.InvalidRequest):
            checked_column(field, column)
    else:
        assert list(checked_column(field, column)) == taken


def test_a_refusal_says_what_would_be_right() -> None:
    with pytest.raises(ledger.InvalidRequest, match="must say its time zone"):
        checked({"at": datetime(2031, 1, 31)})  # noqa: DTZ001
