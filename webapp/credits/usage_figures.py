"""The figures of the usage page: by stretch of time and feature, their totals, and the time before."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from webapp import ledger
from webapp.credits.usage_calendar import Stretch, stretches_of, time_before
from webapp.credits.usage_query import UsageQuery

# So many colours and patterns can be told apart; what is beyond them is one more series, the others.
MOST_SERIES = 8


@dataclass(frozen=True, kw_only=True)
class Sum:
    """Credits used, which is `spent` less `refunded`, by `spends` spends."""

    spent: int = 0
    refunded: int = 0
    spends: int = 0

    @property
    def used(self) -> int:
        return self.spent - self.refunded

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(
            spent=self.spent + other.spent,
            refunded=self.refunded + other.refunded,
            spends=self.spends + other.spends,
        )


@dataclass(frozen=True, kw_only=True)
class UsageRow:
    """One stretch of time: its sum by feature key (None: spent on no feature), and altogether."""

    stretch: Stretch
    by_feature: dict[str | None, Sum]
    total: Sum


@dataclass(frozen=True, kw_only=True)
class UsageFigures:
    """All that the page and its exports show. `features` and their sums, the most used first.

    `before` is what was used in the time before, None where nothing can be compared.
    """

    rows: list[UsageRow]
    features: dict[str | None, Sum]
    total: Sum
    before: Sum | None

    @property
    def series(self) -> list[str | None]:
        """The features with a colour of their own."""
        return list(self.features)[:MOST_SERIES]

    @property
    def others(self) -> list[str | None]:
        return list(self.features)[MOST_SERIES:]

    def share(self, feature: str | None) -> float:
        return self.features[feature].used / self.total.used if self.total.used else 0.0


def read_figures(session: Session, *, account_id: int, asked: UsageQuery, now: datetime) -> UsageFigures:
    """The figures of the range, and of the time before unless there are too many entries to add that up too.

    Two statements. Raises ledger.TooMuchUsage.
    """
    stretches = stretches_of(asked)
    earlier = time_before(asked, now=now)
    bounds = [stretches[0].since, *(stretch.until for stretch in stretches)]
    if earlier is not None:
        try:
            found = ledger.usage(session, account_id=account_id, bounds=[*earlier, *bounds])
            return _figures(_of_feature(found, asked.feature), stretches, skipped=2)
        except ledger.TooMuchUsage:
            pass  # nothing was read: the range alone may be small enough
    found = ledger.usage(session, account_id=account_id, bounds=bounds)
    return _figures(_of_feature(found, asked.feature), stretches, skipped=0)


def _of_feature(found: Iterable[ledger.Usage], feature: str) -> list[ledger.Usage]:
    return [one for one in found if not feature or one.feature == feature]


def _figures(found: list[ledger.Usage], stretches: list[Stretch], *, skipped: int) -> UsageFigures:
    """`skipped` stretches lie before the range: the time to compare with, and what is between the two."""
    by_stretch: dict[int, dict[str | None, Sum]] = defaultdict(dict)
    by_feature: dict[str | None, Sum] = defaultdict(Sum)
    before = Sum()
    for one in found:
        part = Sum(spent=one.spent, refunded=one.refunded, spends=one.spends)
        if one.stretch >= skipped:
            by_stretch[one.stretch - skipped][one.feature] = part
            by_feature[one.feature] += part
        elif one.stretch == 0:
            before += part
    rows = [
        UsageRow(stretch=stretch, by_feature=by_stretch[place], total=sum(by_stretch[place].values(), Sum()))
        for place, stretch in enumerate(stretches)
    ]
    most_first = sorted(by_feature.items(), key=lambda item: (-item[1].used, -item[1].spends, item[0] or ""))
    return UsageFigures(
        rows=rows,
        features=dict(most_first),
        total=sum(by_feature.values(), Sum()),
        before=before if skipped else None,
    )
