"""The same statements by PostgreSQL's own benchmark, which costs the machine next to nothing itself."""

import subprocess
import tempfile
from array import array
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench.clients import FLOOR, SPEND
from bench.measure import Round, round_of
from webapp.embedded.postgres import find_programs

_BINDINGS = {"account": ":account", "amount": ":amount", "key": "'b' || :key"}


def program() -> Path | None:
    """Where pgbench is, if it came with the embedded PostgreSQL."""
    found = find_programs() / "pgbench"
    return found if found.exists() else None


def run(url: str, *, spend: bool, lowest: int, highest: int, clients: int, seconds: float) -> Round:
    """One round of the floor, or of spends."""
    pgbench = program()
    assert pgbench is not None
    statement = (SPEND if spend else FLOOR).format(**_BINDINGS)
    parts = urlsplit(url)
    where = parse_qs(parts.query)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.sql"
        script.write_text(
            f"\\set account random({lowest}, {highest})\n\\set amount random(1, 5)\n"
            f"\\set key random(1, 9000000000000000000)\n{statement};\n"
        )
        command = [
            str(pgbench), "--no-vacuum", "--protocol=prepared", f"--client={clients}", "--jobs=2",
            f"--time={max(1, round(seconds))}", f"--file={script}", "--log", f"--log-prefix={folder}/log",
            f"--host={where['host'][0]}", f"--port={where['port'][0]}", f"--username={parts.username}",
            parts.path.removeprefix("/"),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        latencies = array("d")
        for log in Path(folder).glob("log.*"):
            latencies.extend(float(line.split()[2]) / 1000 for line in log.read_text().splitlines())
    measured = round_of(latencies, seconds=seconds)
    rate = next(line for line in done.stdout.splitlines() if line.startswith("tps = "))
    return Round(float(rate.split()[2]), measured.p50_ms, measured.p99_ms)
