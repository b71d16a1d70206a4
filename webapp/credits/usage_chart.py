"""The usage page's chart: stacked bars, from the bottom up the most used feature first."""

from dataclasses import dataclass

from webapp.credits.usage_figures import MOST_SERIES, UsageFigures, UsageRow
from webapp.layout.drawing import scale_steps

HEIGHT = 240
OTHERS = MOST_SERIES
# A bar that stands for anything at all can be seen.
_LOWEST = 2.0
_GAP = 1.0
# Wider bars have an outline; of narrower ones it would leave nothing but itself.
_MOST_OUTLINED = 45


@dataclass(frozen=True, kw_only=True)
class Part:
    """One feature's part of a bar, in pixels from the top."""

    tint: int
    y: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What was used in one stretch of time, at `place` of all of them; `lettered` where its name has room."""

    place: int
    row: UsageRow
    parts: list[Part]
    lettered: bool
    wide_only: bool


@dataclass(frozen=True, kw_only=True)
class UsageChart:
    """Bars on a scale that ends at `top` credits and has a line at each `step`."""

    bars: list[Bar]
    top: int
    step: int
    peak: UsageRow
    outlined: bool


def tints_of(figures: UsageFigures, known: list[str]) -> dict[str | None, int]:
    """A tint (0 to 7, OTHERS) for each feature. While few are `known`, each keeps its own whatever is shown."""
    own = {key: place for place, key in enumerate(known)}
    if len(known) < MOST_SERIES and figures.features.keys() <= own.keys() | {None}:
        return {key: MOST_SERIES - 1 if key is None else own[key] for key in figures.features}
    return {key: min(place, OTHERS) for place, key in enumerate(figures.features)}


def draw(figures: UsageFigures, tints: dict[str | None, int]) -> UsageChart:
    """The bars of figures that have any credits at all."""
    peak = max(figures.rows, key=lambda row: row.total.used)
    step = scale_steps(max(peak.total.used, 1))[2]
    top = -(-peak.total.used // step) * step
    count = len(figures.rows)
    every = -(-count // 6)
    bars = [
        Bar(
            place=place,
            row=row,
            parts=_parts(row, figures, tints, top),
            lettered=place % every == every // 2,
            wide_only=(place // every) % 2 == 1,
        )
        for place, row in enumerate(figures.rows)
    ]
    return UsageChart(bars=bars, top=top, step=step, peak=peak, outlined=count <= _MOST_OUTLINED)


def _parts(row: UsageRow, figures: UsageFigures, tints: dict[str | None, int], top: int) -> list[Part]:
    """What cannot be seen of a high bar is left out; a low one is at least a line."""
    amounts = [(tints[key], row.by_feature[key].used) for key in figures.series if key in row.by_feature]
    amounts.append((OTHERS, sum(row.by_feature[key].used for key in figures.others if key in row.by_feature)))
    if row.total.used <= 0:
        return []
    pixels = max(row.total.used / top * HEIGHT, _LOWEST) / row.total.used
    parts: list[Part] = []
    ground = float(HEIGHT)
    for tint, amount in amounts:
        height = amount * pixels
        if height <= 0:
            continue
        seam = _GAP if parts and height > 2 * _GAP else 0.0
        if height > 0.25:
            parts.append(Part(tint=tint, y=round(ground - height, 2), height=round(height - seam, 2)))
        ground -= height
    return parts
