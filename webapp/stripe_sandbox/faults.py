"""What goes wrong on request: webhooks duplicated, delayed, shuffled, lost; the API down, slow or strict."""

from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb


@dataclass(frozen=True)
class Faults:
    duplicate: int = 0  # how many more times each event is sent
    delay_seconds: float = 0  # how long after its cause it is sent first, by the sandbox's clock
    reorder: bool = False  # shuffle what is sent together
    lose: float = 0  # below 1: the share of events lost; 1 and above: how many of the next ones
    paused: bool = False  # nothing is sent until it is false again
    concurrency: int = 1  # how many requests run at once
    settle_seconds: float = 5  # when a delayed payment or refund is decided, by the sandbox's clock
    finalize_seconds: float = 0  # how long a renewal's invoice stays a draft; Stripe's is an hour
    after_retries: str = "cancel"  # what becomes of a subscription whose invoice no retry could collect
    down: bool = False  # every API call is answered 503
    slow_seconds: float = 0  # how long each API call waits before it is looked at, in real seconds
    rate_limit: int = 0  # how many of the next API calls are answered 429
    drop_answers: int = 0  # how many of the next writes are carried out and never answered
    tax_percent: float = 0  # what `automatic_tax` comes to where a Checkout Session takes one payment
    tax_inclusive: bool = False  # whether prices that do not say so have the tax in them already


class BadFault(ValueError):
    """A setting that does not exist or has a value that it cannot have; nothing was changed."""


LIMITS: dict[str, tuple[float, float]] = {
    "duplicate": (0, 20),
    "delay_seconds": (0, 31_536_000),
    "lose": (0, 1_000_000),
    "concurrency": (1, 16),
    "settle_seconds": (0, 31_536_000),
    "finalize_seconds": (0, 259_200),
    "slow_seconds": (0, 120),
    "rate_limit": (0, 1_000_000),
    "drop_answers": (0, 1_000_000),
    "tax_percent": (0, 100),
}
WHOLE = ("duplicate", "concurrency", "rate_limit", "drop_answers")
SWITCHES = ("reorder", "paused", "down", "tax_inclusive")
CHOICES = {"after_retries": ("cancel", "unpaid", "past_due")}


def read_faults(connection: psycopg.Connection[TupleRow], *, lock: bool = False) -> Faults:
    """The settings in force; with `lock`, no one else changes them until the transaction ends."""
    row = connection.execute(
        "SELECT faults FROM stripe_sandbox.settings FOR UPDATE"
        if lock
        else "SELECT faults FROM stripe_sandbox.settings"
    ).fetchone()
    return Faults(**(row[0] if row else {}))


def change_faults(connection: psycopg.Connection[TupleRow], changes: Any) -> Faults:
    """The named settings have these values, the others stay. Raises BadFault."""
    checked = check_faults(changes)
    merged = asdict(read_faults(connection, lock=True)) | checked
    write_faults(connection, Faults(**merged))
    return Faults(**merged)


def write_faults(connection: psycopg.Connection[TupleRow], faults: Faults) -> None:
    connection.execute("UPDATE stripe_sandbox.settings SET faults = %s", [Jsonb(asdict(faults))])


def check_faults(changes: Any) -> dict[str, Any]:
    if not isinstance(changes, dict):
        raise BadFault("The settings are a JSON object.")
    for name, value in changes.items():
        if name in SWITCHES:
            if not isinstance(value, bool):
                raise BadFault(f"{name} is true or false.")
        elif name in CHOICES:
            if value not in CHOICES[name]:
                raise BadFault(f"{name} is one of {', '.join(CHOICES[name])}.")
        elif name in LIMITS:
            _check_number(name, value)
        else:
            raise BadFault(f"There is no setting {str(name)[:50]!r}.")
    return dict(changes)


def _check_number(name: str, value: Any) -> None:
    least, most = LIMITS[name]
    kinds = (int,) if name in WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        raise BadFault(f"{name} is a number from {least:g} to {most:g}.")
    if name == "lose" and value >= 1 and value != int(value):
        raise BadFault("lose is a share below 1 or a whole number of events.")
