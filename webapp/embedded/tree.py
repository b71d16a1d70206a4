"""One tree of processes in one thread: start, restart, pass on what they print, end all in order."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from webapp.embedded.output import LinePipe, Output
from webapp.embedded.processes import adopt_orphans, start_bound

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOP_PATIENCE_SECONDS = 12.0
QUICK_SECONDS = 10.0
QUICK_DEATHS_ALLOWED = 4


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run. `stop_rank` orders the end: lower ends first. `once` is run to its end, not restarted."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    stop_rank: int = 0
    once: bool = False


class Child:
    """A program, its process of the moment, and how it has fared."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.quick_deaths = 0
        self.start_at: float | None = None

    def note_death(self) -> float:
        """Remember that it died; returns the seconds to wait before the next start."""
        lived = time.monotonic() - self.started_at
        self.quick_deaths = self.quick_deaths + 1 if lived < QUICK_SECONDS else 0
        return float(0.5 * 2 ** max(self.quick_deaths - 1, 0))


class Tree:
    """The processes of one runner. Dead ones are started again, after a pause that doubles.

    They are restarted because a worker that was killed, or ran out of memory, must not take the shop with it;
    but a program that cannot live at all ends the tree with its exit code.
    """

    def __init__(
        self,
        *,
        cwd: Path,
        output: Output,
        changed: Callable[[dict[str, int]], None],
        others: Callable[[], set[int]],
    ) -> None:
        """`changed` hears names and pids of what runs; `others` are children that somebody else waits for."""
        self._cwd = cwd
        self._output = output
        self._changed = changed
        self._others = others
        self._children: list[Child] = []
        self._exit_code: int | None = None
        self._stop_asked = False
        self._child_died = False
        self._selector = selectors.DefaultSelector()
        self._listen_to_signals()
        adopt_orphans()

    def start(self, program: Program) -> None:
        """Start a program; it belongs to the tree from now on."""
        child = Child(program)
        self._children.append(child)
        self._spawn(child)

    def run(self, *, tick: Callable[[], float], ended: Callable[[Program, int], None]) -> int:
        """Run until a signal says stop or a program cannot live; everything has ended then. The exit code.

        `tick` is called after each event and says in how many seconds it wants to be called again at last;
        `ended` is told of each `once` program that ends.
        """
        try:
            while self._exit_code is None:
                self._wait(min(tick(), self._next_start_in()))
                self._settle(ended)
            return self._exit_code
        finally:
            self._end_all()

    def end_strays(self) -> None:
        """Kill whatever of our descendants still lives: a horse without a worker, and the like."""
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                process.kill()
                process.wait(5)

    def _spawn(self, child: Child) -> None:
        child.process = start_bound(
            child.program.command,
            death_signal=signal.SIGTERM,
            env=child.program.environment,
            output=subprocess.PIPE,
            cwd=self._cwd,
        )
        child.started_at, child.start_at = time.monotonic(), None
        assert child.process.stdout is not None
        pipe = LinePipe(name=child.program.name, file=child.process.stdout, output=self._output)
        self._selector.register(pipe.file, selectors.EVENT_READ, lambda: self._read_pipe(pipe))
        self._tell()

    def _read_pipe(self, pipe: LinePipe) -> None:
        # Closed at its end only: a grandchild that outlives its parent may still write into it.
        if not pipe.pass_on():
            self._selector.unregister(pipe.file)
            pipe.file.close()

    def _tell(self) -> None:
        alive = {c.program.name: c.process.pid for c in self._children if c.process is not None}
        self._changed({"runner": os.getpid(), **alive})

    def _wait(self, seconds: float) -> None:
        for key, _ in self._selector.select(max(seconds, 0.0)):
            key.data()

    def _next_start_in(self) -> float:
        now = time.monotonic()
        return min((c.start_at - now for c in self._children if c.start_at is not None), default=3600.0)

    def _listen_to_signals(self) -> None:
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)  # the number arrives in the pipe
        self._selector.register(self._wake, selectors.EVENT_READ, self._read_signals)

    def _read_signals(self) -> None:
        numbers = os.read(self._wake, 512)
        self._child_died = self._child_died or signal.SIGCHLD in numbers
        self._stop_asked = self._stop_asked or any(number in STOP_SIGNALS for number in numbers)

    def _settle(self, ended: Callable[[Program, int], None]) -> None:
        if self._stop_asked:
            self._exit_code = 0
            return
        for child in self._children[:]:
            code = child.process.poll() if child.process is not None else None
            if code is not None:
                child.process = None
                self._answer_death(child, code, ended)
                self._tell()
            elif child.start_at is not None and child.start_at <= time.monotonic():
                self._spawn(child)
        if self._child_died:
            self._child_died = False
            self._reap_orphans()

    def _answer_death(self, child: Child, code: int, ended: Callable[[Program, int], None]) -> None:
        name = child.program.name
        if child.program.once:
            self._children.remove(child)
            ended(child.program, code)
            return
        pause = child.note_death()
        if child.quick_deaths >= QUICK_DEATHS_ALLOWED:
            self._output.say(f"{name} ended {child.quick_deaths} times soon after its start ({_why(code)}). Stopping.")
            self._exit_code = code if code > 0 else 1
            return
        self._output.say(f"{name} ended ({_why(code)}); starting it again in {pause:g} s.")
        child.start_at = time.monotonic() + pause

    def _reap_orphans(self) -> None:
        """Collect dead grandchildren that became ours; none whose exit code somebody waits for."""
        known = {child.process.pid for child in self._children if child.process is not None} | self._others()
        for process in psutil.Process().children():
            with suppress(psutil.NoSuchProcess, ChildProcessError):
                if process.pid not in known and process.status() == psutil.STATUS_ZOMBIE:
                    os.waitpid(process.pid, os.WNOHANG)

    def _end_all(self) -> None:
        self._stop_asked = False
        self._output.say("stopping …")
        for rank in sorted({child.program.stop_rank for child in self._children}):
            children = [child for child in self._children if child.program.stop_rank == rank]
            self._end_processes([child.process for child in children if child.process is not None])

    def _end_processes(self, processes: list[subprocess.Popen[bytes]]) -> None:
        """Ask these to end, and kill those that have not after a while, or at the second Ctrl-C."""
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + STOP_PATIENCE_SECONDS
        while alive := [process for process in processes if process.poll() is None]:
            if self._stop_asked or time.monotonic() > deadline:
                for process in alive:
                    os.killpg(process.pid, signal.SIGKILL)
            self._wait(0.1)
        self._wait(0.0)  # what they said last


def _why(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
