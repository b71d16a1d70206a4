"""Counting what was used before, where a price has something free or a plan has a ceiling."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.catalog.ceilings import Ceiling, Ceilings, read_ceilings
from webapp.catalog.counted import allowance_of, is_limited, settle
from webapp.catalog.windows import PERS, Window, window_at

Pricing = Mapping[str, Any]
_Counted = tuple[int, str, str, datetime]  # account, feature, per, beginning


class LimitReached(ledger.LedgerRefusal):
    """The account's plan allows no more of the feature in that window, which ends at `resets_at` (RFC 3339).

    `limit` units are allowed and `used` were used. Whoever tells of the ledger's refusals tells of this one too.
    """

    code = "limit_reached"

    @property
    def resets_at(self) -> datetime:
        return datetime.fromisoformat(self.data["resets_at"])


class PlansOf(Protocol):
    """Which plan each of some accounts is on; an account that is on none is left out."""

    def __call__(self, session: Session, *, account_ids: Collection[int]) -> Mapping[int, str]: ...


@dataclass(frozen=True, kw_only=True)
class Use:
    """A use that is to be priced: its open pricing, and when it occurred (None: now)."""

    account_id: int
    pricing: Pricing
    occurred_at: datetime | None = None

    @property
    def feature(self) -> str:
        return str(self.pricing["feature"])


class Meter:
    """What some accounts have used by now. What is priced by it and charged has to be told to it by `take`."""

    def __init__(self, *, accounts: Mapping[int, ledger.Locked], plans: Mapping[int, str], ceilings: Ceilings) -> None:
        self._accounts = accounts
        self._plans = plans
        self._ceilings = ceilings
        self._used: dict[_Counted, int] = {}

    def count(self, session: Session, uses: Sequence[Use]) -> None:
        """What was used in the windows that these uses lie in is known; one statement."""
        wanted: dict[_Counted, ledger.UnitsOf] = {}
        for use in uses:
            most: dict[str, int] = {}
            for ceiling in self._ceilings_for(use):
                most[ceiling.per] = ceiling.quantity
            if allowance := allowance_of(use.pricing):
                most[allowance.per] = max(allowance.quantity, most.get(allowance.per, 0))
            for per, quantity in most.items():
                window = self._window(use, per)
                key = (use.account_id, use.feature, per, window.starts_at)
                before = wanted.get(key)
                wanted[key] = ledger.UnitsOf(
                    account_id=use.account_id,
                    feature=use.feature,
                    since=window.starts_at,
                    until=window.ends_at,
                    most=max(quantity, before.most or 0) if before else quantity,
                )
        counted = ledger.units_used(session, wanted=list(wanted.values()))
        self._used.update(zip(wanted, counted, strict=True))

    def price(self, use: Use) -> dict[str, Any]:
        """The settled pricing of a use that comes next. Raises LimitReached."""
        self.refuse_beyond(use)
        return self.settle(use)

    def refuse_beyond(self, use: Use) -> None:
        """Raises LimitReached for a use that comes next and is beyond a ceiling."""
        quantity: int = use.pricing["quantity"]
        reached = None
        for ceiling in self._ceilings_for(use):
            window = self._window(use, ceiling.per)
            used = self._used_in(use, window)
            if used + quantity > ceiling.quantity:
                reached = (ceiling, window, used)  # the longest window that is full decides
        if reached is not None:
            raise _limit_reached(use, *reached)

    def settle(self, use: Use) -> dict[str, Any]:
        """The settled pricing of a use that comes next, ceilings or not."""
        allowance = allowance_of(use.pricing)
        used = self._used_in(use, self._window(use, allowance.per)) if allowance else 0
        return settle(use.pricing, used=used)

    def take(self, use: Use) -> None:
        """The use was charged, so later ones come after it."""
        for per in PERS:
            key = (use.account_id, use.feature, per, self._window(use, per).starts_at)
            if key in self._used:
                self._used[key] += use.pricing["quantity"]

    def _ceilings_for(self, use: Use) -> Sequence[Ceiling]:
        if not is_limited(use.pricing):
            return ()
        return self._ceilings.of(self._plans.get(use.account_id), use.feature)

    def _window(self, use: Use, per: str) -> Window:
        account = self._accounts[use.account_id]
        return window_at(per, use.occurred_at or account.moment, account.time_zone)

    def _used_in(self, use: Use, window: Window) -> int:
        return self._used[use.account_id, use.feature, window.per, window.starts_at]


def lock_and_count(session: Session, *, uses: Sequence[Use], account_ids: Collection[int], plans_of: PlansOf) -> Meter:
    """What the uses' accounts used before, to price them by. Locks all of `account_ids`, in the order of their ids.

    It stays true until the database transaction ends, as far as the accounts are among those.
    """
    return _count(session, uses, ledger.lock_accounts(session, account_ids=account_ids), plans_of)


def count_now(session: Session, *, uses: Sequence[Use], plans_of: PlansOf) -> Meter:
    """The same without a lock, for estimates: others may use something before it is charged."""
    rows = session.execute(_NOW, {"account_ids": list({use.account_id for use in uses})}).mappings()
    return _count(session, uses, {row["account_id"]: ledger.Locked(**row) for row in rows}, plans_of)


_NOW = text(
    "SELECT account_id, time_zone, greatest(ledger.now(), booked_at) AS moment FROM ledger.accounts_v"
    " WHERE account_id = ANY (:account_ids)"
)


def _count(session: Session, uses: Sequence[Use], accounts: Mapping[int, ledger.Locked], plans_of: PlansOf) -> Meter:
    limited = {use.feature: use.account_id for use in uses if is_limited(use.pricing)}
    ceilings, plans = Ceilings((), free_plan=None), {}
    if limited:
        ceilings = read_ceilings(session, features=limited)
        plans = dict(plans_of(session, account_ids={use.account_id for use in uses}))
    meter = Meter(accounts=accounts, plans=plans, ceilings=ceilings)
    meter.count(session, uses)
    return meter


def _limit_reached(use: Use, ceiling: Ceiling, window: Window, used: int) -> LimitReached:
    return LimitReached(
        "the plan allows no more of this in the window",
        feature=use.feature,
        limit=ceiling.quantity,
        used=used,
        window=ceiling.per,
        resets_at=window.ends_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    )
