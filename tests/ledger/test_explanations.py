"""What an entry tells about itself, what the books say, and what of an account can be chosen."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tests.ledger import model
from tests.ledger.asking import HOUR, T0
from tests.ledger.database_account import DatabaseAccount
from webapp import ledger
from webapp.ledger.verify import verify


@pytest.fixture
def account(clocked_engine: Engine) -> DatabaseAccount:
    return DatabaseAccount(clocked_engine, now=T0)


def test_an_entry_says_why_it_was_charged(account: DatabaseAccount) -> None:
    pricing = {"rate_card": 3, "lines": [{"quantity": 2, "each": 4, "credits": 8}]}
    with account.at(T0) as session:
        ledger.grant(session, account_id=account.account_id, amount=5, source="admin", actor="user:1", description="hi")
        ledger.grant(session, account_id=account.account_id, amount=5, source="admin", actor="user:1")
        written = ledger.spend(
            session,
            account_id=account.account_id,
            amount=8,
            idempotency_key="k",
            actor="key:7",
            feature="image",
            quantity=2,
            description="two images",
            reference="job-1",
            metadata={"size": "L", "%(x)s": "‮<b>'\""},
            pricing=pricing,
        )
    with Session(account.engine) as session:
        entry = ledger.entry(session, account_id=account.account_id, seq=written.entry.seq)
        draws = ledger.draws(session, account_id=account.account_id, seq=entry.seq)
    assert entry == written.entry
    assert (entry.feature, entry.quantity, entry.description) == ("image", 2, "two images")
    assert (entry.reference, entry.actor, entry.pricing) == ("job-1", "key:7", pricing)
    assert entry.metadata == {"size": "L", "%(x)s": "‮<b>'\""}
    assert [(draw.grant.grant_id, draw.grant.description, draw.amount) for draw in draws] == [
        (1, "hi", -5),
        (2, "", -3),
    ]


def test_a_replay_returns_every_field_of_the_first_answer(account: DatabaseAccount) -> None:
    account.grant(now=T0, amount=5)
    answers = []
    for now in (T0, T0 + HOUR):
        with account.at(now) as session:
            answers.append(
                ledger.spend(
                    session,
                    account_id=account.account_id,
                    amount=2,
                    idempotency_key="k",
                    actor="key:7",
                    metadata={"b": 1, "a": [True, None]},
                )
            )
    assert answers[0].entry == answers[1].entry
    assert [answer.replayed for answer in answers] == [False, True]


def test_a_refund_a_revoke_and_an_expiry_say_what_they_are_about(account: DatabaseAccount) -> None:
    account.grant(now=T0, amount=9, expires_at=T0 + HOUR)
    spend = account.spend(now=T0, amount=3).entry
    account.refund(now=T0, spend_seq=spend.seq, amount=1)
    account.revoke(now=T0, grant_id=1, target=2)
    account.revoke(now=T0, grant_id=1, target=1)
    account.expire_due(now=T0 + HOUR)
    rows = account.read("SELECT kind, about_seq FROM ledger.entries_v WHERE account_id = :account_id ORDER BY seq")
    assert [tuple(row) for row in rows[2:]] == [("refund", 2), ("revoke", 1), ("restore", 1), ("expire", 1)]


def test_the_books_of_an_account_balance(account: DatabaseAccount) -> None:
    account.grant(now=T0, amount=100, source="purchase", expires_at=T0 + HOUR)
    account.grant(now=T0, amount=7)
    spend = account.spend(now=T0, amount=30).entry
    account.refund(now=T0, spend_seq=spend.seq, amount=10)
    account.revoke(now=T0, grant_id=1, target=50)
    account.expire_due(now=T0 + HOUR)
    rows = account.read(
        "SELECT ledger_account, sum(amount) FROM ledger.postings_v WHERE account_id = :account_id GROUP BY 1"
    )
    books = {row[0]: int(row[1]) for row in rows}
    assert books == {"account": 7, "sales": -100, "promotions": -7, "usage": 20, "refunds": 50, "breakage": 30}
    assert sum(books.values()) == 0


def test_opening_an_account_again_changes_only_what_is_given(clocked_engine: Engine) -> None:
    name = f"a-{uuid4()}"
    with Session(clocked_engine) as session, session.begin():
        first, created = ledger.open_account(
            session, external_id=name, name="Ada", overdraft_limit=5, metadata={"a": 1}
        )
        again, created_again = ledger.open_account(session, external_id=name, name="Countess")
    assert (created, created_again) == (True, False)
    assert again.account_id == first.account_id
    assert (again.name, again.overdraft_limit, again.metadata) == ("Countess", 5, {"a": 1})


@pytest.mark.parametrize(
    "bad",
    [
        {"external_id": ""},
        {"external_id": "a b"},
        {"external_id": "ä"},
        {"external_id": "a\n"},
        {"external_id": "a" * 129},
        {"kind": "robot"},
        {"time_zone": "Mars/Olympus_Mons"},
        {"overdraft_limit": -1},
        {"overdraft_limit": 10**15 + 1},
    ],
)
def test_an_account_with_bad_attributes_is_refused_by_field(account: DatabaseAccount, bad: dict[str, Any]) -> None:
    with Session(account.engine) as session, pytest.raises(ledger.InvalidRequest) as refused:
        ledger.open_account(session, **{"external_id": f"a-{uuid4()}", **bad})
    assert refused.value.field in bad


def test_what_is_not_there_is_not_found(account: DatabaseAccount) -> None:
    missing = 10**12
    asks = [
        lambda session: ledger.balance(session, account_id=missing),
        lambda session: ledger.spendable(session, account_id=missing),
        lambda session: ledger.get_account(session, account_id=missing),
        lambda session: ledger.find_account(session, external_id="nobody-at-all"),
        lambda session: ledger.expire_account(session, account_id=missing),
        lambda session: ledger.spend(session, account_id=missing, amount=1, idempotency_key="k", actor="x"),
        lambda session: ledger.grant(session, account_id=missing, amount=1, source="x", actor="x"),
    ]
    for ask in asks:
        with Session(account.engine) as session, pytest.raises(ledger.AccountNotFound):
            ask(session)


def test_a_changed_spend_order_holds_for_grants_that_are_there_already(account: DatabaseAccount) -> None:
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=10, cost_minor=900)
    with account.at(T0) as session:
        ledger.set_spend_order(session, account_id=account.account_id, spend_order="paid_first")
    assert account.spend(now=T0, amount=1).entry.draws == (model.Draw(2, -1),)


def test_a_changed_spend_order_holds_for_grants_that_get_credits_back_later(account: DatabaseAccount) -> None:
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=10, cost_minor=900)
    spend = account.spend(now=T0, amount=20).entry
    with account.at(T0) as session:
        ledger.set_spend_order(session, account_id=account.account_id, spend_order="paid_first")
    account.refund(now=T0, spend_seq=spend.seq)
    assert account.spend(now=T0, amount=1).entry.draws == (model.Draw(2, -1),)


def test_what_can_be_seen_of_a_balance_changes_its_version(account: DatabaseAccount) -> None:
    """A page that knows the version may answer: unchanged. Time alone changes a balance too."""

    def look(now: datetime) -> ledger.Balance:
        with account.at(now) as session:
            return ledger.balance(session, account_id=account.account_id)

    account.grant(now=T0, amount=10, expires_at=T0 + 2 * HOUR)
    account.grant(now=T0, amount=10, effective_at=T0 + HOUR)
    seen = [look(T0), look(T0 + HOUR), look(T0 + 2 * HOUR)]
    assert [(s.balance, s.available) for s in seen] == [(20, 10), (20, 20), (10, 10)]
    assert len({s.version for s in seen}) == 3
    assert look(T0).version == seen[0].version


def test_credits_that_start_later_stay_unavailable_after_a_sweep(account: DatabaseAccount) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=10, effective_at=T0 + 2 * HOUR)
    account.expire_due(now=T0 + HOUR)
    for now, available in [(T0 + HOUR, 0), (T0 + 2 * HOUR, 10)]:
        with account.at(now) as session:
            balance = ledger.balance(session, account_id=account.account_id)
        assert (balance.balance, balance.available) == (10, available)


def test_history_by_time_finds_what_was_booked_later_than_it_occurred(account: DatabaseAccount) -> None:
    account.grant(now=T0, amount=10)
    account.spend(now=T0 + 3 * HOUR, amount=1)
    late = account.spend(now=T0 + 3 * HOUR, amount=1, occurred_at=T0 + HOUR).entry
    account.spend(now=T0 + 3 * HOUR, amount=1)
    with Session(account.engine) as session:
        page = ledger.entries(session, account_id=account.account_id, since=T0 + HOUR, until=T0 + 2 * HOUR)
    assert [entry.seq for entry in page.entries] == [late.seq]


def test_available_is_never_negative_and_debt_is_told(clocked_engine: Engine) -> None:
    account = DatabaseAccount(clocked_engine, now=T0, overdraft_limit=5)
    account.spend(now=T0, amount=5)
    with account.at(T0) as session:
        balance = ledger.balance(session, account_id=account.account_id)
    assert (balance.balance, balance.available, balance.debt, balance.held) == (-5, 0, 5, 0)


def test_a_frozen_grant_pays_for_nothing(account: DatabaseAccount) -> None:
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=10)
    account.freeze(now=T0, grant_id=1, reference="dispute")
    assert account.available(T0) == 10
    assert account.spend(now=T0, amount=15, partial=True).entry.draws == (model.Draw(2, -10),)
    with account.engine.connect() as connection:
        assert verify(connection, account_ids=[account.account_id]).findings == []
