"""Sticks to draw: a balance, a cost, a payment; slivers merged, and labels only where they fit."""

from dataclasses import dataclass, replace
from datetime import datetime

from flask_babel import gettext as _
from flask_babel import ngettext

from webapp.i18n.formats import short_day
from webapp.ledger import Grant

# A segment below this share of the stick is a sliver; neighbouring slivers become one segment.
SLIVER = 0.08
MERGED = 0.15
LETTERED = 0.06
_TINTS = 4


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A stretch of a stick: `amount` credits from `start`, of `count` lots.

    `tint` is 1 (first to be spent) to 4, 0 for what is no credit at all. `room` says how much of a label fits:
    0 none, 1 the number on wide screens, 2 the number, 3 number and words. With `at_end` the label stands at the
    stick's far end.
    """

    start: int
    amount: int
    tint: int
    count: int
    label: str = ""
    expires_at: datetime | None = None
    room: int = 0
    at_end: bool = False


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A day on the lower edge: at the present pace one gets there after `place` credits."""

    place: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Stick:
    """Everything that the balance's drawing needs; amounts are credits, `pace` credits a day."""

    total: int
    held: int
    pace: float
    segments: list[Segment]
    dates: list[Mark]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One lot before it is laid on a stick."""

    amount: int
    label: str = ""
    expires_at: datetime | None = None
    tint: int | None = None


def segments_of(grants: list[Grant], *, balance: int) -> tuple[list[Segment], int]:
    """(segments, total) of the first grants in burn order and, as one more segment, of what they leave of `balance`."""
    pieces = [Piece(amount=g.remaining, label=g.description, expires_at=g.expires_at) for g in grants if g.remaining]
    rest = balance - sum(piece.amount for piece in pieces)
    if rest > 0:
        pieces.append(Piece(amount=rest))
    return lay(pieces), sum(piece.amount for piece in pieces)


def lay(pieces: list[Piece]) -> list[Segment]:
    """The pieces one after the other; neighbouring slivers are one segment, whose `count` says of how many."""
    total = sum(piece.amount for piece in pieces)
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups and _is_sliver(piece, total) and _takes_more(groups[-1], total):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    if len(groups) > 1 and _only_slivers(groups[-2] + groups[-1], total) and _takes_more(groups[-1], total):
        groups[-2:] = [groups[-2] + groups[-1]]
    segments: list[Segment] = []
    start = 0
    for group in groups:
        amount = sum(piece.amount for piece in group)
        segments.append(
            Segment(
                start=start,
                amount=amount,
                tint=group[0].tint if group[0].tint is not None else min(len(segments) + 1, _TINTS),
                count=len(group),
                label=group[0].label,
                expires_at=group[0].expires_at,
                room=_room(amount, total),
            )
        )
        start += amount
    return _last_at_end(segments)


def _last_at_end(segments: list[Segment]) -> list[Segment]:
    """A short last segment's label stands at the end, when the one before leaves it the place."""
    if len(segments) > 1 and segments[-1].room < 3 and segments[-2].room == 3:
        segments[-1] = replace(segments[-1], at_end=True, room=max(segments[-1].room, 2))
    return segments


def _is_sliver(piece: Piece, total: int) -> bool:
    return piece.amount < SLIVER * total and piece.tint is None


def _takes_more(group: list[Piece], total: int) -> bool:
    """Only slivers are merged, and only until the segment is long enough to be lettered."""
    return _only_slivers(group, total) and sum(piece.amount for piece in group) < MERGED * total


def _only_slivers(group: list[Piece], total: int) -> bool:
    return all(_is_sliver(piece, total) for piece in group)


def _room(amount: int, total: int) -> int:
    share = amount / total if total else 0
    return 3 if share >= 0.28 else 2 if share >= 0.15 else 1 if share >= LETTERED else 0


def segment_label(segment: Segment) -> str:
    """What stands on a stretch of a balance: when it expires, or of how many grants it is."""
    if segment.count > 1:
        return ngettext("in %(num)s grant", "in %(num)s grants", segment.count)
    return short_day(segment.expires_at) if segment.expires_at else _("never expire")
