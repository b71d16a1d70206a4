"""What the examples show: a balance, a charge, a month of use. Nothing of it is in a database."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from webapp.account_words.stick import Mark, Piece, Segment, Stick, lay
from webapp.credits.cost import Cost

NOW = datetime(2027, 2, 10, 9, 30, tzinfo=UTC)
_BARS = (
    40,
    62,
    0,
    18,
    75,
    90,
    44,
    51,
    0,
    0,
    66,
    83,
    120,
    31,
    47,
    58,
    0,
    22,
    95,
    70,
    64,
    0,
    0,
    38,
    88,
    104,
    49,
    53,
    61,
    27,
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """An entry as the ledger table shows it; widths are thousandths of the stick."""

    seq: int
    title: str
    detail: str
    amount: int
    balance_after: int
    at: datetime
    width: int
    width_above: int | None


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Everything that the examples name."""

    now: datetime
    stick: Stick
    parts: list[Segment]
    halves: list[Segment]
    lines: list[Line]
    bars: list[tuple[int, int]]
    labels: list[tuple[int, str]]
    errors: dict[str, str]
    affordable: Cost
    dear: Cost
    missing: Cost


def samples() -> Samples:
    grants = [
        Piece(amount=400, label="3 March"),
        Piece(amount=520, label="30 June"),
        Piece(amount=900, label="18 September"),
        Piece(amount=660, label="never expire"),
    ]
    first = date(2027, 1, 12)
    return Samples(
        now=NOW,
        stick=Stick(
            total=2480,
            held=60,
            pace=48,
            segments=lay(grants),
            dates=[Mark(place=480, label="20 Feb"), Mark(place=1150, label="6 Mar"), Mark(place=2480, label="2 Apr")],
        ),
        parts=lay(
            [Piece(amount=128, label="64 minutes at 2 credits", tint=4), Piece(amount=12, label="Speakers", tint=4)]
        ),
        halves=lay([Piece(amount=60, label="November grant"), Piece(amount=80, label="Autumn bonus")]),
        lines=_lines(),
        bars=list(enumerate(_BARS)),
        labels=[(place, f"{first + timedelta(days=place):%d %b}") for place in (0, 14, 29)],
        errors={"example-amount": "The amount is more than the grant has left", "example-reason": "Say why"},
        affordable=Cost(credits=140, available=2480),
        dear=Cost(credits=1400, available=2480),
        missing=Cost(credits=2640, available=2480),
    )


def _lines() -> list[Line]:
    moves = [
        ("Transcription", "64 minutes, speakers named", -140, 2480),
        ("Image", "1 picture", -1, 2620),
        ("Standard", "bought", 2000, 2621),
        ("Report", "Voice memo 7", -25, 621),
    ]
    widths = [930, 975, 976, 300]
    return [
        Line(
            seq=418 - place,
            title=title,
            detail=detail,
            amount=amount,
            balance_after=after,
            at=NOW - timedelta(hours=3 * place),
            width=widths[place],
            width_above=widths[place - 1] if place else None,
        )
        for place, (title, detail, amount, after) in enumerate(moves)
    ]
