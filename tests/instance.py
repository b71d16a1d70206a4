"""A whole Tallystick in processes of its own, as `make run` starts it, for tests that kill and restart it."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil

from webapp.embedded.processes import has_ended

ROOT = Path(__file__).parents[1]
READY_PATIENCE_SECONDS = 90.0
END_PATIENCE_SECONDS = 45.0


class Instance:
    """`python -m webapp.embedded` on a free port with its own data directory."""

    def __init__(self, *, data_dir: Path, port: int | None = None, **environment: str) -> None:
        self.data_dir = data_dir
        self.port = port or free_port_pair()
        self.log = data_dir.with_name(data_dir.name + ".log")
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.port + 1}"

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def start(self) -> "Instance":
        """Start it without waiting for anything; again, when it has ended or was killed."""
        if self.process is not None:
            self.process.wait(END_PATIENCE_SECONDS)
        names = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "TMPDIR", "SYSTEMROOT")
        environment = {name: os.environ[name] for name in names if name in os.environ}
        environment |= {"PORT": str(self.port), "DATA_DIR": str(self.data_dir), **self.environment}
        environment["FLASK_SKIP_DOTENV"] = "1"  # a developer's .env is not the test's
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "webapp.embedded"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def start_and_wait(self) -> float:
        """Start it and wait until it is ready; the seconds that took."""
        began = time.monotonic()
        self.start()
        self.wait_until(self.is_ready, READY_PATIENCE_SECONDS)
        return time.monotonic() - began

    def wait_for_banner(self) -> None:
        """Wait until the demo data is there and the banner has been printed."""
        self.wait_until(lambda: "Ctrl-C stops all of it" in self.output, READY_PATIENCE_SECONDS)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def pid_of(self, name: str) -> int | None:
        """The process of web, worker, cron or sandbox, as run.json tells."""
        try:
            state = json.loads((self.data_dir / "run.json").read_text())
        except FileNotFoundError:
            return None
        process = state["processes"].get(name)
        return process["pid"] if process is not None else None

    def tree(self) -> list[psutil.Process]:
        """The runner and everything below it."""
        assert self.process is not None
        runner = psutil.Process(self.process.pid)
        return [runner, *runner.children(recursive=True)]

    def find(self, name: str) -> psutil.Process | None:
        """A process of the tree by the name of its program: postgres, redis-server."""
        return next((process for process in self.tree()[1:] if _name_of(process) == name), None)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Press Ctrl-C and wait for the end; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(END_PATIENCE_SECONDS)

    def wait_until(self, happened: Callable[[], object], seconds: float = END_PATIENCE_SECONDS) -> None:
        """Wait for other processes to get there; fails with the log when they don't, or the runner ends."""
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while not happened():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.output}"
            assert time.monotonic() < deadline, f"not within {seconds} s:\n{self.output}"
            time.sleep(0.05)

    def ask_to_end(self) -> None:
        """Press Ctrl-C, and don't wait."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Make sure that nothing of it is left, whatever the test did."""
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                for process in self.tree()[::-1]:
                    process.kill()
                self.process.wait(END_PATIENCE_SECONDS)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a zombie that waits for its parent does not."""
    return [process for process in processes if not has_ended(process)]


def free_port_pair() -> int:
    """A port that is free together with the next one, the sandbox's.

    Both lie below the range from which the system takes ports for connections: of those, one that is free now may be
    taken before the servers listen.
    """
    while True:
        port = random.randrange(12_000, 32_000, 2)
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def _name_of(process: psutil.Process) -> str | None:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:  # it has just ended
        return None
