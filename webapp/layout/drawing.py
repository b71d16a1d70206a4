"""Arithmetic of the drawings: credits become places on a stick of fixed width.

Geometry stands in SVG attributes, so no page needs a style attribute. A stick is WIDE units wide however many credits
it stands for: browsers keep coordinates in single precision, and a balance may have sixteen digits.
"""

from flask import Flask
from flask_babel import get_locale

WIDE = 1200
_MOST_TICKS = 400


def register(app: Flask) -> None:
    """Let the component templates call these functions."""
    app.jinja_env.globals.update(
        at=at, pc=pc, ticks=ticks, scale_steps=scale_steps, scale_marks=scale_marks, is_rtl=is_rtl, cuts=cuts, WIDE=WIDE
    )


def is_rtl() -> bool:
    """Whether the reader's script runs from right to left."""
    locale = get_locale()
    return locale is not None and locale.text_direction == "rtl"


def at(value: float, total: float) -> str:
    """The place of `value` on a stick of `total`, in units of the drawing."""
    return _short(value * WIDE / total) if total else "0"


def pc(value: float, total: float) -> str:
    """The place of `value` on a stick of `total`, in per cent."""
    return (_short(value * 100 / total) if total else "0") + "%"


def ticks(total: float, step: float, length: float, y: float = 0) -> str:
    """Path data of a tick at every `step`, from edge `y` inwards. Nothing where they would be a grey mass."""
    if step <= 0 or not 0 < total / step <= _MOST_TICKS:
        return ""
    count = int(total / step - 1e-9)
    return "".join(f"M{at(k * step, total)} {_short(y)}v{_short(length)}" for k in range(1, count + 1))


def scale_steps(total: int) -> tuple[int, int, int]:
    """(minor, middle, major) steps of a ruler over `total` credits: round numbers, at most six majors."""
    power = 1
    while True:
        for lead, middle, minor in ((1, 5, 20), (2, 4, 20), (5, 5, 25)):
            major = lead * power
            if total <= 6 * major:
                return (major // minor, major // middle, major)
        power *= 10


def scale_marks(total: int) -> list[int]:
    """Where the ruler is lettered: at each major step that leaves room before the end."""
    major = scale_steps(total)[2]
    return list(range(major, total - major // 2, major))


def cuts(credits: int) -> list[str]:
    """The notches that stand for `credits` on a voucher: `l` for 10,000, `m` for 1,000, empty for 100; at most 6."""
    large, rest = divmod(credits, 10_000)
    middle, rest = divmod(rest, 1_000)
    return (["l"] * min(large, 6) + ["m"] * middle + [""] * (rest // 100))[:6]


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
