"""Start a process that cannot outlive us, and end one for certain."""

import ctypes
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
# Loaded at import: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def start_bound(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals,
    env: Mapping[str, str],
    output: int | IO[bytes],
    cwd: Path = Path("/"),
    user: int | None = None,
    group: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own; Linux sends it `death_signal` when the calling thread ends.

    Call it from the main thread: the kernel watches the thread that forked, not the process (prctl(2)).
    Elsewhere than on Linux a killed parent leaves the process behind, and the next start finds it.
    """
    with warnings.catch_warnings():
        # Python 3.12 warns of a fork beside threads; between fork and exec only prctl is called here.
        warnings.simplefilter("ignore", DeprecationWarning)
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            start_new_session=True,  # Ctrl-C in the terminal reaches us alone; we end the others in order
            preexec_fn=_signal_on_parents_death(death_signal=death_signal),
        )


def end_with_parent() -> None:
    """Have the kernel end us when our parent (make) is killed; only a parent that waits for us is meant."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def adopt_orphans() -> None:
    """Make grandchildren whose parent dies our children, so that none can escape the tree (Linux)."""
    if _libc is not None:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_process(*, pid: int, with_signal: signal.Signals, patience_seconds: float) -> None:
    """Ask process `pid` to end, and kill it when it has not ended after `patience_seconds`."""
    try:
        process = psutil.Process(pid)
        process.send_signal(with_signal)
        if not _ends_within(process, seconds=patience_seconds):
            process.kill()
            _ends_within(process, seconds=patience_seconds)
    except psutil.NoSuchProcess:
        return


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more: gone, or a zombie that its parent has not asked about yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _ends_within(process: psutil.Process, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not has_ended(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _signal_on_parents_death(*, death_signal: signal.Signals) -> Callable[[], None] | None:
    if _libc is None:
        return None
    libc, parent = _libc, os.getpid()

    def ask_the_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask_the_kernel
