"""A balance as a stick: segments in the order of burning, small neighbours merged, dates along the lower edge."""

from dataclasses import dataclass, replace
from datetime import datetime

from webapp.ledger import Grant

# A segment below this share of the stick is a sliver; neighbouring slivers become one segment.
SLIVER = 0.08
_TINTS = 4


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A stretch of the stick: `amount` credits from `start`, of `count` grants.

    `tint` is 1 (soonest to be spent) to 4. `room` says how much of a label fits: 0 none, 1 the number on wide
    screens, 2 the number, 3 number and words.
    """

    start: int
    amount: int
    tint: int
    count: int
    first: Grant | None
    label: str = ""
    room: int = 0


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A day on the lower edge: at `place` credits from the start at the present pace."""

    place: int
    at: datetime
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Stick:
    """Everything that the drawing needs; amounts are credits."""

    total: int
    held: int
    pace: float
    segments: list[Segment]
    dates: list[Mark]


def segments_of(grants: list[Grant], *, balance: int) -> tuple[list[Segment], int]:
    """(segments, total) of the first grants in burn order and, as one more segment, of what they leave of `balance`."""
    pieces = [(grant.remaining, grant) for grant in grants if grant.remaining > 0]
    total = max(balance, sum(amount for amount, _ in pieces))
    rest = total - sum(amount for amount, _ in pieces)
    merged: list[list[tuple[int, Grant | None]]] = []
    for piece in [*pieces, *([(rest, None)] if rest else [])]:
        if merged and _sliver(merged[-1], total) and piece[0] < SLIVER * total:
            merged[-1].append(piece)
        else:
            merged.append([piece])
    segments, start = [], 0
    for position, group in enumerate(merged):
        amount = sum(size for size, _ in group)
        tint = min(position, _TINTS - 1) + 1
        segments.append(Segment(start=start, amount=amount, tint=tint, count=len(group), first=group[0][1]))
        start += amount
    return [replace(segment, room=room(segment.amount, total)) for segment in segments], total


def room(amount: int, total: int) -> int:
    """How much of a label fits over `amount` of a stick of `total`."""
    share = amount / total if total else 0
    return 3 if share >= 0.28 else 2 if share >= 0.15 else 1 if share >= SLIVER else 0


def _sliver(group: list[tuple[int, Grant | None]], total: int) -> bool:
    return all(size < SLIVER * total for size, _ in group)
