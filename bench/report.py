"""What was measured, as a table that says on which machine and which commit."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import Round

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Line:
    """One measurement; `floor` is what its rate is compared with."""

    what: str
    clients: int
    round: Round
    floor: Round | None = None
    compared: str = "floor"


def table(lines: Sequence[Line]) -> str:
    rows = ["| what | clients | per second | p50 ms | p99 ms | ratio |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    for line in lines:
        ratio = ""
        if line.floor is not None and line.floor.per_second:
            ratio = f"{line.round.per_second / line.floor.per_second:.2f} of the {line.compared}"
        latencies = f"{line.round.p50_ms:.2f} | {line.round.p99_ms:.2f}" if line.round.p50_ms else " | "
        figures = f"{line.round.per_second:,.0f} | {latencies}"
        rows.append(f"| {line.what} | {line.clients} | {figures} | {ratio} |")
    return "\n".join(rows)


def address(path: str) -> str:
    """A path with places to fill, as documents write it: /credits/entries/<seq>."""
    return path.replace("{", "<").replace("}", ">")


def machine() -> str:
    """Cores, memory, processor, load before the run, versions and commit, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = (
        re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        if Path("/proc/cpuinfo").exists()
        else None
    )
    processor = found[1] if found else platform.processor() or platform.machine()
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GB, {processor}; load before the run {load:.1f};"
        f" Python {platform.python_version()}, PostgreSQL 18 (embedded, fsync on); commit {_commit()}"
    )


def is_busy() -> bool:
    """Whether other work takes more than a quarter of the machine."""
    return os.getloadavg()[0] > (os.cpu_count() or 1) / 4


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


def tell(title: str, machine: str, text: str, *, write: bool) -> None:
    """Print what was measured, and with `write` add the run to docs/benchmarks.md."""
    print(f"\n{text}")
    if write:
        _append(title, f"{machine}\n\n{text}")


def _append(title: str, text: str) -> None:
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    with DOCUMENT.open("a", encoding="utf-8") as document:
        document.write(f"\n## {title}, {when}\n\n{text}\n")
