"""Random histories of two accounts, played on the model and on PostgreSQL side by side."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tests.ledger.asking import HOUR, T0, TICK
from tests.ledger.both import Both, Effects, same_again
from tests.ledger.choices import (
    SECOND,
    Question,
    accounts,
    amounts,
    choose,
    features,
    has_expired,
    has_frozen,
    has_holds,
    has_spent,
    hours,
    is_due,
    keys,
    lengths,
    picks,
    prices,
    references,
    someone,
)
from tests.ledger.database_account import entry_of
from webapp import ledger


class Histories(RuleBasedStateMachine):
    engine: Engine
    effects: Effects

    @initialize(
        limits=st.tuples(st.sampled_from([0, 25, 60]), st.just(0)),
        orders=st.tuples(st.just("free_first"), st.sampled_from(["free_first", "paid_first"])),
    )
    def open_two_accounts(self, limits: tuple[int, int], orders: tuple[str, str]) -> None:
        self.now = T0
        self.names = 0
        self.calls: list[tuple[int, str, dict[str, Any], Any]] = []
        self.accounts = [
            Both(self.engine, now=T0, overdraft_limit=limit, spend_order=order)
            for limit, order in zip(limits, orders, strict=True)
        ]
        for at in range(2):
            self.do("grant", at, "grant", amount=40, source="admin", expires_at=T0 + 3 * HOUR)
            self.do("grant", at, "grant", amount=60, source="purchase", cost_minor=300)

    # -- credits come in ------------------------------------------------------------------------------------

    @rule(
        at=accounts,
        amount=amounts,
        priority=st.integers(0, 1),
        starts=st.none() | hours,
        lasts=st.none() | hours,
        ago=st.none() | st.integers(-1, 3),
        limited=st.sampled_from([None, None, ["image"], ["export", "image"], ["image", "export", "image"]]),
        cost_minor=st.sampled_from([0, 500]),
        source=st.sampled_from(["admin", "purchase"]),
        source_key=keys,
        key=keys,
    )
    def grant(
        self,
        at: int,
        starts: int | None,
        lasts: int | None,
        ago: int | None,
        limited: list[str] | None,
        source_key: str | None,
        key: str | None,
        **content: Any,
    ) -> None:
        self.do(
            "grant" if ago is None else "backdated grant",
            at,
            "grant",
            effective_at=self.later(starts, 2),
            expires_at=self.later(lasts, 1),
            features=limited,
            occurred_at=self.earlier(ago),
            source_key=self.name(source_key),
            idempotency_key=self.name(key),
            **content,
        )

    @someone(has_expired)
    @rule(at=accounts, pick=picks, cap=st.sampled_from([1, 7, 10**15, 0, -1]), lasts=st.none() | hours)
    def roll_over(self, at: int, pick: int, cap: int, lasts: int | None) -> None:
        """Mostly of a grant that has lost something, once or twice each."""
        at = self.where(has_expired, at)
        account = self.accounts[at].model
        lost = [g for g, grant in account.after_due(self.now).grants.items() if grant.expired]
        grant_id = choose(lost or sorted(account.grants), pick)
        key = f"rollover-{grant_id}-{pick % 2}" if pick % 7 != 6 else "rollover"
        self.do(
            "roll over",
            at,
            "roll_over",
            grant_id=grant_id,
            cap=cap,
            source_key=key,
            expires_at=self.later(lasts, 1),
        )

    # -- credits are spent, and come back -------------------------------------------------------------------

    @rule(
        at=accounts,
        amount=amounts,
        feature=features,
        partial=st.booleans(),
        key=keys,
        ago=st.none() | st.integers(-1, 3),
        price=prices,
    )
    def spend(
        self, at: int, partial: bool, key: str | None, ago: int | None, price: int | None, **request: Any
    ) -> None:
        what = ("backdated " if ago is not None else "") + ("partial spend" if partial else "spend")
        if price == 0:
            what = "spend of nothing"
            request = {**request, "amount": 0, "priced": True}
        self.do(
            what,
            at,
            "spend",
            partial=partial,
            idempotency_key=self.name(key),
            occurred_at=self.earlier(ago),
            **request,
        )

    @someone(has_spent)
    @rule(at=accounts, pick=picks, amount=st.none() | amounts, key=keys)
    def refund(self, at: int, pick: int, amount: int | None, key: str | None) -> None:
        """Of a spend with something left mostly; of anything else sometimes."""
        at = self.where(has_spent, at)
        account = self.accounts[at].model
        left = [seq for seq, spend in account.spends.items() if spend.left or spend.is_free]
        seq = choose(left, pick) if left and pick % 5 != 4 else pick
        captured = seq in account.spends and account.entries[seq - 1].hold_number is not None
        what = "refund of a capture" if captured else "refund"
        if seq in account.spends and account.spends[seq].is_free:
            what, amount = "refund of nothing", None if pick % 3 else amount
        self.do(what, at, "refund", spend_seq=seq, amount=amount, idempotency_key=self.name(key))

    @rule(at=accounts, pick=picks, percent=st.sampled_from([0, 1, 30, 50, 99, 100, 101, -1]))
    def revoke(self, at: int, pick: int, percent: int) -> None:
        grants = self.accounts[at].model.grants
        grant = grants[choose(sorted(grants), pick)]
        target = grant.amount * percent // 100
        what = "restore" if target < grant.revoked else "revoke while held" if grant.held else "revoke"
        self.do(what, at, "revoke", grant_id=grant.grant_id, target=target)

    @rule(at=accounts, pick=picks, reference=references)
    def freeze(self, at: int, pick: int, reference: str) -> None:
        account = self.accounts[at].model
        grant_id = choose(sorted(account.grants), pick) if pick % 9 != 8 else pick
        self.do("freeze", at, "freeze", grant_id=grant_id, reference=reference)

    @someone(has_frozen)
    @rule(at=accounts, pick=picks, reference=references)
    def unfreeze(self, at: int, pick: int, reference: str) -> None:
        """Mostly what is frozen."""
        at = self.where(has_frozen, at)
        account = self.accounts[at].model
        frozen = [(f.grant_id, f.reference) for f in account.freezes if f.unfrozen_at is None]
        grant_id = choose(sorted(account.grants), pick) if pick % 9 != 8 else pick
        if frozen and pick % 4 != 3:
            grant_id, reference = frozen[pick % len(frozen)]
        self.do("unfreeze", at, "unfreeze", grant_id=grant_id, reference=reference)

    # -- holds ----------------------------------------------------------------------------------------------

    @rule(
        at=accounts,
        amount=amounts,
        feature=features,
        lasts=lengths,
        key=keys,
        price=prices,
    )
    def place_hold(self, at: int, lasts: timedelta, key: str | None, price: int | None, **request: Any) -> None:
        what = "place hold"
        if price == 0:
            what = "place hold of nothing"
            request = {**request, "amount": 0, "priced": True}
        self.do(what, at, "place_hold", expires_in=lasts, idempotency_key=self.name(key), **request)

    @someone(has_holds)
    @rule(at=accounts, pick=picks, part=st.sampled_from(["all", "less", "more", "much more", "nothing"]), key=keys)
    def capture(self, at: int, pick: int, part: str, key: str | None) -> None:
        at = self.where(has_holds, at)
        number, held = self.choose_hold(at, pick)
        amount = {
            "all": None if pick % 2 else held,
            "less": 1 + pick % held if held else None,
            "more": held + 1,
            "much more": held + 40,
            "nothing": 0,
        }
        allowed = part in ("more", "much more") and pick % 4 != 3
        self.do(
            f"capture {part}",
            at,
            "capture",
            number=number,
            amount=amount[part],
            allow_excess=allowed,
            idempotency_key=self.name(key),
            priced=part == "nothing" and pick % 3 != 2,
        )

    @someone(has_holds)
    @rule(at=accounts, pick=picks, key=keys)
    def void(self, at: int, pick: int, key: str | None) -> None:
        at = self.where(has_holds, at)
        number, _ = self.choose_hold(at, pick)
        self.do("void", at, "void", number=number, idempotency_key=self.name(key))

    def choose_hold(self, at: int, pick: int) -> tuple[int, int]:
        """An open hold mostly, lapsed or not; sometimes one that has ended or never was."""
        holds = self.accounts[at].model.holds
        still = [number for number, hold in holds.items() if hold.state == "open"]
        number = choose(still, pick) if still and pick % 6 != 5 else pick % 4
        return number, holds[number].amount if number in holds else 5

    # -- keys -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.calls)
    @rule(pick=picks)
    def replay(self, pick: int) -> None:
        """Whatever was asked under a key is asked again, however much later."""
        at, operation, arguments, first = self.calls[pick % len(self.calls)]
        both = self.accounts[at]
        if operation == "roll_over":
            arguments = {**arguments, "cap": pick}
        before = both.model.copy()
        answer = both.do(operation, now=self.now, **arguments)
        assert both.model == before
        if hasattr(answer, "entry"):
            assert answer == same_again(first)
        else:
            assert (answer.replayed, answer.hold.number) == (True, first.hold.number)
        self.effects.count(f"replay {operation}", answer)

    @rule(
        at=accounts,
        pick=picks,
        operation=st.sampled_from(["grant", "spend", "refund", "place_hold", "capture", "void"]),
    )
    def reuse_key(self, at: int, pick: int, operation: str) -> None:
        """Another request under a key that is taken, whoever took it."""
        both = self.accounts[at]
        if not both.model.keys:
            return
        key = sorted(both.model.keys)[pick % len(both.model.keys)]
        request: dict[str, Any] = {
            "grant": {"amount": 997, "source": "admin"},
            "spend": {"amount": 997},
            "refund": {"spend_seq": pick, "amount": 997},
            "place_hold": {"amount": 997},
            "capture": {"number": pick % 3, "amount": 997},
            "void": {"number": pick % 3 + 7},
        }[operation]
        answer = both.do(operation, now=self.now, idempotency_key=key, **request)
        taken_by = both.model.keys[key][0]
        assert answer[0] == "IdempotencyKeyReused" or taken_by == ("void", pick % 3 + 7)
        self.effects.count(f"reused key, {operation}", True)

    # -- time -----------------------------------------------------------------------------------------------

    @rule(by=st.sampled_from([TICK, SECOND, HOUR - TICK, HOUR, HOUR, 3 * HOUR, 25 * HOUR]))
    def wait(self, by: timedelta) -> None:
        self.now += by
        for both in self.accounts:
            both.wait(self.now)

    @someone(is_due)
    @rule(at=accounts)
    def expire_account(self, at: int) -> None:
        at = self.where(is_due, at)
        before = self.accounts[at].model.copy()
        self.accounts[at].do("expire_due", now=self.now)
        self.effects.count("expire account", self.accounts[at].model != before)

    @someone(is_due)
    @rule()
    def sweep(self) -> None:
        """The sweep takes all accounts of the database in chunks; these two are among them."""
        before = [both.model.copy() for both in self.accounts]
        with self.accounts[0].compared(self.now), self.accounts[1].compared(self.now):
            swept = (1, 1)
            while swept != (0, 0):
                with self.accounts[0].database.at(self.now) as session:
                    swept = ledger.expire_due(session, limit=100)
            for both in self.accounts:
                both.model.expire_due(now=self.now)
        changed = before != [both.model for both in self.accounts]
        self.effects.count("sweep", changed)

    # -- choices of the owner -------------------------------------------------------------------------------

    @rule(at=accounts, order=st.sampled_from(["free_first", "paid_first"]))
    def choose_spend_order(self, at: int, order: str) -> None:
        changes = self.accounts[at].model.spend_order != order
        self.accounts[at].do("choose_spend_order", now=self.now, order=order)
        self.effects.count("choose spend order", changes)

    @rule(at=accounts, limit=st.sampled_from([0, 0, 25, 60]))
    def set_overdraft_limit(self, at: int, limit: int) -> None:
        changes = self.accounts[at].model.overdraft_limit != limit
        self.accounts[at].do("set_overdraft_limit", now=self.now, limit=limit)
        self.effects.count("set overdraft limit", changes)

    # -- reading --------------------------------------------------------------------------------------------

    @rule(at=accounts, ago=st.integers(0, 8), tick=st.booleans(), feature=features)
    def look(self, at: int, ago: int, tick: bool, feature: str | None) -> None:
        """Now, and at any past moment."""
        self.accounts[at].look(self.now - ago * HOUR - tick * TICK, now=self.now, feature=feature)
        self.effects.count("look", True)

    @rule(
        at=accounts,
        since=st.none() | st.integers(0, 6),
        until=st.none() | st.integers(-1, 6),
        kinds=st.sampled_from([None, ["spend"], ["grant", "expire"]]),
        feature=features,
        limit=st.integers(1, 4),
    )
    def read_history(
        self,
        at: int,
        since: int | None,
        until: int | None,
        kinds: list[str] | None,
        feature: str | None,
        limit: int,
    ) -> None:
        """By cursor, with every filter: the same as looking at all entries."""
        account = self.accounts[at]
        first, end = self.earlier(since), self.earlier(until)
        wanted = [
            entry
            for entry in reversed(account.model.entries)
            if (kinds is None or entry.kind in kinds)
            and (feature is None or entry.feature == feature)
            and (first is None or entry.occurred_at >= first)
            and (end is None or entry.occurred_at < end)
        ]
        with Session(self.engine) as session:
            account_id = account.database.account_id
            filters = {"kinds": kinds, "feature": feature, "since": first, "until": end}
            assert list(newest_first(session, account_id, limit=limit, **filters)) == wanted
        self.effects.count("read history", wanted)

    # -- what the rules share -------------------------------------------------------------------------------

    def do(self, what: str, at: int, operation: str, **arguments: Any) -> None:
        answer = self.accounts[at].do(operation, now=self.now, **arguments)
        self.effects.count(what, answer)
        key = arguments.get("idempotency_key") or arguments.get("source_key")
        if key and hasattr(answer, "replayed") and not answer.replayed:
            self.calls.append((at, operation, arguments, answer))

    def where(self, asks: Question, at: int) -> int:
        """That account, or the other one when only of that it is true."""
        return at if asks(self.accounts[at].model, self.now) else 1 - at

    def name(self, key: str | None) -> str | None:
        if key != "new":
            return key
        self.names += 1
        return f"key-{self.names}"

    def later(self, hours: int | None, less: int) -> datetime | None:
        return None if hours is None else self.now + (hours - less) * HOUR

    def earlier(self, hours: int | None) -> datetime | None:
        return None if hours is None else self.now - hours * HOUR

    def teardown(self) -> None:
        for both in getattr(self, "accounts", []):
            for hold in both.model.holds.values():
                self.effects.count(f"a hold is {hold.state} in the end", True)
            with Session(self.engine) as session:
                pages = list(newest_first(session, both.database.account_id))
            assert pages == both.model.entries[::-1]


def newest_first(session: Session, account_id: int, *, limit: int = 3, **filters: Any) -> Any:
    """History by cursor, page after page."""
    before = None
    while True:
        page = ledger.entries(session, account_id=account_id, before=before, limit=limit, **filters)
        yield from map(entry_of, page.entries)
        before = page.next_before
        if before is None:
            return
