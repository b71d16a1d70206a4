"""The usage page's tables: the same figures as the chart, and what each feature's share is."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from urllib.parse import urlencode

from webapp.account_words.naming import shorten, without_turns
from webapp.credits.usage_calendar import Stretch
from webapp.credits.usage_chart import OTHERS
from webapp.credits.usage_figures import Sum, UsageFigures, UsageRow
from webapp.credits.usage_query import UsageQuery
from webapp.credits.usage_words import span_name, stretch_name

# Features that have a line of their own in the table of shares.
MOST_FEATURES = 40
_FEWEST_SKIPPED = 3
_LONGEST_NAME = 60


@dataclass(frozen=True, kw_only=True)
class UsageLine:
    """A line of the table of time: credits by series and altogether. `history` is a query, empty where nothing was."""

    name: str
    stretch: Stretch
    cells: list[int]
    total: Sum
    history: str


@dataclass(frozen=True, kw_only=True)
class FeatureLine:
    """A line of the table of shares: of the feature `key`, or of `count` of them that have no line of their own."""

    name: str
    tint: int
    key: str | None
    count: int
    sum: Sum
    share: float
    history: str


def lines_by_time(figures: UsageFigures, asked: UsageQuery) -> list[UsageLine]:
    """The newest first; three or more stretches in which nothing was spent are one line."""
    lines = []
    for empty, group in groupby(reversed(figures.rows), key=lambda row: row.total.spends == 0):
        rows = list(group)
        if empty and len(rows) >= _FEWEST_SKIPPED:
            lines.append(_skipped(rows))
        else:
            lines.extend(_line(row, figures, asked) for row in rows)
    return lines


def lines_by_feature(
    figures: UsageFigures, asked: UsageQuery, *, names: dict[str, str], bare: str, tints: dict[str | None, int]
) -> list[FeatureLine]:
    """The most used first. `bare` is what spends on no feature are called."""
    shown = list(figures.features)[:MOST_FEATURES]
    whole = _whole(figures)
    lines = [
        FeatureLine(
            name=name_of(key, names, bare),
            tint=tints[key],
            key=key,
            count=1,
            sum=figures.features[key],
            share=figures.share(key),
            history=history_query(asked, whole, feature=key or ""),
        )
        for key in shown
    ]
    rest = list(figures.features)[MOST_FEATURES:]
    if rest:
        together = sum((figures.features[key] for key in rest), Sum())
        lines.append(
            FeatureLine(
                name="",
                tint=OTHERS,
                key=None,
                count=len(rest),
                sum=together,
                share=together.used / figures.total.used if figures.total.used else 0.0,
                history="",
            )
        )
    return lines


def name_of(key: str | None, names: dict[str, str], bare: str) -> str:
    return bare if key is None else shorten(without_turns(names.get(key, key)), _LONGEST_NAME)


def history_query(asked: UsageQuery, stretch: Stretch, *, feature: str = "") -> str:
    """The history's filters for these spends. Its dates are the reader's; days of another zone are given as times."""
    spends = _spends_on(feature or asked.feature)
    if asked.own_zone:
        return f"{spends}&from={stretch.first.isoformat()}&to={stretch.last.isoformat()}"
    ends = {
        "from": stretch.since.astimezone(asked.zone).isoformat(),
        "to": stretch.until.astimezone(asked.zone).isoformat(),
    }
    return f"{spends}&{urlencode(ends)}"


@lru_cache(maxsize=1_000)
def _spends_on(feature: str) -> str:
    return urlencode({"kind": "spend", "feature": feature} if feature else {"kind": "spend"})


def _line(row: UsageRow, figures: UsageFigures, asked: UsageQuery) -> UsageLine:
    cells = [row.by_feature[key].used if key in row.by_feature else 0 for key in figures.series]
    if figures.others:
        cells.append(sum(row.by_feature[key].used for key in figures.others if key in row.by_feature))
    return UsageLine(
        name=stretch_name(row.stretch, asked.group),
        stretch=row.stretch,
        cells=cells,
        total=row.total,
        history=history_query(asked, row.stretch) if row.total.spends else "",
    )


def _skipped(rows: list[UsageRow]) -> UsageLine:
    """`rows` are in reverse order."""
    first, last = rows[-1].stretch, rows[0].stretch
    span = Stretch(first=first.first, last=last.last, since=first.since, until=last.until)
    return UsageLine(name=span_name(span.first, span.last), stretch=span, cells=[], total=Sum(), history="")


def _whole(figures: UsageFigures) -> Stretch:
    first, last = figures.rows[0].stretch, figures.rows[-1].stretch
    return Stretch(first=first.first, last=last.last, since=first.since, until=last.until)
