"""DATA_DIR/run.json: what runs now, so that a command in another shell meets the running instance."""

import fcntl
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import psutil

from webapp.embedded.errors import CannotStart
from webapp.embedded.processes import end_process, has_ended

LEFTOVER_PATIENCE_SECONDS = 15.0


def running_environment(*, data_dir: Path) -> dict[str, str]:
    """The environment of the instance that runs in `data_dir`; empty when none does.

    Holds secrets and the owner's URL: for the command line, never for a process that serves.
    """
    state = _read(data_dir)
    if state is None or not _is_alive(state["processes"].get("runner")):
        return {}
    environment: dict[str, str] = state["environment"]
    return environment


def claim_data_dir(*, data_dir: Path) -> IO[str]:
    """Be the one runner of `data_dir` for as long as the returned file stays open.

    Raises CannotStart when another runner has it. The kernel gives the claim back when we are killed.
    """
    claim = (data_dir / "run.lock").open("w")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        claim.close()
        state = _read(data_dir) or {"environment": {}}
        where = state["environment"].get("BASE_URL", "an address that is not known yet")
        raise CannotStart(
            f"Tallystick already runs in {data_dir}, at {where}. Stop it first, or set PORT and DATA_DIR."
        ) from None
    return claim


def record(*, data_dir: Path, environment: Mapping[str, str], processes: Mapping[str, int]) -> None:
    """Write run.json, readable by us alone, in one step."""
    named = {name: _identify(pid) for name, pid in processes.items()}
    path = data_dir / "run.json"
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"environment": dict(environment), "processes": named}, file, indent=2)
    draft.replace(path)


def forget(*, data_dir: Path) -> None:
    """Nothing runs any more."""
    (data_dir / "run.json").unlink(missing_ok=True)


def end_leftovers(*, data_dir: Path) -> list[str]:
    """End what a killed runner left behind, and return the names. Recognised by pid and time of birth."""
    state = _read(data_dir)
    if state is None:
        return []
    left = {name: process for name, process in state["processes"].items() if _is_alive(process)}
    for process in left.values():
        end_process(pid=process["pid"], with_signal=signal.SIGTERM, patience_seconds=LEFTOVER_PATIENCE_SECONDS)
    forget(data_dir=data_dir)
    return list(left)


def _read(data_dir: Path) -> dict[str, Any] | None:
    try:
        state = json.loads((data_dir / "run.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return state if isinstance(state, dict) and {"environment", "processes"} <= state.keys() else None


def _identify(pid: int) -> dict[str, Any]:
    try:
        return {"pid": pid, "born": psutil.Process(pid).create_time()}
    except psutil.NoSuchProcess:
        return {"pid": pid, "born": None}


def _is_alive(process: dict[str, Any] | None) -> bool:
    if process is None:
        return False
    try:
        found = psutil.Process(process["pid"])
        return found.create_time() == process["born"] and not has_ended(found)
    except psutil.NoSuchProcess:
        return False
