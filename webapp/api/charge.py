"""A charge that is entered around work: reserved before it, settled after it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache, partial
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog
from flask import Flask, current_app
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.charge_refusals import AlreadyRunning, ChargeRefused, OutOfCredits
from webapp.api.fields import MOST_CREDITS
from webapp.api.holds import HoldRequest
from webapp.api.identifiers import find_account_id, hold_id
from webapp.api.pricing import Price, counted_price_of, price_by
from webapp.api.problems import Problem
from webapp.api.refusals import problem_of_refusal
from webapp.api.suspended import unless_suspended
from webapp.api.unit import one_statement, one_transaction
from webapp.billing.plan_of_account import plan_of
from webapp.catalog.counted import free_units, settle_free
from webapp.catalog.rate_book import RateBook, on_no_plan, rates_in_force
from webapp.database import asks_for_repetition, try_again
from webapp.ledger.fingerprints import fingerprint

log = structlog.get_logger()

Answer = TypeVar("Answer")

_CHARGED = text(
    "SELECT seq, hold_number, fingerprint FROM ledger.entries_v"
    " WHERE account_id = :account_id AND idempotency_key = :key"
)


class Charge:
    """Credits for one piece of work. `quantity`, `dimensions` and `amount` may be set to what the work came to.

    `replayed` says that the work was charged before under this key: nothing is charged this time, whatever is set.
    `entry` is the charge, once there is one. `unpaid` are credits that the work came to beyond what was reserved and
    that were not there in the end.
    """

    def __init__(self, *, wanted: HoldRequest, key: str, actor: str) -> None:
        self.key = key
        self.replayed = False
        self.entry: ledger.Entry | None = None
        self.unpaid = 0
        self._wanted = wanted
        self._actor = actor
        self._request = wanted.model_dump(mode="json", exclude={"expires_in"})
        self._used = wanted  # what to charge for, when that is known
        self._told = False  # whether the work has said so itself
        self._price: Price | None = None
        self._hold: ledger.Hold | None = None
        self._state = "new"
        self._app: Flask
        self._account_id: int
        self._book = RateBook({})
        self._plan: Callable[[], str | None] = on_no_plan
        self._free = 0  # units that cost nothing, of those that are reserved

    def reserve(self) -> Self:
        """The credits are reserved, as entering does: for work that begins later, such as a stream.

        Raises OutOfCredits, AlreadyRunning, or ChargeRefused for another reason; nothing is reserved then.
        """
        if self._state != "new":
            raise RuntimeError("this charge was entered before")
        self._app = current_app._get_current_object()  # type: ignore[attr-defined]
        try:
            self._in_unit(self._reserve)
        except ledger.InsufficientCredits as refusal:
            raise OutOfCredits(refusal) from None
        except ledger.LedgerRefusal as refusal:
            told = refusal
            raise ChargeRefused(lambda: problem_of_refusal(told)) from refusal
        except Problem as problem:
            known = problem
            raise ChargeRefused(lambda: known) from None
        self._state = "reserved"
        return self

    def __enter__(self) -> Self:
        if self._state == "new":
            self.reserve()
        if self._state != "reserved":
            raise RuntimeError("this charge has ended")
        self._state = "entered"
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Charged when the work succeeded, free again when it failed.

        Of a stream whose reader left, what it had said by then is charged.
        """
        self._state = "ended"
        if self.replayed:
            return
        if error is None or (isinstance(error, GeneratorExit) and self._told):
            self._settle()
        else:
            self._give_back()

    @property
    def cost(self) -> int:
        """Credits, by what is known now: what is reserved, or what will be charged."""
        return self._price.credits if self._price else 0

    @property
    def entry_id(self) -> str:
        """How outsiders name the charge; empty while there is none."""
        return f"{self._wanted.account}:{self.entry.seq}" if self.entry else ""

    @property
    def hold_id(self) -> str:
        """How outsiders name the hold; empty while there is none."""
        return hold_id(external_id=self._wanted.account, number=self._hold.number) if self._hold else ""

    @property
    def quantity(self) -> int:
        """Units of the feature. Set to 0, nothing is charged."""
        return self._used.quantity

    @quantity.setter
    def quantity(self, value: int) -> None:
        self._use(quantity=_whole("quantity", value))

    @property
    def dimensions(self) -> dict[str, Any]:
        """What was measured and chosen, where the price asks for it. With nothing measured, nothing is charged."""
        return dict(self._used.dimensions or {})

    @dimensions.setter
    def dimensions(self, value: Mapping[str, Any]) -> None:
        self._use(dimensions=dict(value))

    @property
    def amount(self) -> int:
        """Credits to charge, the same as `cost`; set, it overrules what the rate card says. 0 charges nothing."""
        return self.cost

    @amount.setter
    def amount(self, value: int) -> None:
        self._price = Price(credits=_whole("amount", value))
        self._told = True

    def _use(self, **measured: Any) -> None:
        if self._wanted.feature is None:
            raise ValueError("this charge is an amount of credits: set `amount`")
        used = self._used.model_copy(update=measured)
        numbers = [value for value in (used.dimensions or {}).values() if type(value) is int]
        nothing = used.quantity == 0 or (numbers and not any(numbers))
        if nothing or self.replayed:
            price = Price(credits=0)
        else:
            try:
                price = self._price_of(used)
            except Problem as problem:
                raise ValueError(problem.detail) from None
        self._used, self._price, self._told = used, price, True

    def _price_of(self, wanted: HoldRequest) -> Price:
        """By the rate card that was in force when the credits were reserved, and with what was free then."""
        price = price_by(self._book, body=wanted, plan=self._plan)
        return price.settle(settle_free(price.pricing, units=self._free)) if price.pricing else price

    def _in_unit(self, work: Callable[[Session], Answer]) -> Answer:
        """What `work` returns, in a unit of work of its own; in the application's context even after the request."""

        def attempt() -> Answer:
            with one_statement() as session:
                return work(session)

        with self._app.app_context():
            return try_again(attempt, when=lambda error: error.connection_invalidated or asks_for_repetition(error))

    def _reserve(self, session: Session) -> None:
        self._account_id = find_account_id(session, external_id=self._wanted.account)
        if self._find_charge(session):
            return
        if self._wanted.feature is not None:
            self._book = rates_in_force(session, features=[self._wanted.feature])
            # Asked at once by a price that depends on it, and remembered: later there is no session to ask with.
            self._plan = cache(partial(plan_of, session, account_id=self._account_id))
        self._price = price_by(self._book, body=self._wanted, plan=self._plan)
        if not self._price.is_open:
            return self._place(session)
        with one_transaction(session) as own:
            counted = counted_price_of(own, body=self._wanted, account_id=self._account_id)
            self._price, self._free = counted, free_units(counted.pricing)
            self._place(own)

    def _place(self, session: Session) -> None:
        assert self._price is not None
        for attempt in count(1):
            if self._place_hold(session, price=self._price, key=self._key_of_hold(attempt)):
                return

    def _place_hold(self, session: Session, *, price: Price, key: str) -> bool:
        """Whether that settled it; else an earlier attempt has failed or was cut off, and the next key is due."""
        wanted = self._wanted
        place = partial(
            ledger.place_hold,
            session,
            account_id=self._account_id,
            amount=price.credits,
            idempotency_key=key,
            actor=self._actor,
            expires_in=timedelta(seconds=wanted.expires_in),
            feature=wanted.feature,
            quantity=wanted.quantity if wanted.feature else None,
            description=wanted.description or "",
            reference=wanted.reference,
            metadata=wanted.metadata,
            pricing=price.pricing,
            request=self._request,
        )
        placed = unless_suspended(
            session, account_id=self._account_id, write=lambda condition: place(only_if=condition)
        )
        if not placed.replayed:
            self._hold = placed.hold
            return True
        earlier = ledger.get_hold(session, account_id=self._account_id, number=placed.hold.number)
        if earlier.state == "open":
            raise AlreadyRunning(until=earlier.expires_at)
        return self._find_charge(session)

    def _key_of_hold(self, attempt: int) -> str:
        return f"{self.key}:hold" if attempt == 1 else f"{self.key}:hold:{attempt}"

    def _find_charge(self, session: Session) -> bool:
        """Whether this work was charged before. Raises IdempotencyKeyReused when the key names something else."""
        row = session.execute(_CHARGED, {"account_id": self._account_id, "key": self.key}).one_or_none()
        if row is None:
            return False
        ours = (
            fingerprint("spend", self._request, True, None)
            if row.hold_number is None
            else fingerprint("capture", row.hold_number, self._request)
        )
        if bytes(row.fingerprint) != ours:
            raise ledger.IdempotencyKeyReused("the key names another request")
        self.entry = ledger.entry(session, account_id=self._account_id, seq=row.seq)
        self.replayed = True
        return True

    def _settle(self) -> None:
        if self.cost == 0 and not (self._price and self._price.pricing):
            return self._give_back()
        assert self._hold is not None
        try:
            written = self._capture(self._hold)
        except ledger.IdempotencyKeyReused:
            # The hold had lapsed before, somebody began anew, and was charged first.
            self._in_unit(self._find_charge)
            return self._give_back()
        if written is not None:
            self.entry = written.entry
        self.unpaid = self.cost - (-written.entry.amount if written else 0)
        if self.unpaid:
            log.warning("work_not_paid_in_full", hold=self.hold_id, key=self.key, unpaid=self.unpaid)
        return None

    def _capture(self, hold: ledger.Hold) -> ledger.Written | None:
        """The charge: what it came to, or as much of that as there is; None where there is nothing."""
        most = self.cost
        while True:
            try:
                return self._in_unit(partial(self._capture_amount, hold=hold, amount=most))
            except ledger.InsufficientCredits as refusal:  # for what lies above the hold
                most = min(hold.amount + refusal.available, most - 1)
                if most == 0:  # nothing was held and nothing is there
                    self._give_back()
                    return None
            except ledger.HoldClosed as refusal:
                if refusal.state == "lapsed":
                    return self._spend_late()
                log.warning("hold_ended_by_another", hold=self.hold_id, state=refusal.state)
                return None

    def _capture_amount(self, session: Session, *, hold: ledger.Hold, amount: int) -> ledger.Written:
        return ledger.capture_hold(
            session,
            account_id=self._account_id,
            number=hold.number,
            actor=self._actor,
            idempotency_key=self.key,
            amount=amount,
            allow_excess=True,
            quantity=self._quantity_charged,
            pricing=self._price.pricing if self._price else None,
            request=self._request,
        )

    def _spend_late(self) -> ledger.Written | None:
        """The work took longer than its credits were reserved for: it is paid with what is there now."""
        try:
            return self._in_unit(self._spend)
        except ledger.InsufficientCredits:
            return None

    def _spend(self, session: Session) -> ledger.Written:
        wanted = self._wanted
        return ledger.spend(
            session,
            account_id=self._account_id,
            amount=self.cost,
            idempotency_key=self.key,
            actor=self._actor,
            feature=wanted.feature,
            quantity=self._quantity_charged,
            partial=True,
            description=wanted.description or "",
            reference=wanted.reference,
            metadata=wanted.metadata,
            pricing=self._price.pricing if self._price else None,
            request=self._request,
        )

    @property
    def _quantity_charged(self) -> int | None:
        return self._used.quantity if self._price and self._price.quoted else None

    def _give_back(self) -> None:
        """Nothing is charged, and what is reserved is free again; when that fails now, it is when the hold lapses."""
        if self._hold is None:
            return
        number = self._hold.number
        try:
            self._in_unit(
                lambda session: ledger.void_hold(session, account_id=self._account_id, number=number, actor=self._actor)
            )
        except (DBAPIError, PoolTimeout, ledger.LedgerRefusal) as error:
            log.warning("hold_left_to_lapse", hold=self.hold_id, error=str(error)[:200])


def _whole(name: str, value: int) -> int:
    if type(value) is not int or not 0 <= value <= MOST_CREDITS:
        raise ValueError(f"{name} must be a whole number from 0 to 10^15")
    return value
