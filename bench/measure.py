"""Running many clients at once for a while, and what they saw."""

import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.pool import Pool
from statistics import median

WARM_UP_SECONDS = 0.7
MOST_CLIENTS = 8


@dataclass(frozen=True)
class Round:
    """What happened in one round: calls per second, and the latency of half and of nearly all of them."""

    per_second: float
    p50_ms: float
    p99_ms: float


def new_pool() -> Pool:
    """Processes for the clients, kept for all rounds; spawned, so that they share nothing, and import at once."""
    return get_context("spawn").Pool(MOST_CLIENTS, initializer=import_module, initargs=("bench.clients",))


def run_round(
    pool: Pool, client: Callable[..., bytes], arguments: Sequence[tuple[object, ...]], *, seconds: float
) -> Round:
    """Run `client(*arguments, begin, end)` in a process for each of `arguments`; all begin and end together."""
    begin = time.time() + 0.4 + WARM_UP_SECONDS
    seen = array("d")
    for answer in pool.starmap(client, [(*one, begin, begin + seconds) for one in arguments], chunksize=1):
        seen.frombytes(answer)
    return round_of(seen, seconds=seconds)


def round_of(latencies_ms: "array[float]", *, seconds: float) -> Round:
    ordered = sorted(latencies_ms)
    if not ordered:
        return Round(0.0, 0.0, 0.0)
    return Round(len(ordered) / seconds, ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)])


def median_of(rounds: Sequence[Round]) -> Round:
    """The median of each figure."""
    return Round(
        median(one.per_second for one in rounds),
        median(one.p50_ms for one in rounds),
        median(one.p99_ms for one in rounds),
    )


class Clock:
    """Keeps the latencies of the calls that begin in the measured time; those before it are warm-up."""

    def __init__(self, begin: float, end: float) -> None:
        self.begin = begin
        self.end = end
        self.seen = array("d")

    def goes_on(self) -> bool:
        return time.time() < self.end

    def note(self, started: float) -> None:
        if started >= self.begin:
            self.seen.append((time.time() - started) * 1000)
