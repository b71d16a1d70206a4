"""What the usage of some time would have cost by a draft of the rate card."""

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from webapp.billing.plan_of_account import plans_of
from webapp.catalog.counted import allowance_of, is_open, settle
from webapp.catalog.pricing import Pricing
from webapp.catalog.pricing_terms import PLAN
from webapp.catalog.rate_book import DimensionsRefused, QuantityOutOfBounds, RateBook, Rated, UnknownFeature
from webapp.catalog.windows import window_at

_LONGEST_WINDOW = timedelta(days=32)
_ROWS_AT_ONCE = 2_000


@dataclass(frozen=True, kw_only=True)
class FeaturePreview:
    """`uses` of the feature cost `before` credits, and would have cost `after`.

    `refused` further ones would have been refused by the draft: it has no price for the feature, or not for these
    dimensions. `by_amount` are those whose amount the product said: no rate card has a say in that.
    """

    feature: str
    uses: int
    before: int
    after: int
    refused: int
    by_amount: int

    @property
    def difference(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class AccountPreview:
    """What the account's uses cost, and would have cost."""

    account_id: int
    external_id: str
    before: int
    after: int

    @property
    def difference(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class PricePreview:
    """The features that were used, and the accounts for which most changes, those first."""

    features: list[FeaturePreview]
    accounts: list[AccountPreview]


def preview_prices(
    session: Session, *, prices: Mapping[str, Pricing], since: datetime, until: datetime, most_accounts: int = 10
) -> PricePreview:
    """What was used from `since` until before `until` at those prices, against what was charged for it.

    Spends given back in whole are left out; parts given back are not taken into account. Plans are those of today.
    Reads only, account by account, and keeps no more than `most_accounts` of them.
    """
    session.execute(text("SET LOCAL statement_timeout = '15min'"))
    reading = PreviewReading(prices, since=since, until=until, most_accounts=most_accounts)
    reading.read(session)
    return reading.result(session)


class PreviewReading:
    """A preview while it is made: whole, or some accounts after the others. `state` is what goes on from there."""

    def __init__(self, prices: Mapping[str, Pricing], *, since: datetime, until: datetime, most_accounts: int) -> None:
        self._draft = _Draft(prices, since=since)
        self._since, self._until, self._most = since, until, most_accounts
        self._changed: list[tuple[int, int, int, int]] = []  # a heap: how much changes, account, before, after

    def read(self, session: Session, *, above: int = 0, up_to: int = 2**63 - 1) -> None:
        """What accounts of ids above that and up to that used is counted."""
        uses = _read(session, self._draft, since=self._since, until=self._until, above=above, up_to=up_to)
        for account_id, of_account in groupby(uses, key=lambda use: use.row.account_id):
            before, after = self._draft.charge(of_account)
            if before != after and self._most:
                entry = (abs(after - before), -account_id, before, after)
                (heapq.heappushpop if len(self._changed) >= self._most else heapq.heappush)(self._changed, entry)

    def result(self, session: Session) -> PricePreview:
        names = _names(session, [-account for _by, account, _before, _after in self._changed])
        accounts = [
            AccountPreview(account_id=-account, external_id=names[-account], before=before, after=after)
            for _by, account, before, after in sorted(self._changed, reverse=True)
        ]
        return PricePreview(features=self._draft.figures(), accounts=accounts)

    @property
    def state(self) -> tuple[dict[str, list[int]], list[list[int]]]:
        """The figures of features and of accounts, as plain values."""
        return dict(self._draft.seen), [list(entry) for entry in self._changed]

    def restore(self, features: Mapping[str, Sequence[int]], accounts: Sequence[Sequence[int]]) -> None:
        """It goes on from that state."""
        self._draft.seen = {feature: list(figures) for feature, figures in features.items()}
        self._changed = [(by, account, before, after) for by, account, before, after in accounts]
        heapq.heapify(self._changed)


@dataclass(frozen=True, kw_only=True)
class _Use:
    row: Row[Any]
    plan: str | None


class _Draft:
    """The draft, and what has come of the uses that it was asked about."""

    def __init__(self, prices: Mapping[str, Pricing], *, since: datetime) -> None:
        self._book = RateBook({feature: Rated(0, pricing) for feature, pricing in prices.items()})
        self._since = since
        self.seen: dict[str, list[int]] = {}  # uses, before, after, refused, by amount
        self._quoted: dict[tuple[Any, ...], dict[str, Any] | None] = {}
        every = [one for pricing in prices.values() for one in (pricing, *(v.pricing for v in pricing.variants))]
        self.asks_plan = any(PLAN in pricing.chosen for pricing in every)
        self.has_free = sorted(
            feature
            for feature, pricing in prices.items()
            if pricing.free or any(one.pricing.free for one in pricing.variants)
        )

    def charge(self, uses: Iterable[_Use]) -> tuple[int, int]:
        """What those uses of one account cost, and would have cost."""
        used: dict[tuple[str, str, datetime], int] = {}
        before = after = 0
        for use in uses:
            row, cost = use.row, self._cost(use, used)
            if row.occurred_at is not None and row.occurred_at < self._since:
                continue  # it only counted
            figures = self.seen.setdefault(row.feature, [0] * 5)
            if not row.by_card:
                figures[4] += row.uses
            elif cost is None:
                figures[3] += row.uses
            else:
                charged, would = int(row.charged), cost * row.uses
                figures[0] += row.uses
                figures[1] += charged
                figures[2] += would
                before, after = before + charged, after + would
        return before, after

    def figures(self) -> list[FeaturePreview]:
        return [
            FeaturePreview(feature=feature, uses=uses, before=before, after=after, refused=refused, by_amount=by_amount)
            for feature, (uses, before, after, refused, by_amount) in sorted(self.seen.items())
        ]

    def _cost(self, use: _Use, used: dict[tuple[str, str, datetime], int]) -> int | None:
        """What one such use costs after those before it; None where the draft has no price for it."""
        row = use.row
        pricing = self._quote(use) if row.by_card else None
        if row.occurred_at is None:
            return None if pricing is None else int(pricing["credits"])
        for per in ("day", "month"):  # an allowance counts whatever was used, at whichever price
            window = window_at(per, row.occurred_at, row.time_zone)
            key = (row.feature, per, window.starts_at)
            so_far = used.get(key, 0)
            used[key] = so_far + (row.quantity or 1)
            allowance = allowance_of(pricing) if pricing is not None and is_open(pricing) else None
            if allowance is not None and allowance.per == per:
                pricing = settle(pricing, used=so_far) if pricing is not None else None
        return None if pricing is None else int(pricing["credits"])

    def _quote(self, use: _Use) -> dict[str, Any] | None:
        row = use.row
        key = (row.feature, row.quantity, json.dumps(row.dimensions, sort_keys=True), use.plan)
        if key not in self._quoted:
            if len(self._quoted) >= 100_000:  # what was measured may be different each time
                self._quoted.clear()
            try:
                quoted = self._book.quote(
                    feature=row.feature, quantity=row.quantity, dimensions=row.dimensions, plan=lambda: use.plan
                )
            except (UnknownFeature, DimensionsRefused, QuantityOutOfBounds):
                self._quoted[key] = None
            else:
                self._quoted[key] = quoted.pricing
        return self._quoted[key]


# What the charges say of themselves: since they keep their dimensions, those; before, what their lines tell of them.
_DIMENSIONS = """
    CASE WHEN e.pricing ? 'dimensions' THEN e.pricing -> 'dimensions'
         WHEN e.pricing @? '$.lines[*] ? (exists(@.dimension) || exists(@.when))' THEN (
            SELECT jsonb_object_agg(said.name, said.value) FROM (
                SELECT l ->> 'dimension' AS name, l -> 'quantity' AS value
                FROM jsonb_array_elements(e.pricing -> 'lines') l WHERE l ? 'dimension'
                UNION
                SELECT w.key, w.value FROM jsonb_array_elements(e.pricing -> 'lines') l
                CROSS JOIN jsonb_each(l -> 'when') w WHERE l ? 'when' AND w.key <> 'plan') said)
    END
"""
_USES = f"""
    SELECT e.account_id, e.feature, e.occurred_at, -e.amount AS charged,
           coalesce(e.quantity, h.quantity) AS quantity, e.pricing IS NOT NULL AND e.quantity IS NOT NULL AS by_card,
           {_DIMENSIONS} AS dimensions
    FROM ledger.entries_v e
    LEFT JOIN ledger.holds_v h ON h.account_id = e.account_id AND h.number = e.hold_number
    WHERE e.kind = 'spend' AND e.feature IS NOT NULL AND e.occurred_at < :until
      AND e.account_id > :above AND e.account_id <= :up_to
      AND NOT EXISTS (
          SELECT FROM ledger.entries_v r
          WHERE r.account_id = e.account_id AND r.about_seq = e.seq AND r.kind = 'refund'
          HAVING sum(r.amount) = -e.amount)
"""  # noqa: S608 - constants
# Where something is free, the order matters and each use is read; of all others, those that are alike are one row.
_READ = text(
    f"""
    SELECT u.account_id, u.feature, u.quantity, u.by_card, u.dimensions, NULL::timestamptz AS occurred_at,
           NULL::text AS time_zone, count(*) AS uses, sum(u.charged) AS charged
    FROM ({_USES} AND e.occurred_at >= :since AND e.feature <> ALL (CAST(:has_free AS text[]))) u
    GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT u.account_id, u.feature, u.quantity, u.by_card, u.dimensions, u.occurred_at, a.time_zone, 1, u.charged
    FROM ({_USES} AND e.occurred_at >= :counted_since AND e.feature = ANY (CAST(:has_free AS text[]))) u
    JOIN ledger.accounts_v a ON a.account_id = u.account_id
    ORDER BY account_id, occurred_at
    """  # noqa: S608 - constants
)
_NAMES = text("SELECT account_id, external_id FROM ledger.accounts_v WHERE account_id = ANY (:ids)")


def _read(
    session: Session, draft: _Draft, *, since: datetime, until: datetime, above: int, up_to: int
) -> Iterator[_Use]:
    """The uses account by account, in the order in which they occurred, each with the account's plan."""
    arguments = {
        "since": since,
        "until": until,
        "has_free": draft.has_free,
        "counted_since": since - _LONGEST_WINDOW,
        "above": above,
        "up_to": up_to,
    }
    options = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}
    for rows in session.execute(_READ, arguments, execution_options=options).partitions():
        plans: Mapping[int, str] = {}
        if draft.asks_plan:
            plans = plans_of(session, account_ids={row.account_id for row in rows})
        for row in rows:
            yield _Use(row=row, plan=plans.get(row.account_id))


def _names(session: Session, ids: Sequence[int]) -> dict[int, str]:
    return {row.account_id: row.external_id for row in session.execute(_NAMES, {"ids": list(ids)})}
