"""Processes that begin as copies of one that has imported everything already.

Importing the application takes a second or two of a processor, and tests that kill processes need them by the dozen.
`Forks` is the test's side. The other side is this file as a program: each line of JSON on its stdin asks for something,
and is answered by a line on its stdout. What it starts runs as `python -m MODULE` would, in a process of its own.
"""

import gc
import json
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Self

ROOT = Path(__file__).parents[1]
# What the modules import that are started this way; they themselves run as `__main__`, each time anew.
IMPORTED = ("webapp.parts", "webapp.billing.stripe_api", "stripe", "rq", "rq.cron", "tests")
STARTED = ("jobs.worker", "jobs.cron")
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Forked:
    """A process that was started; what `subprocess.Popen` has of it."""

    forks: "Forks"
    pid: int

    def poll(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float) -> int:
        code = self._ended(timeout)
        assert code is not None, f"process {self.pid} still runs after {timeout} s"
        return code

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def _ended(self, seconds: float) -> int | None:
        code: int | None = self.forks.ask(wait=self.pid, seconds=seconds)
        return code


class Forks:
    """`with Forks() as forks: forks.start("jobs.worker", environment={…}, output=path)`"""

    def __init__(self) -> None:
        self._other = subprocess.Popen(
            [sys.executable, "-m", __name__], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        assert self._other.stdin is not None
        assert self._other.stdout is not None
        self._other.stdin.close()
        self._other.stdout.close()
        assert self._other.wait(PATIENCE_SECONDS) == 0

    def start(self, module: str, *arguments: str, environment: Mapping[str, str], output: Path) -> Forked:
        """`python -m MODULE ARGUMENTS…` with that environment and no other, what it prints added to `output`."""
        pid = self.ask(module=module, arguments=arguments, environment=dict(environment), output=str(output))
        return Forked(self, pid)

    def ask(self, **what: Any) -> Any:
        assert self._other.stdin is not None
        assert self._other.stdout is not None
        self._other.stdin.write(json.dumps(what) + "\n")
        self._other.stdin.flush()
        return json.loads(self._other.stdout.readline())


# ---------------------------------------------------------------- the other side


def main() -> None:
    """Answer until nobody asks any more. Nothing here may start a thread or open a connection."""
    _import_everything()
    ended: dict[int, int] = {}

    def collect(*_: Any) -> None:
        """At once, so that whoever waits for the end of a process that was killed sees it."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended[pid] = os.waitstatus_to_exitcode(status)

    signal.signal(signal.SIGCHLD, collect)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = _wait(ended, **asked) if "wait" in asked else _fork(**asked)
        print(json.dumps(answer), flush=True)


def _import_everything() -> None:
    jobs = import_module("jobs")
    names = [f"jobs.{one.name}" for one in pkgutil.iter_modules(jobs.__path__)]
    for name in (*IMPORTED, *(name for name in names if name not in STARTED)):
        import_module(name)
    gc.freeze()  # so that no copy touches, and thereby duplicates, what all share


def _wait(ended: dict[int, int], *, wait: int, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while wait not in ended and time.monotonic() < deadline:
        time.sleep(0.01)
    return ended.get(wait)


def _fork(*, module: str, arguments: Sequence[str], environment: dict[str, str], output: str) -> int:
    child = os.fork()
    if child == 0:
        _become(module, arguments, environment, output)
    return child


def _become(module: str, arguments: Sequence[str], environment: dict[str, str], output: str) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(written, 1)
        os.dup2(written, 2)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
